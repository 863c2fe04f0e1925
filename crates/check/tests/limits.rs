//! Every limit holds at its value and refuses one more.

use qualm_check::outcome;
use qualm_ir::builder::{FunctionBuilder, ModuleBuilder};
use qualm_ir::limits::{OPERANDS_MAX, PARAMS_MAX, SYMBOL_BYTES_MAX};
use qualm_ir::module::Module;
use qualm_ir::op::Op;
use qualm_ir::types::{Signature, Type};
use qualm_ir::verify::verify;
use qualm_passerine::parser::{CHAIN_MAX, NESTING_MAX};
use qualm_passerine::{NoFiles, compile};
use qualm_vm::heap::Stress;

/// A main function made by `fill`, beside one of so many parameters that gives its last one.
fn module(params: usize, fill: impl FnOnce(&mut FunctionBuilder, qualm_ir::types::FunctionIndex)) -> Module {
    let mut module = ModuleBuilder::default();
    let signature = Signature { params: vec![Type::Val; params], result: Type::Val };
    let wide = module.declare(signature.clone());
    let mut body = FunctionBuilder::new(signature, "wide");
    let last = body.param(params - 1);
    body.end(Op::Return { value: last });
    module.define(wide, body);
    let main = Signature { params: vec![], result: Type::Val };
    let index = module.declare(main.clone());
    let mut body = FunctionBuilder::new(main, "main");
    fill(&mut body, wide);
    module.define(index, body);
    module.set_entry(index);
    module.finish()
}

fn ends(module: Module) -> Result<String, u8> {
    match verify(module) {
        Ok(module) => Ok(outcome::run(module, 1_000, Stress::Collect).end),
        Err(errors) => Err(errors[0].rule),
    }
}

fn call_with(params: usize) -> Result<String, u8> {
    ends(module(params, |body, wide| {
        let args = (0..params as i64)
            .map(|value| {
                let a = body.push(Op::IntConst { value });
                body.push(Op::ValInt { a })
            })
            .collect();
        let value = body.push(Op::Call { f: wide, args });
        body.end(Op::Return { value });
    }))
}

#[test]
fn parameters() {
    assert_eq!(call_with(PARAMS_MAX), Ok(format!("value {}", PARAMS_MAX - 1)));
    assert_eq!(call_with(PARAMS_MAX + 1), Err(15));
}

#[test]
fn operands() {
    let tuple = |count: usize| {
        ends(module(1, |body, _| {
            let unit = body.push(Op::Unit {});
            let value = body.push(Op::ListNew { items: vec![unit; count] });
            body.end(Op::Return { value });
        }))
    };
    assert!(tuple(OPERANDS_MAX).is_ok());
    assert_eq!(tuple(OPERANDS_MAX + 1), Err(15));
}

#[test]
fn symbols() {
    let label = |length: usize| {
        ends(module(1, |body, _| {
            let value = body.push(Op::SymbolConst { name: "a".repeat(length).into() });
            body.end(Op::Return { value });
        }))
    };
    assert!(label(SYMBOL_BYTES_MAX).is_ok());
    assert_eq!(label(SYMBOL_BYTES_MAX + 1), Err(15));
}

/// Whether Passerine source compiles, on a thread with the compiler's stack.
fn compiles(source: String) -> bool {
    let thread = std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(move || compile("limit.pn", &source, &mut NoFiles).module.is_ok());
    thread.expect("a thread starts").join().expect("the compiler does not panic")
}

#[test]
fn nesting_of_source_text() {
    // Each parenthesis nests three forms of the grammar.
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(compiles(nested(NESTING_MAX / 3 - 2)));
    assert!(!compiles(nested(NESTING_MAX / 3 + 2)));
}

#[test]
fn operators_in_a_row() {
    let chain = |operators: usize| format!("1{}", " + 1".repeat(operators));
    assert!(compiles(chain(CHAIN_MAX)));
    assert!(!compiles(chain(CHAIN_MAX + 1)));
}

#[test]
fn variables_a_function_captures() {
    let captures = |count: usize| {
        let bound: String = (0..count).map(|at| format!("v{at} = show {at}\n")).collect();
        let sum: Vec<String> = (0..count).map(|at| format!("v{at}")).collect();
        format!("{bound}f = x -> x + {}\nf \"\"", sum.join(" + "))
    };
    assert!(compiles(captures(PARAMS_MAX - 1)));
    assert!(!compiles(captures(PARAMS_MAX)));
}
