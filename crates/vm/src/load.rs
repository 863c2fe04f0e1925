//! From verified functions to [`Code`]: constants, last uses, slots, instructions.

mod borrows;
mod emit;
mod slots;

use crate::code::{Code, Leaf, Point, Program};
use crate::statics::Statics;
use qualm_ir::module::Module;
use qualm_ir::op::FieldRef;
use qualm_ir::verify::Verified;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Makes a program of a module.
pub fn load(module: Verified<Module>) -> Program {
    load_with(module, &[])
}

/// Makes a program of a module; its values may hold these symbols too, which no function of it spells.
pub fn load_with(module: Verified<Module>, symbols: &[Arc<str>]) -> Program {
    let module = module.into_inner();
    let mut tables = Tables::default();
    for name in symbols {
        tables.statics.add_symbol(name);
    }
    for op in module.functions.iter().flat_map(|function| &function.blocks).flat_map(|block| &block.ops) {
        for field in op.fields() {
            match field {
                FieldRef::Symbol(name) => {
                    tables.statics.add_symbol(name);
                }
                FieldRef::Symbols(names) => names.iter().for_each(|name| {
                    tables.statics.add_symbol(name);
                }),
                _ => {}
            }
        }
    }
    tables.statics.seal();
    let borrows = borrows::Borrows::of(&module);
    let codes: Vec<Code> = (0..module.functions.len())
        .map(|index| emit::Emitter::new(&module, index, &borrows, &mut tables).run())
        .collect();
    Program {
        codes,
        leaves: tables.leaves,
        statics: Arc::new(tables.statics),
        entry: module.entry.map(|index| index.0),
        module,
        names: OnceLock::new(),
    }
}

/// Makes a program that goes on with another one: the first functions of the module are those of that program. Values and fibers of the one are values
/// and fibers of the other, which knows all its functions, symbols and constants by the same numbers.
///
/// # Panics
/// If the module begins with other functions.
pub fn load_more(program: &Program, module: Verified<Module>) -> Program {
    let more = load_with(module, program.statics.symbols());
    let older = program.module.functions.len();
    let same = more.module.functions.get(..older) == Some(&*program.module.functions);
    assert!(same && more.statics.begins_with(&program.statics), "the module goes on with that of the program");
    more
}

/// Where the frames of each function can wait.
pub(crate) fn points(module: &Module) -> Vec<Vec<Point>> {
    let mut tables = Tables::default();
    let borrows = borrows::Borrows::of(module);
    (0..module.functions.len()).map(|index| emit::Emitter::new(module, index, &borrows, &mut tables).points()).collect()
}

/// What all functions of a program share while it is loaded.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) statics: Statics,
    leaves: Vec<Leaf>,
    leaf_numbers: HashMap<String, u32>,
}

impl Tables {
    /// The number of a leaf operation.
    pub(crate) fn leaf(&mut self, leaf: Leaf) -> u32 {
        let leaves = &mut self.leaves;
        *self.leaf_numbers.entry(format!("{leaf:?}")).or_insert_with(|| {
            leaves.push(leaf);
            leaves.len() as u32 - 1
        })
    }

    /// The number of a symbol.
    pub(crate) fn symbol(&mut self, name: &Arc<str>) -> u32 {
        self.statics.add_symbol(name)
    }
}
