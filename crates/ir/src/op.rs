//! [`Op`] and everything else that follows from the table in [`ops`](crate::ops).

use crate::natives::Native;
use crate::ops::for_each_op;
use crate::types::{Case, Float64, FunctionIndex, Reg, Target, Text};

/// What an operand is; see the head of [`ops`](crate::ops).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// A register of type `int`.
    Int,
    /// A register of type `float`.
    Float,
    /// A register of type `val`.
    Val,
    /// Registers of type `val`.
    Vals,
    /// Registers typed by the callee.
    Args,
    /// A register of the function's result type.
    Ret,
    /// An integer.
    Imm,
    /// A double.
    Number,
    /// A string.
    Text,
    /// A name.
    Symbol,
    /// Names.
    Symbols,
    /// A function.
    Func,
    /// A built-in.
    Native,
    /// A later block with arguments.
    Target,
    /// Numbered targets.
    Cases,
}

/// An operand on its own, as a decoder or parser makes it.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "each variant is the value of the field kind of the same name")]
pub enum Field {
    Int(Reg),
    Float(Reg),
    Val(Reg),
    Vals(Vec<Reg>),
    Args(Vec<Reg>),
    Ret(Reg),
    Imm(i64),
    Number(Float64),
    Text(Text),
    Symbol(Text),
    Symbols(Vec<Text>),
    Func(FunctionIndex),
    Native(Native),
    Target(Target),
    Cases(Vec<Case>),
}

/// An operand of an existing instruction.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs, reason = "each variant is the value of the field kind of the same name")]
pub enum FieldRef<'a> {
    Int(Reg),
    Float(Reg),
    Val(Reg),
    Vals(&'a [Reg]),
    Args(&'a [Reg]),
    Ret(Reg),
    Imm(i64),
    Number(Float64),
    Text(&'a Text),
    Symbol(&'a Text),
    Symbols(&'a [Text]),
    Func(FunctionIndex),
    Native(Native),
    Target(&'a Target),
    Cases(&'a [Case]),
}

/// What an instruction defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultKind {
    /// Nothing.
    None,
    /// An `int` register.
    Int,
    /// A `float` register.
    Float,
    /// A `val` register.
    Val,
    /// A register of the callee's result type.
    Callee,
}

/// A row of the table.
#[derive(Debug)]
pub struct OpInfo {
    /// The number in binary form.
    pub opcode: u8,
    /// The Rust name of the variant.
    pub name: &'static str,
    /// The word in text form.
    pub mnemonic: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Operand names and kinds.
    pub fields: &'static [(&'static str, FieldKind)],
    /// What it defines.
    pub result: ResultKind,
    /// Whether it ends a block.
    pub end: bool,
    /// Whether it may raise.
    pub fails: bool,
    /// Whether other frames may run before its result is there.
    pub calls: bool,
}

macro_rules! kind {
    (int) => {
        FieldKind::Int
    };
    (float) => {
        FieldKind::Float
    };
    (val) => {
        FieldKind::Val
    };
    (vals) => {
        FieldKind::Vals
    };
    (args) => {
        FieldKind::Args
    };
    (ret) => {
        FieldKind::Ret
    };
    (imm) => {
        FieldKind::Imm
    };
    (number) => {
        FieldKind::Number
    };
    (text) => {
        FieldKind::Text
    };
    (symbol) => {
        FieldKind::Symbol
    };
    (symbols) => {
        FieldKind::Symbols
    };
    (func) => {
        FieldKind::Func
    };
    (native) => {
        FieldKind::Native
    };
    (target) => {
        FieldKind::Target
    };
    (cases) => {
        FieldKind::Cases
    };
}
macro_rules! rust {
    (int) => { Reg };
    (float) => { Reg };
    (val) => { Reg };
    (ret) => { Reg };
    (vals) => { Vec<Reg> };
    (args) => { Vec<Reg> };
    (imm) => { i64 };
    (number) => { Float64 };
    (text) => { Text };
    (symbol) => { Text };
    (symbols) => { Vec<Text> };
    (func) => { FunctionIndex };
    (native) => { Native };
    (target) => { Target };
    (cases) => { Vec<Case> };
}
macro_rules! view {
    (int, $e:expr) => {
        FieldRef::Int(*$e)
    };
    (float, $e:expr) => {
        FieldRef::Float(*$e)
    };
    (val, $e:expr) => {
        FieldRef::Val(*$e)
    };
    (ret, $e:expr) => {
        FieldRef::Ret(*$e)
    };
    (vals, $e:expr) => {
        FieldRef::Vals($e)
    };
    (args, $e:expr) => {
        FieldRef::Args($e)
    };
    (imm, $e:expr) => {
        FieldRef::Imm(*$e)
    };
    (number, $e:expr) => {
        FieldRef::Number(*$e)
    };
    (text, $e:expr) => {
        FieldRef::Text($e)
    };
    (symbol, $e:expr) => {
        FieldRef::Symbol($e)
    };
    (symbols, $e:expr) => {
        FieldRef::Symbols($e)
    };
    (func, $e:expr) => {
        FieldRef::Func(*$e)
    };
    (native, $e:expr) => {
        FieldRef::Native(*$e)
    };
    (target, $e:expr) => {
        FieldRef::Target($e)
    };
    (cases, $e:expr) => {
        FieldRef::Cases($e)
    };
}
macro_rules! take {
    ($variant:ident, $fields:expr) => {
        match $fields.next() {
            Some(Field::$variant(value)) => value,
            _ => return None,
        }
    };
}
macro_rules! field_of {
    (int, $f:expr) => {
        take!(Int, $f)
    };
    (float, $f:expr) => {
        take!(Float, $f)
    };
    (val, $f:expr) => {
        take!(Val, $f)
    };
    (ret, $f:expr) => {
        take!(Ret, $f)
    };
    (vals, $f:expr) => {
        take!(Vals, $f)
    };
    (args, $f:expr) => {
        take!(Args, $f)
    };
    (imm, $f:expr) => {
        take!(Imm, $f)
    };
    (number, $f:expr) => {
        take!(Number, $f)
    };
    (text, $f:expr) => {
        take!(Text, $f)
    };
    (symbol, $f:expr) => {
        take!(Symbol, $f)
    };
    (symbols, $f:expr) => {
        take!(Symbols, $f)
    };
    (func, $f:expr) => {
        take!(Func, $f)
    };
    (native, $f:expr) => {
        take!(Native, $f)
    };
    (target, $f:expr) => {
        take!(Target, $f)
    };
    (cases, $f:expr) => {
        take!(Cases, $f)
    };
}
macro_rules! result_kind {
    () => {
        ResultKind::None
    };
    (int) => {
        ResultKind::Int
    };
    (float) => {
        ResultKind::Float
    };
    (val) => {
        ResultKind::Val
    };
    (callee) => {
        ResultKind::Callee
    };
}

macro_rules! define_ops {
    ($(
        $(#[doc = $doc:literal])*
        $code:literal $name:ident $mnemonic:literal { $( $field:ident : $kind:tt ),* $(,)? }
        $( -> $result:tt )? $( [ $( $flag:ident ),* ] )? ;
    )*) => {
        /// An instruction with its operands.
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs, reason = "operands are named and explained in the row's text")]
        pub enum Op {
            $( $(#[doc = $doc])* $name { $( $field: rust!($kind) ),* }, )*
        }

        /// The rows of the table, in its order.
        pub static OPS: &[OpInfo] = &[
            $( OpInfo {
                opcode: $code,
                name: stringify!($name),
                mnemonic: $mnemonic,
                doc: concat!($($doc),*),
                fields: &[ $( (stringify!($field), kind!($kind)) ),* ],
                result: result_kind!($( $result )?),
                end: has_flag(&[$( $( stringify!($flag) ),* )?], "end"),
                fails: has_flag(&[$( $( stringify!($flag) ),* )?], "fails"),
                calls: has_flag(&[$( $( stringify!($flag) ),* )?], "calls"),
            }, )*
        ];

        /// Position of each variant in [`OPS`]; a duplicate opcode does not compile because enum values are distinct.
        #[repr(u8)]
        #[derive(Clone, Copy)]
        enum Number { $( $name = $code ),* }

        impl Op {
            fn number(&self) -> Number {
                match self { $( Self::$name { .. } => Number::$name, )* }
            }

            /// The operands in order.
            pub fn fields(&self) -> Vec<FieldRef<'_>> {
                match self {
                    $( Self::$name { $( $field ),* } => vec![ $( view!($kind, $field) ),* ], )*
                }
            }

            /// The instruction with this opcode and these operands; nothing if they do not fit the row.
            pub fn from_fields(opcode: u8, fields: Vec<Field>) -> Option<Self> {
                #[allow(unused_mut, reason = "a row without operands takes nothing")]
                let mut fields = fields.into_iter();
                let op = match opcode {
                    $( $code => Self::$name { $( $field: field_of!($kind, fields) ),* }, )*
                    _ => return None,
                };
                fields.next().is_none().then_some(op)
            }
        }
    };
}
for_each_op!(define_ops);

const fn has_flag(flags: &[&str], wanted: &str) -> bool {
    let mut at = 0;
    while at < flags.len() {
        if same(flags[at].as_bytes(), wanted.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Row of each opcode in [`OPS`], or 255.
static ROW_OF_OPCODE: [u8; 256] = {
    let mut rows = [255; 256];
    let mut row = 0;
    while row < OPS.len() {
        rows[OPS[row].opcode as usize] = row as u8;
        row += 1;
    }
    rows
};

impl OpInfo {
    /// The row with this opcode.
    pub fn of_opcode(opcode: u8) -> Option<&'static Self> {
        OPS.get(usize::from(ROW_OF_OPCODE[usize::from(opcode)]))
    }

    /// The row with this mnemonic.
    pub fn of_mnemonic(mnemonic: &str) -> Option<&'static Self> {
        OPS.iter().find(|info| info.mnemonic == mnemonic)
    }
}

impl Op {
    /// The opcode.
    pub fn opcode(&self) -> u8 {
        self.number() as u8
    }

    /// The row of this instruction.
    pub fn info(&self) -> &'static OpInfo {
        &OPS[usize::from(ROW_OF_OPCODE[usize::from(self.opcode())])]
    }

    /// Calls `visit` with every register the instruction reads, in operand order; registers passed to blocks included.
    pub fn for_each_use(&self, mut visit: impl FnMut(Reg)) {
        for field in self.fields() {
            match field {
                FieldRef::Int(reg) | FieldRef::Float(reg) | FieldRef::Val(reg) | FieldRef::Ret(reg) => visit(reg),
                FieldRef::Vals(regs) | FieldRef::Args(regs) => regs.iter().copied().for_each(&mut visit),
                FieldRef::Target(target) => target.args.iter().copied().for_each(&mut visit),
                FieldRef::Cases(cases) => {
                    cases.iter().flat_map(|case| case.target.args.iter().copied()).for_each(&mut visit);
                }
                FieldRef::Imm(_)
                | FieldRef::Number(_)
                | FieldRef::Text(_)
                | FieldRef::Symbol(_)
                | FieldRef::Symbols(_)
                | FieldRef::Func(_)
                | FieldRef::Native(_) => {}
            }
        }
    }

    /// Calls `visit` with every place control may go next inside the function.
    pub fn for_each_target(&self, mut visit: impl FnMut(&Target)) {
        match self {
            Self::Jump { to } => visit(to),
            Self::Branch { yes, no, .. } => {
                visit(yes);
                visit(no);
            }
            Self::Switch { cases, default, .. } => {
                cases.iter().for_each(|case| visit(&case.target));
                visit(default);
            }
            _ => {}
        }
    }

    /// The function the instruction names, if it names one.
    pub fn function(&self) -> Option<FunctionIndex> {
        match self {
            Self::Call { f, .. } | Self::TailCall { f, .. } | Self::Closure { f, .. } | Self::ThunkNew { f, .. } => {
                Some(*f)
            }
            _ => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn function_mut(&mut self) -> Option<&mut FunctionIndex> {
        match self {
            Self::Call { f, .. } | Self::TailCall { f, .. } | Self::Closure { f, .. } | Self::ThunkNew { f, .. } => {
                Some(f)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_and_mnemonics_are_distinct_and_golden() {
        let mut lines = String::new();
        for info in OPS {
            lines.push_str(&format!("{:02x} {}\n", info.opcode, info.mnemonic));
            assert_eq!(OPS.iter().filter(|other| other.mnemonic == info.mnemonic).count(), 1, "{}", info.mnemonic);
        }
        let golden = include_str!("opcodes.golden");
        assert_eq!(lines, golden, "opcodes never change; a new row is added to opcodes.golden by hand");
    }

    #[test]
    fn fields_round_trip() {
        let op = Op::Branch {
            c: Reg(1),
            yes: Target { block: crate::types::BlockIndex(1), args: vec![Reg(2)] },
            no: Target { block: crate::types::BlockIndex(2), args: vec![] },
        };
        let mut seen = Vec::new();
        op.for_each_use(|reg| seen.push(reg.0));
        assert_eq!(seen, [1, 2]);
        assert_eq!(op.info().mnemonic, "branch");
    }
}
