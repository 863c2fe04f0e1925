//! Prints modules as text assembly.

use crate::module::{Function, Module};
use crate::op::{FieldRef, Op, ResultKind};
use crate::types::{FunctionIndex, Reg, Target, Type};
use std::collections::HashMap;
use std::fmt::Write;

/// The text of a module.
pub fn print(module: &Module) -> String {
    let names = function_names(module);
    let mut out = String::new();
    for (at, function) in module.functions.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        print_with(&mut out, function, &names[at], &names);
    }
    if let Some(entry) = module.entry {
        let name = names.get(entry.index()).map_or("?", String::as_str);
        let _ = writeln!(out, "\nentry @{name}");
    }
    out
}

/// The text of one function.
pub fn print_function(module: &Module, index: FunctionIndex) -> String {
    let names = function_names(module);
    let mut out = String::new();
    if let Some(function) = module.function(index) {
        print_with(&mut out, function, &names[index.index()], &names);
    }
    out
}

/// A distinct name of word characters for each function: its own where that is possible.
fn function_names(module: &Module) -> Vec<String> {
    let mut taken: HashMap<String, u32> = HashMap::new();
    let mut names = Vec::with_capacity(module.functions.len());
    for function in &module.functions {
        let word: String = function
            .debug
            .name
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '_' || c == '.' { c } else { '_' })
            .collect();
        let base = if word.is_empty() { "f".to_owned() } else { word };
        let mut name = base.clone();
        let mut next = taken.get(&base).copied().unwrap_or(0);
        while taken.contains_key(&name) {
            next += 1;
            name = format!("{base}.{next}");
        }
        taken.insert(base, next);
        taken.entry(name.clone()).or_insert(0);
        names.push(name);
    }
    names
}

fn print_with(out: &mut String, function: &Function, name: &str, names: &[String]) {
    let _ = write!(out, "fn @{name}");
    params(out, 0, &function.signature.params);
    let _ = writeln!(out, " -> {} {{", function.signature.result);
    let mut register = function.signature.params.len() as u32;
    for (at, block) in function.blocks.iter().enumerate() {
        if at > 0 {
            let _ = write!(out, "b{at}");
            if !block.params.is_empty() {
                params(out, register, &block.params);
                register += block.params.len() as u32;
            }
            out.push_str(":\n");
        }
        for op in &block.ops {
            out.push_str("  ");
            if op.info().result != ResultKind::None {
                let _ = write!(out, "%{register} = ");
                register += 1;
            }
            print_op(out, op, names);
            out.push('\n');
        }
    }
    out.push_str("}\n");
}

fn params(out: &mut String, first: u32, types: &[Type]) {
    out.push('(');
    for (at, ty) in types.iter().enumerate() {
        let _ = write!(out, "{}%{}: {ty}", if at > 0 { ", " } else { "" }, first + at as u32);
    }
    out.push(')');
}

fn print_op(out: &mut String, op: &Op, names: &[String]) {
    out.push_str(op.info().mnemonic);
    for (at, field) in op.fields().into_iter().enumerate() {
        out.push_str(if at == 0 { " " } else { ", " });
        match field {
            FieldRef::Int(reg) | FieldRef::Float(reg) | FieldRef::Val(reg) | FieldRef::Ret(reg) => {
                let _ = write!(out, "%{}", reg.0);
            }
            FieldRef::Vals(regs) => list(out, "[", regs, "]"),
            FieldRef::Args(regs) => list(out, "(", regs, ")"),
            FieldRef::Imm(value) => {
                let _ = write!(out, "{value}");
            }
            FieldRef::Number(value) => {
                let _ = write!(out, "{:?}", value.get());
            }
            FieldRef::Text(text) => quoted(out, text),
            FieldRef::Symbol(name) => symbol(out, name),
            FieldRef::Symbols(list) => {
                out.push('{');
                for (at, name) in list.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    symbol(out, name);
                }
                out.push('}');
            }
            FieldRef::Func(index) => {
                let _ = write!(out, "@{}", names.get(index.index()).map_or("?", String::as_str));
            }
            FieldRef::Native(native) => out.push_str(native.name()),
            FieldRef::Target(to) => target(out, to),
            FieldRef::Cases(cases) => {
                out.push('[');
                for (at, case) in cases.iter().enumerate() {
                    let _ = write!(out, "{}{}: ", if at > 0 { ", " } else { "" }, case.value);
                    target(out, &case.target);
                }
                out.push(']');
            }
        }
    }
}

fn list(out: &mut String, open: &str, regs: &[Reg], close: &str) {
    out.push_str(open);
    for (at, reg) in regs.iter().enumerate() {
        let _ = write!(out, "{}%{}", if at > 0 { ", " } else { "" }, reg.0);
    }
    out.push_str(close);
}

fn target(out: &mut String, to: &Target) {
    let _ = write!(out, "b{}", to.block.0);
    if !to.args.is_empty() {
        list(out, "(", &to.args, ")");
    }
}

fn symbol(out: &mut String, name: &str) {
    out.push('\'');
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') {
        out.push_str(name);
    } else {
        quoted(out, name);
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
