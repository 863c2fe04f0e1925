//! How front ends make modules: declare functions, give each a body block by block, finish.
//!
//! The builder numbers registers and blocks, groups functions and orders them. A wrong type or a missing terminator is reported by the
//! verifier, which every module passes anyway.

mod reachable;

use crate::groups;
use crate::module::{Block, Function, FunctionDebug, Module, SourceName};
use crate::op::{Op, ResultKind};
use crate::source::Span;
use crate::types::{BlockIndex, FunctionIndex, Reg, Signature, Target, Type};
use std::sync::Arc;

/// Collects the functions of a module.
#[derive(Default, Debug)]
pub struct ModuleBuilder {
    functions: Vec<Option<Function>>,
    signatures: Vec<Signature>,
    entry: Option<FunctionIndex>,
    sources: Vec<SourceName>,
}

impl ModuleBuilder {
    /// Names a function before its body is known, so that others can refer to it.
    pub fn declare(&mut self, signature: Signature) -> FunctionIndex {
        self.signatures.push(signature);
        self.functions.push(None);
        FunctionIndex(self.functions.len() as u32 - 1)
    }

    /// The signature a function was declared with.
    pub fn signature(&self, index: FunctionIndex) -> &Signature {
        &self.signatures[index.index()]
    }

    /// Gives a declared function its body, without the blocks that nothing goes to.
    pub fn define(&mut self, index: FunctionIndex, body: FunctionBuilder) {
        self.functions[index.index()] = Some(reachable::prune(body.finish()));
    }

    /// Gives a declared function its body exactly as it was built.
    pub fn define_exactly(&mut self, index: FunctionIndex, body: FunctionBuilder) {
        self.functions[index.index()] = Some(body.finish());
    }

    /// Says which function runs first.
    pub fn set_entry(&mut self, index: FunctionIndex) {
        self.entry = Some(index);
    }

    /// Adds a source file that spans point into.
    pub fn add_source(&mut self, path: Arc<str>, text: Arc<str>) {
        self.sources.push(SourceName { path, text });
    }

    /// The module, its functions in canonical order.
    ///
    /// # Panics
    /// If a declared function was never defined.
    pub fn finish(self) -> Module {
        let functions =
            self.functions.into_iter().map(|function| function.expect("every declared function is defined"));
        groups::arrange(functions.collect(), self.entry, self.sources)
    }
}

/// A block that may be placed later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Label(u32);

/// A block that ends with a jump still to be filled in.
#[derive(Debug)]
#[must_use]
pub struct OpenEnd(usize);

/// Collects the body of one function.
///
/// Registers are numbered in the order they are made here, which is the order of the final body because blocks are filled when they are
/// placed.
#[derive(Debug)]
pub struct FunctionBuilder {
    signature: Signature,
    name: Arc<str>,
    blocks: Vec<Block>,
    /// For each label the block it was placed at.
    labels: Vec<Option<BlockIndex>>,
    label_params: Vec<Vec<Type>>,
    next_reg: u32,
    op_count: u32,
    spans: Vec<(u32, Span)>,
    span: Option<Span>,
    terminated: bool,
}

impl FunctionBuilder {
    /// Starts a function; its first block is open.
    pub fn new(signature: Signature, name: impl Into<Arc<str>>) -> Self {
        let next_reg = signature.params.len() as u32;
        Self {
            signature,
            name: name.into(),
            blocks: vec![Block::default()],
            labels: Vec::new(),
            label_params: Vec::new(),
            next_reg,
            op_count: 0,
            spans: Vec::new(),
            span: None,
            terminated: false,
        }
    }

    /// The register of a parameter.
    pub fn param(&self, index: usize) -> Reg {
        Reg(index as u32)
    }

    /// The name it was given.
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// What the next instructions come from.
    pub fn set_span(&mut self, span: Option<Span>) {
        self.span = span;
    }

    /// What the next instructions come from, as set last.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// A block to be placed later.
    pub fn label(&mut self, params: &[Type]) -> Label {
        self.labels.push(None);
        self.label_params.push(params.to_vec());
        Label(self.labels.len() as u32 - 1)
    }

    /// Opens the block of a label and gives the registers of its parameters.
    ///
    /// # Panics
    /// If the block before has no terminator or the label was placed.
    pub fn place(&mut self, label: Label) -> Vec<Reg> {
        assert!(self.terminated, "a block ends with a terminator");
        let slot = &mut self.labels[label.0 as usize];
        assert!(slot.is_none(), "a label is placed once");
        *slot = Some(BlockIndex(self.blocks.len() as u32));
        let params = std::mem::take(&mut self.label_params[label.0 as usize]);
        let first = self.next_reg;
        self.next_reg += params.len() as u32;
        self.blocks.push(Block { params, ops: Vec::new() });
        self.terminated = false;
        (first..self.next_reg).map(Reg).collect()
    }

    /// Opens the block of a label whose parameters were not known when the label was made.
    ///
    /// # Panics
    /// As [`place`](Self::place).
    pub fn place_with(&mut self, label: Label, params: Vec<Type>) -> Vec<Reg> {
        self.label_params[label.0 as usize] = params;
        self.place(label)
    }

    /// Whether the open block has its terminator.
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// Appends an instruction; gives the register it defines.
    ///
    /// # Panics
    /// If the block has its terminator already, or the instruction defines nothing.
    pub fn push(&mut self, op: Op) -> Reg {
        assert!(op.info().result != ResultKind::None, "`{}` defines nothing", op.info().mnemonic);
        self.append(op);
        self.next_reg += 1;
        Reg(self.next_reg - 1)
    }

    /// Ends the block with an instruction that names no label.
    ///
    /// # Panics
    /// If the block has its terminator already.
    pub fn end(&mut self, op: Op) {
        self.append(op);
        self.terminated = true;
    }

    /// Ends the block with a jump.
    pub fn jump(&mut self, label: Label, args: Vec<Reg>) {
        self.end(Op::Jump { to: self.target(label, args) });
    }

    /// Ends the block with a branch.
    pub fn branch(&mut self, c: Reg, yes: Label, no: Label) {
        let (yes, no) = (self.target(yes, Vec::new()), self.target(no, Vec::new()));
        self.end(Op::Branch { c, yes, no });
    }

    /// A target for an instruction of this function; it holds the label's number until [`finish`](Self::finish).
    pub fn target(&self, label: Label, args: Vec<Reg>) -> Target {
        Target { block: BlockIndex(label.0), args }
    }

    /// Ends the block with a jump whose target is not known yet.
    pub fn end_open(&mut self) -> OpenEnd {
        self.end(Op::Jump { to: Target { block: BlockIndex(u32::MAX), args: Vec::new() } });
        OpenEnd(self.blocks.len() - 1)
    }

    /// Says where an open end goes.
    pub fn fill(&mut self, open: OpenEnd, label: Label, args: Vec<Reg>) {
        let to = self.target(label, args);
        if let Some(last) = self.blocks[open.0].ops.last_mut() {
            *last = Op::Jump { to };
        }
    }

    fn append(&mut self, op: Op) {
        assert!(!self.terminated, "nothing follows the terminator of a block");
        if let Some(span) = self.span {
            self.spans.push((self.op_count, span));
        }
        self.op_count += 1;
        self.blocks.last_mut().expect("there is an open block").ops.push(op);
    }

    /// The function.
    ///
    /// # Panics
    /// If a label that is used was never placed.
    pub fn finish(mut self) -> Function {
        let labels = self.labels;
        let resolve = |target: &mut Target| {
            target.block = labels[target.block.index()].expect("every used label is placed");
        };
        for op in self.blocks.iter_mut().flat_map(|block| &mut block.ops) {
            match op {
                Op::Jump { to } => resolve(to),
                Op::Branch { yes, no, .. } => {
                    resolve(yes);
                    resolve(no);
                }
                Op::Switch { cases, default, .. } => {
                    cases.iter_mut().for_each(|case| resolve(&mut case.target));
                    resolve(default);
                }
                _ => {}
            }
        }
        Function {
            signature: self.signature,
            blocks: self.blocks,
            debug: FunctionDebug { name: self.name, spans: self.spans },
        }
    }
}
