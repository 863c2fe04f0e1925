//! The instruction set: one table, from which everything else about instructions is derived.
//!
//! A row is: documentation, opcode, variant, mnemonic, operands with their kinds, result, properties. From it come the
//! enum [`Op`](crate::op::Op), [`OPS`](crate::op::OPS), encoder and decoder, assembly parser and printer, the typing rules of the verifier,
//! the generator of random programs and `docs/instruction-set.md`.
//!
//! # Names
//!
//! ```text
//!     val.lt
//!     │   └── what is done to it
//!     └────── what it works on: int, float (unboxed), val (any kind, decided at run time),
//!             or a kind of value: text, tuple, list, record, label, map, cell, thunk
//! ```
//!
//! # Numbers
//!
//! Opcodes are stored in content-hashed bytes that live for years: a number is never reused and never changes.
//! `crates/ir/src/opcodes.golden` makes any change visible in review.
//!
//! # Operand kinds
//!
//! `int`, `float`, `val`: a register of that type. `vals`: any number of `val` registers. `args`: registers typed by the callee's
//! signature. `ret`: a register of the function's result type. `imm`: a 64-bit integer. `number`: a double. `text`: a string.
//! `symbol`, `symbols`: names of labels, fields, effects. `func`: a function. `native`: a built-in of
//! [`natives`](crate::natives). `target`: a later block with arguments. `cases`: numbered targets.
//!
//! # Properties
//!
//! `end`: ends a block. `fails`: may raise an error there, which a handler may resume with a replacement value.
//! `calls`: other frames may run before the result is there, so what lives across it lives in the frame.

macro_rules! for_each_op {
    ($apply:ident) => {
        $apply! {
            // ---- control
            /// Goes to a later block.
            0x01 Jump "jump" { to: target } [end];
            /// Goes to `yes` if `c` is not 0, else to `no`.
            0x02 Branch "branch" { c: int, yes: target, no: target } [end];
            /// Goes to the case whose number equals `on`, else to `default`.
            0x03 Switch "switch" { on: int, cases: cases, default: target } [end];
            /// Ends the function with a value.
            0x04 Return "return" { value: ret } [end];
            /// Calls a function of known signature.
            0x05 Call "call" { f: func, args: args } -> callee [calls];
            /// Calls a function in place of this one: the frame is given up, the stack does not grow.
            0x06 TailCall "tail" { f: func, args: args } [end];
            /// Applies a value to arguments, at least one: too few give a partial application, too many apply the result to the rest.
            0x07 Apply "apply" { f: val, args: vals } -> val [calls, fails];
            /// Applies a value in place of this function.
            0x08 TailApply "tail.apply" { f: val, args: vals } [end];
            /// Runs a built-in.
            0x09 Native "native" { native: native, args: vals } -> val [calls, fails];
            /// Performs the effect `Raise` with an error value; the result is what a handler resumes with.
            0x0a Raise "raise" { error: val } -> val [calls, fails];

            // ---- unboxed integers; checked unless the name says `wrap`
            /// A constant.
            0x10 IntConst "int.const" { value: imm } -> int;
            /// `a + b`; fails with `Overflow`.
            0x11 IntAdd "int.add" { a: int, b: int } -> int [fails];
            /// `a - b`; fails with `Overflow`.
            0x12 IntSub "int.sub" { a: int, b: int } -> int [fails];
            /// `a * b`; fails with `Overflow`.
            0x13 IntMul "int.mul" { a: int, b: int } -> int [fails];
            /// `a / b`, Euclidean; fails with `DivideByZero` and `Overflow`.
            0x14 IntDiv "int.div" { a: int, b: int } -> int [fails];
            /// `a % b`, Euclidean: `0 <= result < |b|`; fails with `DivideByZero`.
            0x15 IntRem "int.rem" { a: int, b: int } -> int [fails];
            /// `-a`; fails with `Overflow`.
            0x16 IntNeg "int.neg" { a: int } -> int [fails];
            /// `a + b` modulo 2^64.
            0x17 IntAddWrap "int.add.wrap" { a: int, b: int } -> int;
            /// `a - b` modulo 2^64.
            0x18 IntSubWrap "int.sub.wrap" { a: int, b: int } -> int;
            /// `a * b` modulo 2^64.
            0x19 IntMulWrap "int.mul.wrap" { a: int, b: int } -> int;
            /// Bitwise and.
            0x1a IntAnd "int.and" { a: int, b: int } -> int;
            /// Bitwise or.
            0x1b IntOr "int.or" { a: int, b: int } -> int;
            /// Bitwise exclusive or.
            0x1c IntXor "int.xor" { a: int, b: int } -> int;
            /// Bitwise complement.
            0x1d IntNot "int.not" { a: int } -> int;
            /// `a << (b mod 64)`.
            0x1e IntShl "int.shl" { a: int, b: int } -> int;
            /// `a >> (b mod 64)`, keeping the sign.
            0x1f IntShr "int.shr" { a: int, b: int } -> int;
            /// `a >> (b mod 64)`, filling with zeros.
            0x20 IntShrU "int.shr.u" { a: int, b: int } -> int;
            /// 1 if `a == b`, else 0.
            0x21 IntEq "int.eq" { a: int, b: int } -> int;
            /// 1 if `a != b`, else 0.
            0x22 IntNe "int.ne" { a: int, b: int } -> int;
            /// 1 if `a < b`, else 0.
            0x23 IntLt "int.lt" { a: int, b: int } -> int;
            /// 1 if `a <= b`, else 0.
            0x24 IntLe "int.le" { a: int, b: int } -> int;
            /// The nearest double.
            0x25 IntToFloat "int.to.float" { a: int } -> float;

            // ---- unboxed floats; a result that is not a number fails with `Domain`
            /// A constant.
            0x30 FloatConst "float.const" { value: number } -> float;
            /// `a + b`.
            0x31 FloatAdd "float.add" { a: float, b: float } -> float [fails];
            /// `a - b`.
            0x32 FloatSub "float.sub" { a: float, b: float } -> float [fails];
            /// `a * b`.
            0x33 FloatMul "float.mul" { a: float, b: float } -> float [fails];
            /// `a / b`; fails with `DivideByZero` too.
            0x34 FloatDiv "float.div" { a: float, b: float } -> float [fails];
            /// `a % b`, Euclidean; fails with `DivideByZero` too.
            0x35 FloatRem "float.rem" { a: float, b: float } -> float [fails];
            /// `-a`.
            0x36 FloatNeg "float.neg" { a: float } -> float;
            /// The square root.
            0x37 FloatSqrt "float.sqrt" { a: float } -> float [fails];
            /// 1 if `a == b`, else 0.
            0x38 FloatEq "float.eq" { a: float, b: float } -> int;
            /// 1 if `a < b`, else 0.
            0x39 FloatLt "float.lt" { a: float, b: float } -> int;
            /// 1 if `a <= b`, else 0.
            0x3a FloatLe "float.le" { a: float, b: float } -> int;
            /// The integer nearest to zero of those beside `a`; fails with `Overflow`.
            0x3b FloatToInt "float.to.int" { a: float } -> int [fails];

            // ---- values: constants and conversions
            /// The unit value `()`.
            0x40 Unit "unit" { } -> val;
            /// A string constant.
            0x41 TextConst "text.const" { text: text } -> val;
            /// A label without payload.
            0x42 SymbolConst "symbol" { name: symbol } -> val;
            /// An integer as a value.
            0x43 ValInt "val.int" { a: int } -> val;
            /// A float as a value.
            0x44 ValFloat "val.float" { a: float } -> val;
            /// `false` for 0, else `true`.
            0x45 ValBool "val.bool" { a: int } -> val;
            /// The integer in a value; fails with `Type`.
            0x46 ValToInt "val.to.int" { v: val } -> int [fails];
            /// The number in a value, integers converted; fails with `Type`.
            0x47 ValToFloat "val.to.float" { v: val } -> float [fails];
            /// 1 for `true`, 0 for `false`; fails with `Type` and a message that starts with `role` for anything else.
            0x48 ValTruth "val.truth" { v: val, role: text } -> int [fails];
            /// The number of the value's kind, in the order of `docs/machine.md`.
            0x49 ValKind "val.kind" { v: val } -> int;

            // ---- values: operations decided at run time
            /// Sum of numbers (an integer with a float is converted), or two strings or lists joined.
            0x50 ValAdd "val.add" { a: val, b: val } -> val [fails];
            /// Difference of numbers.
            0x51 ValSub "val.sub" { a: val, b: val } -> val [fails];
            /// Product of numbers.
            0x52 ValMul "val.mul" { a: val, b: val } -> val [fails];
            /// Quotient of numbers, Euclidean for integers.
            0x53 ValDiv "val.div" { a: val, b: val } -> val [fails];
            /// Euclidean remainder of numbers.
            0x54 ValRem "val.rem" { a: val, b: val } -> val [fails];
            /// Power of numbers.
            0x55 ValPow "val.pow" { a: val, b: val } -> val [fails];
            /// Negation of a number.
            0x56 ValNeg "val.neg" { a: val } -> val [fails];
            /// 1 if the values are equal in structure, else 0; never fails.
            0x57 ValEq "val.eq" { a: val, b: val } -> int;
            /// 1 if they differ, else 0.
            0x58 ValNe "val.ne" { a: val, b: val } -> int;
            /// 1 if `a < b`, else 0; numbers, strings, booleans, tuples and lists; fails with `Type` for others.
            0x59 ValLt "val.lt" { a: val, b: val } -> int [fails];
            /// 1 if `a <= b`, else 0.
            0x5a ValLe "val.le" { a: val, b: val } -> int [fails];
            /// -1, 0 or 1: the total order of all data, in which different kinds are ordered too.
            0x5b ValCompare "val.compare" { a: val, b: val } -> int;
            /// 1 if `a > b`, else 0; as `val.lt`.
            0x5c ValGt "val.gt" { a: val, b: val } -> int [fails];
            /// 1 if `a >= b`, else 0; as `val.lt`.
            0x5d ValGe "val.ge" { a: val, b: val } -> int [fails];

            // ---- text and bytes
            /// The display forms of values, joined.
            0x60 TextBuild "text.build" { parts: vals } -> val;
            /// The number of scalar values of a string; fails with `Type`.
            0x61 TextLen "text.len" { text: val } -> int [fails];
            /// Bytes given as the scalar values 0 to 255 of a string constant.
            0x62 BytesConst "bytes.const" { bytes: text } -> val [fails];
            /// The number of bytes; fails with `Type`.
            0x63 BytesLen "bytes.len" { bytes: val } -> int [fails];
            /// A byte by index; fails with `Index`.
            0x64 BytesGet "bytes.get" { bytes: val, index: int } -> int [fails];
            /// The same bytes with one more, in place when owned.
            0x65 BytesPush "bytes.push" { bytes: val, byte: int } -> val [fails];

            // ---- tuples, lists, ranges and what they share
            /// A tuple.
            0x70 TupleNew "tuple.new" { items: vals } -> val;
            /// 1 if `v` is a tuple of `size` items (unit has 0), else 0.
            0x71 TupleIs "tuple.is" { v: val, size: imm } -> int;
            /// Item `index` of a tuple; fails with `Type` or `Index`.
            0x72 TupleGet "tuple.get" { tuple: val, index: imm } -> val [fails];
            /// A list.
            0x73 ListNew "list.new" { items: vals } -> val;
            /// The length of a list, or -1 for anything else.
            0x74 ListLen "list.len" { v: val } -> int;
            /// Item by index, from the end if negative; fails with `Type` or `Index`.
            0x75 ListGet "list.get" { list: val, index: int } -> val [fails];
            /// The same list with one item replaced, in place when owned.
            0x76 ListSet "list.set" { list: val, index: int, item: val } -> val [fails];
            /// The same list with one more item at the end, in place when owned.
            0x77 ListPush "list.push" { list: val, item: val } -> val [fails];
            /// Items from the one at `from` up to the one before `to`, both clipped, negative from the end; in place when owned.
            0x78 ListSlice "list.slice" { list: val, from: int, to: int } -> val [fails];
            /// Two lists joined, into the first in place when it is owned.
            0x79 ListConcat "list.concat" { a: val, b: val } -> val [fails];
            /// A range of integers from `a` to before `b`; fails with `Type`.
            0x7a RangeNew "range.new" { a: val, b: val } -> val [fails];
            /// A range of integers from `a` to `b`; fails with `Type`.
            0x7b RangeThrough "range.through" { a: val, b: val } -> val [fails];
            /// Something with a length and items by index for any iterable value; fails with `Type`.
            0x7c SeqNew "seq.new" { v: val } -> val [fails];
            /// The number of items of what `seq.new` gave.
            0x7d SeqLen "seq.len" { seq: val } -> int [fails];
            /// An item of what `seq.new` gave.
            0x7e SeqGet "seq.get" { seq: val, index: int } -> val [fails];
            /// Access with a computed index or key into a tuple, list, string, record or map, through labels.
            0x7f ValIndex "val.index" { v: val, key: val } -> val [fails];

            // ---- records, labels, maps
            /// A record; names are in order and distinct.
            0x80 RecordNew "record.new" { names: symbols, items: vals } -> val;
            /// 1 if `v` is a record, else 0.
            0x81 RecordIs "record.is" { v: val } -> int;
            /// 1 if `v` is a record with that field, else 0.
            0x82 RecordHas "record.has" { v: val, name: symbol } -> int;
            /// A field, through labels; fails with `Field`.
            0x83 RecordGet "record.get" { v: val, name: symbol } -> val [fails];
            /// The same record with that field set, in place when owned; fails with `Type`.
            0x84 RecordSet "record.set" { v: val, name: symbol, item: val } -> val [fails];
            /// The fields of `a` and `b`, those of `b` winning, in place when `a` is owned; labels are looked through.
            0x85 RecordMerge "record.merge" { a: val, b: val } -> val [fails];
            /// The same record without those fields.
            0x86 RecordWithout "record.without" { v: val, names: symbols } -> val [fails];
            /// A label with a payload.
            0x87 LabelNew "label.new" { name: symbol, payload: val } -> val;
            /// 1 if `v` is that label, else 0.
            0x88 LabelIs "label.is" { v: val, name: symbol } -> int;
            /// The payload of a label, unit if it has none; fails with `Type`.
            0x89 LabelPayload "label.payload" { v: val } -> val [fails];
            /// An empty map.
            0x8a MapNew "map.new" { } -> val;
            /// The value of a key, or the given one; fails with `Type`.
            0x8b MapGet "map.get" { map: val, key: val, otherwise: val } -> val [fails];
            /// 1 if the key is there, else 0; fails with `Type`.
            0x8c MapHas "map.has" { map: val, key: val } -> int [fails];
            /// The same map with that key, in place when owned; fails with `Type`.
            0x8d MapInsert "map.insert" { map: val, key: val, item: val } -> val [fails];
            /// The same map without that key, in place when owned; fails with `Type`.
            0x8e MapRemove "map.remove" { map: val, key: val } -> val [fails];
            /// The number of keys; fails with `Type`.
            0x8f MapLen "map.len" { map: val } -> int [fails];

            // ---- functions, cells, thunks
            /// A function value that already holds its first arguments.
            0x90 Closure "closure" { f: func, captures: vals } -> val;
            /// A variable that closures share, with a value.
            0x91 CellNew "cell.new" { v: val } -> val;
            /// A variable that closures share, without a value yet.
            0x92 CellEmpty "cell.empty" { } -> val;
            /// The value of a cell; fails with `Reference` and the name if it has none.
            0x93 CellGet "cell.get" { cell: val, name: symbol } -> val [fails];
            /// Gives a cell a value; the result is unit.
            0x94 CellSet "cell.set" { cell: val, v: val } -> val [fails];
            /// A suspended call, made once when its value is needed.
            0x95 ThunkNew "thunk.new" { f: func, captures: vals } -> val;
            /// The value of a thunk, or the value itself if it is none; fails with `Loop` if the thunk needs its own value.
            0x96 Force "force" { v: val } -> val [calls, fails];

            // ---- effects
            /// Performs an effect: runs the clause of the nearest handler that takes it.
            0xa0 Perform "perform" { effect: symbol, payload: val } -> val [calls, fails];
            /// Applies `body` to unit under a handler. `effects` are those it takes (none: all). When one is performed, `guard`
            /// (or unit for none) is applied to the payload and the effect's label and gives unit to decline, else what the clause
            /// receives; it may perform nothing but `Raise`.
            /// `mode` 0 drops the rest of the body and applies `clause` to it; `mode` 1 applies `clause` where the effect was performed and
            /// goes on with its value; `mode` 2 captures the rest and applies `clause` to it and the continuation. `done` (or unit) is
            /// applied to the value of the body.
            0xa1 Handle "handle" { body: val, guard: val, clause: val, done: val, effects: symbols, mode: imm } -> val [calls, fails];
            /// A second continuation of the same point; fails with `Resume` if it was resumed already.
            0xa2 ContinuationClone "continuation.clone" { k: val } -> val [fails];
            /// Performs `System` with `payload`: what no handler takes goes to the node, which checks the fiber's capabilities.
            0xa3 System "system" { request: val } -> val [calls, fails];
        }
    };
}
pub(crate) use for_each_op;
