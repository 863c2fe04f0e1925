//! Every instruction and built-in occurs in the assembly corpus.

use qualm_check::golden;
use qualm_ir::natives::Native;
use qualm_ir::op::{FieldRef, OPS};
use qualm_ir::source::SourceMap;
use std::collections::BTreeSet;

#[test]
fn every_instruction_and_builtin_has_a_program() {
    let (mut ops, mut natives) = (BTreeSet::new(), BTreeSet::new());
    for path in golden::files(&golden::corpus().join("asm"), "qualm") {
        let text = std::fs::read_to_string(&path).expect("a corpus file is text");
        let mut sources = SourceMap::default();
        let id = sources.add(path.display().to_string(), text.as_str());
        let module = qualm_ir::text::parse(id, &text).unwrap_or_else(|error| panic!("{}", error.render(&sources)));
        for op in module.functions.iter().flat_map(|function| &function.blocks).flat_map(|block| &block.ops) {
            ops.insert(op.info().mnemonic);
            natives.extend(op.fields().into_iter().filter_map(|field| match field {
                FieldRef::Native(native) => Some(native),
                _ => None,
            }));
        }
    }
    let missing: Vec<_> = OPS.iter().map(|info| info.mnemonic).filter(|mnemonic| !ops.contains(mnemonic)).collect();
    assert!(missing.is_empty(), "no program in corpus/asm uses {missing:?}");
    let missing: Vec<_> =
        Native::ALL.iter().filter(|native| !natives.contains(native)).map(|native| native.name()).collect();
    assert!(missing.is_empty(), "no program in corpus/asm uses {missing:?}");
}
