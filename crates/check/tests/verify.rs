//! One file for each rule of the verifier breaks exactly that rule; what text cannot spell is built here.

use qualm_check::golden;
use qualm_ir::module::{Block, Function, FunctionDebug, Module};
use qualm_ir::op::Op;
use qualm_ir::source::SourceMap;
use qualm_ir::types::{BlockIndex, FunctionIndex, Reg, Signature, Target, Type};
use qualm_ir::verify::verify;
use std::collections::BTreeSet;

fn broken_rules(module: Module) -> BTreeSet<u8> {
    match verify(module) {
        Ok(_) => BTreeSet::new(),
        Err(errors) => errors.into_iter().map(|error| error.rule).collect(),
    }
}

#[test]
fn each_file_breaks_its_rule() {
    let mut seen = BTreeSet::new();
    for path in golden::files(&golden::corpus().join("verify"), "qualm") {
        let text = std::fs::read_to_string(&path).expect("a corpus file is text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a corpus file has a name");
        let rule: u8 = name[1..3].parse().expect("the name starts with the rule, as v05");
        let mut sources = SourceMap::default();
        let id = sources.add(name, text.as_str());
        let module = qualm_ir::text::parse(id, &text).unwrap_or_else(|error| panic!("{}", error.render(&sources)));
        assert_eq!(broken_rules(module), BTreeSet::from([rule]), "{name}");
        seen.insert(rule);
    }
    for (rule, module) in built() {
        assert_eq!(broken_rules(module), BTreeSet::from([rule]), "V{rule:02}");
        seen.insert(rule);
    }
    assert_eq!(seen, (1..=19).collect(), "every rule has a test");
}

fn function(blocks: Vec<Block>) -> Function {
    let signature = Signature { params: vec![], result: Type::Val };
    Function { signature, blocks, debug: FunctionDebug::default() }
}

fn block(ops: Vec<Op>) -> Block {
    Block { params: vec![], ops }
}

fn module(function: Function) -> Module {
    Module { functions: vec![function], groups: std::iter::once(0..1).collect(), entry: None, sources: vec![] }
}

/// Modules that the text form cannot spell.
fn built() -> Vec<(u8, Module)> {
    let unit = || Op::Unit {};
    let give = || Op::Return { value: Reg(0) };
    let back = Target { block: BlockIndex(0), args: vec![] };
    vec![
        (1, module(function(vec![]))),
        (2, module(function(vec![block(vec![unit()])]))),
        (2, module(function(vec![block(vec![unit(), give(), give()])]))),
        (3, module(function(vec![block(vec![Op::Jump { to: back }])]))),
        (5, module(function(vec![block(vec![Op::Return { value: Reg(7) }])]))),
        (
            15,
            module(function(vec![block(vec![
                Op::TupleNew { items: vec![] },
                Op::SymbolConst { name: "".into() },
                give(),
            ])])),
        ),
        (19, module(function(vec![block(vec![Op::Call { f: FunctionIndex(9), args: vec![] }, give()])]))),
    ]
}
