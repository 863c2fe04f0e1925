//! Types of registers, and the small index types of a module.

use std::fmt;
use std::sync::Arc;

/// The type of a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Type {
    /// A signed 64-bit integer, unboxed; also the result of comparisons (0 or 1).
    Int,
    /// An IEEE 754 double that is never NaN, unboxed.
    Float,
    /// A tagged value of any kind.
    Val,
}

impl Type {
    /// Every type, in the order of its wire number.
    pub const ALL: [Self; 3] = [Self::Int, Self::Float, Self::Val];

    /// The word used for the type in text assembly.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Val => "val",
        }
    }

    /// The type with this text name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.name() == name)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A register of one function. Parameters come first, then, in block order, block parameters and results.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Reg(pub u32);

impl Reg {
    /// The register number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A function of the module, by position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionIndex(pub u32);

impl FunctionIndex {
    /// The position as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A block of one function, by position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BlockIndex(pub u32);

impl BlockIndex {
    /// The position as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A double that is not NaN, compared by its bits, so that `-0.0` and `0.0` are different constants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Float64(u64);

impl Float64 {
    /// The constant for `value`, or nothing if it is NaN.
    pub fn new(value: f64) -> Option<Self> {
        (!value.is_nan()).then(|| Self(value.to_bits()))
    }

    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// The IEEE bits.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// The kinds of values, in the order of the numbers that `val.kind` gives; the names are those of error messages.
pub const KINDS: [&str; 18] = [
    "Unit",
    "Boolean",
    "Integer",
    "Float",
    "String",
    "Label",
    "Tuple",
    "List",
    "Record",
    "Map",
    "Range",
    "Function",
    "Continuation",
    "Process",
    "Bytes",
    "Thunk",
    "Fiber",
    "Snapshot",
];

/// The number `val.kind` gives for a kind, -1 if there is none of that name.
pub fn kind_number(name: &str) -> i64 {
    KINDS.iter().position(|kind| *kind == name).map_or(-1, |at| at as i64)
}

/// Text that many places share: string constants and symbols.
pub type Text = Arc<str>;

/// Where control goes, and what the block there receives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// The block, always later in the function than the jump.
    pub block: BlockIndex,
    /// Values for its parameters.
    pub args: Vec<Reg>,
}

/// One arm of a `switch`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Case {
    /// The number that selects this arm.
    pub value: i64,
    /// Where it goes.
    pub target: Target,
}

/// What a function takes and gives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Signature {
    /// Parameter types.
    pub params: Vec<Type>,
    /// Result type.
    pub result: Type,
}
