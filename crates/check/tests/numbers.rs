//! Numbers in typed registers make no difference: random programs full of arithmetic give the same compiled with and without them.

use fastrand::Rng;
use qualm_check::outcome;
use qualm_ir::verify::verify;
use qualm_passerine::{Lowering, NoFiles, compile_with};
use qualm_vm::heap::Stress;
use std::fmt::Write;

/// Writes random programs.
struct Writer {
    rng: Rng,
    out: String,
    /// Parameters of each function so far.
    functions: Vec<usize>,
    vars: Vec<String>,
}

impl Writer {
    fn literal(&mut self) -> String {
        match self.rng.u8(0..12) {
            0..5 => format!("({})", self.rng.i64(-3..12)),
            5..9 => format!("({:?})", f64::from(self.rng.i16(-40..40)) / 4.0),
            9 => "9223372036854775807".into(),
            10 => "\"a\"".into(),
            _ => "(1, 2)".into(),
        }
    }

    fn variable(&mut self) -> String {
        match self.rng.choice(&self.vars) {
            Some(name) => name.clone(),
            None => "1".into(),
        }
    }

    fn expr(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.rng.u8(0..3) == 0 { self.literal() } else { self.variable() };
        }
        let less = depth - 1;
        match self.rng.u8(0..20) {
            0..9 => {
                let op = *self.rng.choice(&["+", "-", "*", "/", "%", "+", "-", "*"]).expect("not empty");
                format!("({} {op} {})", self.expr(less), self.expr(less))
            }
            9 => format!("({} ** {})", self.expr(less), self.rng.u8(0..4)),
            10 => format!("(-({}))", self.expr(less)),
            11..13 => {
                let op = *self.rng.choice(&["<", "<=", ">", ">=", "==", "!="]).expect("not empty");
                let (a, b, yes, no) = (self.expr(less), self.expr(less), self.expr(less), self.expr(less));
                format!("(if {a} {op} {b} {{ {yes} }} else {{ {no} }})")
            }
            13 => format!("(len [{}, {}])", self.expr(less), self.expr(less)),
            14 => format!("(floor ({}))", self.expr(less)),
            15 => format!(
                "(match {} {{ 0 -> {}, n: Integer -> n, _ -> {} }})",
                self.expr(less),
                self.expr(less),
                self.expr(less)
            ),
            16 => format!("([{}, {}]::(0))", self.expr(less), self.expr(less)),
            17..19 if !self.functions.is_empty() => {
                let at = self.rng.usize(0..self.functions.len());
                let args: Vec<String> = (0..self.functions[at]).map(|_| self.expr(less)).collect();
                format!("(f{at} {})", args.join(" "))
            }
            _ => self.variable(),
        }
    }

    fn statements(&mut self, depth: usize, indent: &str) {
        for _ in 0..self.rng.usize(1..4) {
            let target = ["x", "y", "z"][self.rng.usize(0..3)].to_owned();
            let known = self.vars.contains(&target);
            match self.rng.u8(0..8) {
                0 if known && depth > 0 => {
                    let (from, to) = (self.rng.i8(-2..3), self.expr(1));
                    let op = if self.rng.bool() { ".." } else { "..=" };
                    let _ = writeln!(self.out, "{indent}for i in {from}{op}{to} {{");
                    self.vars.push("i".into());
                    let value = self.expr(2);
                    let _ = writeln!(self.out, "{indent}    {target} = {value}");
                    self.statements(depth - 1, &format!("{indent}    "));
                    self.vars.retain(|name| name != "i");
                    let _ = writeln!(self.out, "{indent}}}");
                }
                1 if known && depth > 0 => {
                    let count = format!("k{}", self.out.len());
                    let _ = writeln!(self.out, "{indent}{count} = 0\n{indent}while {count} < {} {{", self.rng.u8(0..5));
                    let value = self.expr(2);
                    let _ = writeln!(
                        self.out,
                        "{indent}    {target} = {value}\n{indent}    {count} = {count} + 1\n{indent}}}"
                    );
                }
                2 if known => {
                    let (condition, value) = (self.expr(1), self.expr(2));
                    let _ = writeln!(self.out, "{indent}if {condition} < 3 {{ {target} = {value} }}");
                }
                3 if self.vars.len() > 1 => {
                    let (a, b) = (self.variable(), self.variable());
                    let (first, second) = (self.expr(2), self.expr(1));
                    if a != b && a != "i" && b != "i" {
                        let _ = writeln!(self.out, "{indent}{a}, {b} = {first}, {second}");
                    }
                }
                _ => {
                    let value = self.expr(3);
                    let _ = writeln!(self.out, "{indent}{target} = {value}");
                    if indent == "    " && !known {
                        self.vars.push(target);
                    }
                }
            }
        }
    }

    fn program(mut self) -> String {
        for at in 0..self.rng.usize(1..4) {
            let params = self.rng.usize(1..4);
            let names: Vec<String> = (0..params).map(|at| format!("p{at}")).collect();
            self.vars.clone_from(&names);
            let _ = writeln!(self.out, "f{at} = {} -> {{", names.join(" "));
            self.statements(2, "    ");
            let value = self.expr(3);
            if self.rng.bool() {
                let args: Vec<String> =
                    std::iter::once("(p0 - 1)".to_owned()).chain((1..params).map(|_| self.expr(2))).collect();
                let call = format!("f{at} {}", args.join(" "));
                let call = if self.rng.bool() { call } else { format!("{value} + {call}") };
                let _ = writeln!(self.out, "    if p0 < 1 {{ {value} }} else {{ {call} }}");
            } else {
                let _ = writeln!(self.out, "    {value}");
            }
            self.out.push_str("}\n");
            self.functions.push(params);
            self.vars.clear();
        }
        for at in 0..self.functions.len() {
            for _ in 0..3 {
                let args: Vec<String> = (0..self.functions[at]).map(|_| self.literal()).collect();
                let args = args.iter().map(|arg| format!("({arg})")).collect::<Vec<_>>().join(" ");
                let _ = writeln!(self.out, "println (try f{at} {args})");
            }
        }
        self.statements(2, "");
        self.out
    }
}

#[test]
fn typed_registers_change_nothing() {
    let programs: u64 = std::env::var("PROGRAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(600);
    let mut values = 0;
    for seed in 0..programs {
        let writer = Writer { rng: Rng::with_seed(seed), out: String::new(), functions: Vec::new(), vars: Vec::new() };
        let text = writer.program();
        let mut outcomes = Vec::new();
        for boxed in [false, true] {
            let lowering = Lowering { boxed, ..Lowering::default() };
            let compiled = compile_with("numbers.pn", &text, &mut NoFiles, lowering);
            let module = match compiled.module {
                Ok(module) => module,
                Err(errors) => panic!("{}\n{text}", errors[0].render(&compiled.sources)),
            };
            let module = verify(module).unwrap_or_else(|errors| panic!("seed {seed}: {errors:?}\n{text}"));
            outcomes.push(outcome::run(module, 200_000, Stress::None));
        }
        // Deep recursion may meet the limit of memory or that of fuel first: frames differ in size.
        if !outcomes.iter().all(|outcome| outcome.end.starts_with("out of")) {
            assert_eq!(outcomes[0], outcomes[1], "seed {seed}\n{text}");
        }
        values += outcomes[0].requests.iter().filter(|request| request.contains("Ok")).count();
    }
    assert!(values as u64 > programs, "most programs compute something: {values} values");
}
