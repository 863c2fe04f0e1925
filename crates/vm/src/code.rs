//! Functions as the interpreter runs them: fixed-size instructions over slots of a frame.
//!
//! Made from verified functions by [`load`](crate::load), never stored, never sent. An instruction is eight bytes:
//!
//! ```text
//! | op | a | b | c | d            |      a, b, c: slots below 256 or small numbers, d: 32 bits
//! ```
//!
//! Instructions with a list of operands are followed by `Args` instructions, each with three operands of 16 bits: a slot and, in the top
//! bit, whether the register dies there (its value moves) or lives on (its value is shared).

use crate::statics::Statics;
use crate::value::Value;
use qualm_ir::hash::{FunctionHash, function_hashes};
use qualm_ir::module::Module;
use qualm_ir::natives::Native;
use qualm_ir::source::Span;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// What an instruction does. Operand conventions stand beside the arms in [`interp`](crate::interp).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the arms of the interpreter explain them")]
pub(crate) enum Opcode {
    Enter,
    Args,
    Move,
    MoveShare,
    LoadFar,
    StoreFar,
    LoadInt,
    LoadConst,
    Jump,
    BranchUnless,
    Switch,
    Return,
    Call,
    TailCall,
    Loop,
    Apply,
    TailApply,
    Leaf,
    ListSet,
    ListPush,
    MapInsert,
    NativeFrame,
    Raise,
    Perform,
    Handle,
    Force,
    IntAdd,
    IntSub,
    IntMul,
    IntDiv,
    IntRem,
    IntNeg,
    IntAddImm,
    IntRemImm,
    IntStep,
    IntBits,
    IntEq,
    IntNe,
    IntLt,
    IntLe,
    IntEqElse,
    IntNeElse,
    IntLtElse,
    IntLeElse,
    IntImmElse,
    IntToFloat,
    FloatAdd,
    FloatSub,
    FloatMul,
    FloatDiv,
    FloatRem,
    FloatNeg,
    FloatSqrt,
    FloatEq,
    FloatLt,
    FloatLe,
    FloatEqElse,
    FloatLtElse,
    FloatLeElse,
    FloatToInt,
    BoxInt,
    BoxFloat,
    BoxBool,
    UnboxInt,
    UnboxFloat,
    Truth,
    TruthElse,
    ValAdd,
    ValSub,
    ValMul,
    ValDiv,
    ValRem,
    ValRemImm,
    ValArith,
    ValAddImm,
    ValNeg,
    ValEq,
    ValNe,
    ValLt,
    ValLe,
    ValEqElse,
    ValNeElse,
    ValLtElse,
    ValLeElse,
    ValImmElse,
    Query,
    TupleIs,
    LabelIs,
    ListLen,
    SeqLen,
    SeqGet,
    ListGet,
    FieldTake,
    RecordGet,
    MakeTuple,
    MakeList,
    MakeLabel,
    Closure,
    Thunk,
    CellGet,
    CellBorrow,
    CellLook,
    CellSet,
}

/// A comparison with a constant, for `ValImmElse` and `IntImmElse`: the set of orderings for which it holds (less 1, equal 2, greater 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Comparison {
    Lt = 1,
    Eq = 2,
    Le = 3,
    Gt = 4,
    Ne = 5,
    Ge = 6,
}

impl Comparison {
    /// The member of the sets for an ordering.
    #[inline]
    pub(crate) fn of(ordering: std::cmp::Ordering) -> u8 {
        match ordering {
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Equal => 2,
            std::cmp::Ordering::Greater => 4,
        }
    }
}

/// Set beside the comparison when the program wrote the constant first; only error messages tell the difference.
pub(crate) const CONSTANT_FIRST: u8 = 0x80;

/// Bit and wrapping operations on integers, for `IntBits`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum IntBits {
    AddWrap,
    SubWrap,
    MulWrap,
    And,
    Or,
    Xor,
    Not,
    Shl,
    Shr,
    ShrU,
}

impl IntBits {
    pub(crate) const ALL: [Self; 10] = [
        Self::AddWrap,
        Self::SubWrap,
        Self::MulWrap,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::Not,
        Self::Shl,
        Self::Shr,
        Self::ShrU,
    ];
}

/// Questions with an integer for an answer, for `Query`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Query {
    Kind,
    RecordIs,
    RecordHas,
    MapLen,
    TextLen,
    BytesLen,
}

impl Query {
    pub(crate) const ALL: [Self; 6] =
        [Self::Kind, Self::RecordIs, Self::RecordHas, Self::MapLen, Self::TextLen, Self::BytesLen];
}

/// Operations that take a list of operands and finish at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leaf {
    Native(Native),
    TextBuild,
    BytesConst,
    BytesGet,
    BytesPush,
    ListSlice,
    ListConcat,
    RangeNew,
    RangeThrough,
    SeqNew,
    ValIndex,
    ValCompare,
    RecordNew(u32),
    RecordSet(u32),
    RecordMerge,
    RecordWithout(u32),
    MapNew,
    MapGet,
    MapHas,
    MapRemove,
    CellNew,
    CellEmpty,
    ContinuationClone,
}

/// Eight bytes of code.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Inst {
    pub(crate) op: Opcode,
    pub(crate) a: u8,
    pub(crate) b: u8,
    pub(crate) c: u8,
    pub(crate) d: u32,
}

/// Set in an operand of `Args` when the register dies there: its value moves.
pub(crate) const DIES: u16 = 0x8000;
/// Set in an operand of `Args` when the register lives on, but the value is only looked at: it is passed without ownership, and the
/// register keeps it.
pub(crate) const LENT: u16 = 0x4000;

/// A handler an instruction installs.
#[derive(Clone, Debug)]
pub(crate) struct HandlerSpec {
    /// Effects it takes; none means all.
    pub(crate) effects: Vec<u32>,
    pub(crate) mode: u8,
}

/// Where a `switch` goes.
#[derive(Clone, Debug)]
pub(crate) struct SwitchTable {
    pub(crate) cases: Vec<(i64, u32)>,
    pub(crate) default: u32,
}

/// A function ready to run.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) insts: Vec<Inst>,
    pub(crate) consts: Vec<u64>,
    pub(crate) switches: Vec<SwitchTable>,
    pub(crate) handlers: Vec<HandlerSpec>,
    /// Words of its frame, header included.
    pub(crate) frame: usize,
    pub(crate) params: usize,
    /// Live value slots where the frame may wait, by pc, ascending; pc 0 is entry.
    live: Vec<(u32, Box<[u16]>)>,
    /// Source position of instructions, by pc, ascending.
    spans: Vec<(u32, Span)>,
    pub(crate) name: Arc<str>,
}

impl Code {
    #[allow(clippy::too_many_arguments, reason = "the loader has all parts at once")]
    pub(crate) fn new(
        insts: Vec<Inst>,
        consts: Vec<u64>,
        switches: Vec<SwitchTable>,
        handlers: Vec<HandlerSpec>,
        frame: usize,
        signature: &qualm_ir::types::Signature,
        live: Vec<(u32, Box<[u16]>)>,
        spans: Vec<(u32, Span)>,
        name: Arc<str>,
    ) -> Self {
        let params = signature.params.len();
        Self { insts, consts, switches, handlers, frame, params, live, spans, name }
    }

    /// The slots that hold live values while the frame waits at this pc.
    pub(crate) fn live(&self, pc: usize) -> &[u16] {
        match self.live.binary_search_by_key(&(pc as u32), |entry| entry.0) {
            Ok(at) => &self.live[at].1,
            Err(_) => &[],
        }
    }

    /// The source position of the instruction at this pc.
    pub(crate) fn span(&self, pc: usize) -> Option<Span> {
        let at = self.spans.partition_point(|entry| entry.0 <= pc as u32);
        at.checked_sub(1).map(|at| self.spans[at].1)
    }
}

/// Where a frame of a function can wait, and what of it lives: what a snapshot says of a frame.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) pc: u32,
    /// The instruction of the module, counted through all blocks, or [`ENTRY`](Self::ENTRY).
    pub(crate) op: u32,
    /// The live registers, ascending.
    pub(crate) regs: Vec<PointRegister>,
}

impl Point {
    /// The entry of the function.
    pub(crate) const ENTRY: u32 = u32::MAX;
}

/// A live register of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PointRegister {
    pub(crate) is_val: bool,
    pub(crate) is_float: bool,
    /// Where it is, if it is anywhere.
    pub(crate) slot: Option<u16>,
    /// What it holds, if that is known.
    pub(crate) constant: Option<u64>,
}

/// A module ready to run; shared by all fibers.
#[derive(Debug)]
pub struct Program {
    pub(crate) codes: Vec<Code>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) statics: Arc<Statics>,
    pub(crate) entry: Option<u32>,
    pub(crate) module: Module,
    /// Made when the first snapshot is.
    pub(crate) names: OnceLock<Names>,
}

/// What snapshots call things of a program.
#[derive(Debug)]
pub(crate) struct Names {
    /// By function: its hash.
    pub(crate) hashes: Vec<FunctionHash>,
    pub(crate) numbers: HashMap<FunctionHash, u32>,
    /// By function: where it can wait, ascending by `pc` and by `op`, the entry first.
    pub(crate) points: Vec<Vec<Point>>,
}

impl Program {
    #[inline]
    pub(crate) fn code(&self, function: u32) -> &Code {
        &self.codes[function as usize]
    }

    pub(crate) fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let hashes = function_hashes(&self.module);
            let numbers = hashes.iter().zip(0..).map(|(hash, number)| (*hash, number)).collect();
            Names { hashes, numbers, points: crate::load::points(&self.module) }
        })
    }

    /// The tables values refer to.
    pub fn statics(&self) -> &Arc<Statics> {
        &self.statics
    }

    /// The module it was made from.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The entry as a value that can be applied by [`Fiber::start`](crate::fiber::Fiber::start).
    pub fn entry(&self) -> Option<u32> {
        self.entry
    }

    /// The name of a function, for people.
    pub fn function_name(&self, function: u32) -> &str {
        &self.code(function).name
    }

    /// Where an instruction of a function comes from.
    pub fn span(&self, function: u32, pc: usize) -> Option<Span> {
        self.code(function).span(pc)
    }
}

/// A constant small integer as a value word.
pub(crate) fn int_word(value: i64) -> Option<u64> {
    Value::small_int(value).map(|value| value.0)
}
