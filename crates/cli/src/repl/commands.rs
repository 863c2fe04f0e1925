//! Commands of the REPL: lines that start with a colon.

use super::evaluate::{Evaluated, Evaluator};
use super::{After, fibers};
use crate::commands::{complain, print};
use crate::input::{Disk, on_compiler_thread, read, render, text_of};
use crate::style::Style;
use qualm_ir::hash::function_hashes;
use qualm_ir::module::Module;
use qualm_ir::text::print_function;
use qualm_ir::types::FunctionIndex;
use qualm_passerine::compile;
use qualm_passerine::document::{Entry, page, prelude_entries, standard_page};
use std::path::Path;

/// The commands: name, what follows it, what it does.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("asm", "EXPR or NAME", "the assembly of an expression or a function"),
    ("doc", "NAME", "what a function or module is about"),
    ("hash", "NAME", "the content hash of a function"),
    ("help", "", "this list"),
    ("load", "FILE", "read a file as if it were typed here"),
    ("quit", "", "leave (also Ctrl-D)"),
    ("reset", "", "forget everything that was defined"),
    ("time", "EXPR", "evaluate and say what it cost"),
    ("type", "EXPR", "the type of an expression, without evaluating it"),
    ("vars", "", "what was defined, with types"),
];

/// All commands, those about nodes last.
pub(super) fn all() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    COMMANDS.iter().chain(fibers::COMMANDS)
}

pub(super) fn run(evaluator: &mut Evaluator, command: &str) -> After {
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let mut fits = all().filter(|(known, ..)| known.starts_with(name));
    let (name, needs) = match (fits.next(), fits.next(), all().find(|(known, ..)| *known == name)) {
        (_, _, Some((known, needs, _))) | (Some((known, needs, _)), None, None) => (*known, *needs),
        _ => {
            complain(&format!("there is no command :{name}; :help lists them\n"));
            return After::GoOn;
        }
    };
    if !needs.is_empty() && rest.is_empty() {
        complain(&format!("usage: :{name} {needs}\n"));
        return After::GoOn;
    }
    match name {
        "asm" => asm(evaluator, rest),
        "doc" => doc(evaluator, rest),
        "hash" => hash(evaluator, rest),
        "help" => help(evaluator.remote().is_some()),
        "load" => load(evaluator, Path::new(rest)),
        "quit" => return After::Quit,
        "reset" => evaluator.reset(),
        "time" => time(evaluator, rest),
        "type" => show_type(evaluator, rest),
        "vars" => variables(evaluator),
        _ => return fibers::run(evaluator, name, rest),
    }
    After::GoOn
}

fn help(at_node: bool) {
    let style = Style::stdout();
    let more = if at_node { fibers::COMMANDS } else { &[] };
    for (name, needs, about) in COMMANDS.iter().chain(more) {
        print(&format!("{}  {}\n", style.strong(&format!("{:<20}", format!(":{name} {needs}"))), about));
    }
    print(
        "Commands may be shortened. Tab completes, the arrow keys bring back earlier inputs, Ctrl-C stops what runs.\n",
    );
}

/// Evaluates the text of a file.
pub(super) fn load(evaluator: &mut Evaluator, file: &Path) {
    let text = read(file).and_then(|bytes| text_of(file, bytes));
    match text.map(|text| evaluator.evaluate(&text)) {
        Ok(Evaluated::Value { .. }) => print(&format!("loaded {}\n", file.display())),
        Ok(Evaluated::Failed(problem)) | Err(problem) => complain(&problem),
    }
}

fn show_type(evaluator: &Evaluator, expr: &str) {
    match evaluator.infer("input", expr) {
        (sources, Ok(inferred)) => {
            print(&format!("{}\n", inferred.last));
            complain(&render(&inferred.problems, &sources));
        }
        (sources, Err(problems)) => complain(&render(&problems, &sources)),
    }
}

fn time(evaluator: &mut Evaluator, expr: &str) {
    match evaluator.evaluate(expr) {
        Evaluated::Value { shown, took, stats } => {
            print(&format!("= {shown}\n"));
            let Some(stats) = stats else { return print(&format!("{:.3} ms\n", took.as_secs_f64() * 1e3)) };
            print(&format!(
                "{:.3} ms, {} function entries, {} objects made, {} updates in place, {} by copy, {} collections\n",
                took.as_secs_f64() * 1e3,
                stats.fuel,
                stats.heap.objects,
                stats.heap.in_place,
                stats.heap.copied,
                stats.heap.collections
            ));
        }
        Evaluated::Failed(problem) => complain(&problem),
    }
}

fn variables(evaluator: &Evaluator) {
    if let (_, Ok(inferred)) = evaluator.infer("input", "") {
        for (name, ty) in inferred.bindings {
            print(&format!("{name} : {ty}\n"));
        }
    }
}

/// Everything defined so far and an expression, as one program: there a function that is bound once is called directly, as in a file.
fn whole(evaluator: &Evaluator, expr: &str) -> Result<Module, String> {
    let mut disk = Disk::of(Path::new(""))?;
    let text = evaluator.session.text() + expr;
    let compiled = on_compiler_thread(|| compile("input", &text, &mut disk))?;
    compiled.module.map_err(|problems| render(&problems, &compiled.sources))
}

/// The functions of a module that belong to a name: the function and its loops.
fn functions_of(module: &Module, name: &str) -> Vec<usize> {
    let belongs = |found: &str| found == name || found.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
    (0..module.functions.len()).filter(|at| belongs(&module.functions[*at].debug.name)).collect()
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn asm(evaluator: &Evaluator, expr: &str) {
    // An expression is shown as the body of a function.
    const WRAPPER: &str = "expression";
    let (name, text) = if is_name(expr) {
        (expr, expr.to_owned())
    } else {
        (WRAPPER, format!("{WRAPPER} = _ -> ({expr})\n{WRAPPER}"))
    };
    match whole(evaluator, &text) {
        Ok(module) => {
            let found = functions_of(&module, name);
            if found.is_empty() {
                complain(&format!("no function is called {name}\n"));
            }
            for at in found {
                print(&print_function(&module, FunctionIndex(at as u32)));
            }
        }
        Err(problem) => complain(&problem),
    }
}

fn hash(evaluator: &Evaluator, name: &str) {
    match whole(evaluator, name) {
        Ok(module) => {
            let found = functions_of(&module, name);
            if found.is_empty() {
                complain(&format!("no function is called {name}\n"));
            }
            let hashes = function_hashes(&module);
            for at in found {
                print(&format!("{}  {}\n", hashes[at], module.functions[at].debug.name));
            }
        }
        Err(problem) => complain(&problem),
    }
}

fn doc(evaluator: &Evaluator, name: &str) {
    let style = Style::stdout();
    let show = |name: &str, entry: &Entry| {
        print(&format!("{} : {}\n", style.strong(name), entry.ty));
        if !entry.text.is_empty() {
            print(&format!("{}\n", entry.text));
        }
    };
    if let Some((module, member)) = name.split_once("::") {
        let page = on_compiler_thread(|| standard_page(module)).ok().flatten();
        match page.and_then(|page| page.entries.into_iter().find(|entry| entry.name == member)) {
            Some(entry) => show(name, &entry),
            None => complain(&format!("there is no {name} in the standard library\n")),
        }
        return;
    }
    // What was defined here comes first: it hides the prelude.
    if let (_, Ok(inferred)) = evaluator.infer("input", "") {
        let text = evaluator.session.text();
        let own = page(&text, inferred.bindings.iter().map(|(name, ty)| (&**name, ty.as_str())));
        if let Some(entry) = own.entries.iter().rev().find(|entry| entry.name == name) {
            return show(name, entry);
        }
    }
    if let Some(entry) = prelude_entries().iter().find(|entry| entry.name == name) {
        return show(name, entry);
    }
    match on_compiler_thread(|| standard_page(name)).ok().flatten() {
        Some(page) => {
            print(&format!("{}\n\n", page.intro));
            for entry in page.entries.iter().filter(|entry| !entry.text.is_empty()) {
                show(&format!("{name}::{}", entry.name), entry);
            }
        }
        None => complain(&format!("nothing is known about {name}\n")),
    }
}
