//! A module in memory: functions in canonical order, with what the debug section says about them.
//!
//! Invariant: [`Module::functions`] is ordered by group, groups after the groups they refer to (see [`groups`](crate::groups)); only
//! [`builder`](crate::builder) and [`binary`](crate::binary) make modules, and both establish it.

use crate::op::{Op, ResultKind};
use crate::source::Span;
use crate::types::{FunctionIndex, Signature, Type};
use std::ops::Range;
use std::sync::Arc;

/// Functions that refer only to each other.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Module {
    /// All functions, those of a group side by side.
    pub functions: Vec<Function>,
    /// The groups, as ranges of `functions`.
    pub groups: Vec<Range<u32>>,
    /// The function to run, which takes nothing and gives a `val`.
    pub entry: Option<FunctionIndex>,
    /// The files that spans point into; not part of any hash.
    pub sources: Vec<SourceName>,
}

/// A source file that debug spans name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceName {
    /// Its path as the user gave it.
    pub path: Arc<str>,
    /// Its text, for excerpts in traces.
    pub text: Arc<str>,
}

/// One function.
#[derive(Clone, PartialEq, Debug)]
pub struct Function {
    /// What it takes and gives.
    pub signature: Signature,
    /// The body; control only goes to later blocks.
    pub blocks: Vec<Block>,
    /// Names and positions; not part of the hash.
    pub debug: FunctionDebug,
}

/// A run of instructions with one way in and a terminator at its end.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Block {
    /// Types of the values a jump brings.
    pub params: Vec<Type>,
    /// The instructions; the last one ends the block.
    pub ops: Vec<Op>,
}

/// What helps people read a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FunctionDebug {
    /// Its name, empty if it has none.
    pub name: Arc<str>,
    /// A span for each instruction that has one, by position counted through all blocks, ascending.
    pub spans: Vec<(u32, Span)>,
}

impl FunctionDebug {
    /// The span of the instruction at this position.
    pub fn span(&self, op: u32) -> Option<Span> {
        let at = self.spans.binary_search_by_key(&op, |entry| entry.0).ok()?;
        self.spans.get(at).map(|entry| entry.1)
    }
}

impl Module {
    /// The function at an index, if there is one.
    pub fn function(&self, index: FunctionIndex) -> Option<&Function> {
        self.functions.get(index.index())
    }

    /// The type an instruction's result has; nothing if it defines nothing or names a missing function.
    pub fn result_type(&self, op: &Op) -> Option<Type> {
        match op.info().result {
            ResultKind::None => None,
            ResultKind::Int => Some(Type::Int),
            ResultKind::Float => Some(Type::Float),
            ResultKind::Val => Some(Type::Val),
            ResultKind::Callee => self.function(op.function()?).map(|function| function.signature.result),
        }
    }

    /// The type of every register of a function, in order.
    pub fn register_types(&self, function: &Function) -> Vec<Type> {
        let mut types = function.signature.params.clone();
        for block in &function.blocks {
            types.extend_from_slice(&block.params);
            types.extend(block.ops.iter().filter_map(|op| self.result_type(op)));
        }
        types
    }
}
