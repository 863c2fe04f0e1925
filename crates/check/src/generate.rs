//! Random programs that are well formed by construction, from the instruction table.
//!
//! Functions only refer to earlier ones, so every program ends. What an instruction is given at run time is random, so most programs end in an
//! error; what matters is that every way of running them agrees.

use fastrand::Rng;
use qualm_ir::builder::{FunctionBuilder, ModuleBuilder};
use qualm_ir::module::Module;
use qualm_ir::natives::Native;
use qualm_ir::op::{Field, FieldKind, OPS, Op, OpInfo, ResultKind};
use qualm_ir::types::{Float64, FunctionIndex, Reg, Signature, Text, Type};
use std::collections::BTreeSet;

/// Names that labels, fields and effects have.
const SYMBOLS: &[&str] = &["Some", "None", "Ok", "a", "b", "left", "Raise", "Ask", "yield", "switch"];
/// Texts.
const TEXTS: &[&str] = &["", "a", "word", "ünï", "two words", "12", "longer text that needs more than one word"];

/// A random module with an entry.
pub fn module(seed: u64) -> Module {
    let mut rng = Rng::with_seed(seed);
    let mut module = ModuleBuilder::default();
    let mut signatures: Vec<Signature> = Vec::new();
    for _ in 0..rng.usize(1..5) {
        let typed = rng.u8(0..3) == 0;
        let ty = |rng: &mut Rng| if typed { Type::ALL[rng.usize(0..3)] } else { Type::Val };
        let params = (0..rng.usize(1..4)).map(|_| ty(&mut rng)).collect();
        let signature = Signature { params, result: ty(&mut rng) };
        function(&mut rng, &mut module, &mut signatures, signature);
    }
    let entry = function(&mut rng, &mut module, &mut signatures, Signature { params: vec![], result: Type::Val });
    module.set_entry(entry);
    module.finish()
}

fn function(
    rng: &mut Rng,
    module: &mut ModuleBuilder,
    signatures: &mut Vec<Signature>,
    signature: Signature,
) -> FunctionIndex {
    let index = module.declare(signature.clone());
    let mut body = Body {
        rng,
        signatures,
        builder: FunctionBuilder::new(signature.clone(), "f"),
        regs: signature.params.iter().enumerate().map(|(at, ty)| (Reg(at as u32), *ty)).collect(),
        hints: Vec::new(),
    };
    body.statements(2);
    let value = body.reg(signature.result);
    body.builder.end(Op::Return { value });
    let builder = body.builder;
    signatures.push(signature);
    module.define_exactly(index, builder);
    index
}

/// What a register is likely to hold, so that instructions often get what they want.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Int,
    Text,
    List,
    Map,
    Record,
    Tuple,
    Cell,
    Function,
    Thunk,
}

/// How often an instruction is chosen: those that mostly fail or end the fun are rare.
fn weight(mnemonic: &str) -> usize {
    match mnemonic {
        "raise" | "perform" | "system" | "continuation.clone" | "val.truth" | "val.to.float" | "val.index"
        | "bytes.get" | "bytes.push" | "bytes.len" | "int.div" | "int.rem" | "val.div" | "val.rem" | "val.pow"
        | "float.div" | "float.rem" | "float.to.int" => 1,
        "native" | "label.payload" | "record.get" => 4,
        "call" => 120,
        "list.set" | "list.push" | "list.concat" | "map.insert" | "record.set" | "tuple.get" | "closure" | "apply"
        | "handle" => 30,
        _ => 10,
    }
}

/// What the first operand of an instruction should be, by its mnemonic.
fn wants(mnemonic: &str) -> Option<Hint> {
    if mnemonic == "force" {
        return Some(Hint::Thunk);
    }
    let (what, _) = mnemonic.split_once('.')?;
    match what {
        "val" | "range" => Some(Hint::Int),
        "text" => Some(Hint::Text),
        "list" | "seq" => Some(Hint::List),
        "map" => Some(Hint::Map),
        "record" => Some(Hint::Record),
        "tuple" => Some(Hint::Tuple),
        "cell" => Some(Hint::Cell),
        _ => None,
    }
}

/// What an instruction gives.
fn gives(mnemonic: &str) -> Option<Hint> {
    match mnemonic {
        "val.int" | "val.add" | "val.sub" | "val.mul" | "val.neg" => Some(Hint::Int),
        "text.const" | "text.build" => Some(Hint::Text),
        "list.new" | "list.set" | "list.push" | "list.slice" | "list.concat" => Some(Hint::List),
        "map.new" | "map.insert" | "map.remove" => Some(Hint::Map),
        "record.new" | "record.set" | "record.merge" | "record.without" => Some(Hint::Record),
        "tuple.new" => Some(Hint::Tuple),
        "cell.new" => Some(Hint::Cell),
        "closure" => Some(Hint::Function),
        "thunk.new" => Some(Hint::Thunk),
        _ => None,
    }
}

struct Body<'a> {
    rng: &'a mut Rng,
    signatures: &'a [Signature],
    builder: FunctionBuilder,
    regs: Vec<(Reg, Type)>,
    hints: Vec<(Reg, Hint)>,
}

impl Body<'_> {
    fn statements(&mut self, depth: usize) {
        for _ in 0..self.rng.usize(1..14) {
            if depth > 0 && self.rng.u8(0..6) == 0 {
                self.diamond(depth - 1);
            } else {
                self.instruction();
            }
        }
    }

    /// Two ways and a join that takes a value from each.
    fn diamond(&mut self, depth: usize) {
        let c = self.reg(Type::Int);
        let (yes, no) = (self.builder.label(&[]), self.builder.label(&[]));
        let join = self.builder.label(&[Type::Val, Type::Int]);
        self.builder.branch(c, yes, no);
        for label in [yes, no] {
            self.builder.place(label);
            let (known, hinted) = (self.regs.len(), self.hints.len());
            self.statements(depth);
            let args = vec![self.reg(Type::Val), self.reg(Type::Int)];
            self.builder.jump(join, args);
            self.regs.truncate(known);
            self.hints.truncate(hinted);
        }
        let params = self.builder.place(join);
        self.regs.push((params[0], Type::Val));
        self.regs.push((params[1], Type::Int));
    }

    fn push(&mut self, op: Op, ty: Type) -> Reg {
        let hint = gives(op.info().mnemonic);
        let reg = self.builder.push(op);
        self.hints.extend(hint.map(|hint| (reg, hint)));
        self.regs.push((reg, ty));
        reg
    }

    /// A register of a type, a recent one more often than not; made if there is none.
    fn reg(&mut self, ty: Type) -> Reg {
        let fitting: Vec<Reg> = self.regs.iter().filter(|(_, found)| *found == ty).map(|(reg, _)| *reg).collect();
        if fitting.is_empty() || self.rng.u8(0..8) == 0 {
            return self.constant(ty);
        }
        let recent = fitting.len().saturating_sub(4);
        let from = if self.rng.bool() { recent } else { 0 };
        fitting[self.rng.usize(from..fitting.len())]
    }

    /// A value that fits a hint, most of the time.
    fn hinted(&mut self, hint: Hint) -> Reg {
        if self.rng.u8(0..10) == 0 {
            return self.reg(Type::Val);
        }
        let fitting: Vec<Reg> = self.hints.iter().filter(|(_, found)| *found == hint).map(|(reg, _)| *reg).collect();
        if !fitting.is_empty() && self.rng.u8(0..6) > 0 {
            return fitting[self.rng.usize(0..fitting.len())];
        }
        match hint {
            Hint::Int => {
                let a = self.constant(Type::Int);
                self.push(Op::ValInt { a }, Type::Val)
            }
            Hint::Text => {
                let text = self.text();
                self.push(Op::TextConst { text }, Type::Val)
            }
            Hint::List => {
                let items = self.vals(3);
                self.push(Op::ListNew { items }, Type::Val)
            }
            Hint::Map => self.push(Op::MapNew {}, Type::Val),
            Hint::Record => {
                let items = self.vals(2);
                self.push(Op::RecordNew { names: vec!["a".into(), "b".into()], items }, Type::Val)
            }
            Hint::Cell => {
                let v = self.reg(Type::Val);
                self.push(Op::CellNew { v }, Type::Val)
            }
            Hint::Function | Hint::Thunk => self.reg(Type::Val),
            Hint::Tuple => {
                let items = self.vals(3);
                self.push(Op::TupleNew { items }, Type::Val)
            }
        }
    }

    fn constant(&mut self, ty: Type) -> Reg {
        match ty {
            Type::Int => {
                let value = self.imm();
                self.push(Op::IntConst { value }, ty)
            }
            Type::Float => {
                let value = self.number();
                self.push(Op::FloatConst { value }, ty)
            }
            Type::Val => match self.rng.u8(0..5) {
                0 => self.push(Op::Unit {}, ty),
                1 => {
                    let text = self.text();
                    self.push(Op::TextConst { text }, ty)
                }
                2 => self.push(Op::ListNew { items: Vec::new() }, ty),
                3 => self.push(Op::MapNew {}, ty),
                _ => {
                    let a = self.constant(Type::Int);
                    self.push(Op::ValInt { a }, ty)
                }
            },
        }
    }

    fn imm(&mut self) -> i64 {
        match self.rng.u8(0..24) {
            0 => self.rng.i64(..),
            1 => [i64::MIN, i64::MAX, 1 << 62, -(1 << 62) - 1][self.rng.usize(0..4)],
            _ => self.rng.i64(-3..6),
        }
    }

    fn number(&mut self) -> Float64 {
        let value = [0.0, -0.0, 1.5, -2.0, 1e300, 1e-300, f64::INFINITY, 3.0][self.rng.usize(0..8)];
        Float64::new(value).expect("none of these is NaN")
    }

    fn text(&mut self) -> Text {
        TEXTS[self.rng.usize(0..TEXTS.len())].into()
    }

    fn symbol(&mut self) -> Text {
        SYMBOLS[self.rng.usize(0..SYMBOLS.len())].into()
    }

    fn vals(&mut self, count: usize) -> Vec<Reg> {
        (0..count).map(|_| self.reg(Type::Val)).collect()
    }

    fn instruction(&mut self) {
        let total: usize = OPS.iter().filter(|info| !info.end).map(|info| weight(info.mnemonic)).sum();
        let mut chosen = self.rng.usize(0..total);
        let info = OPS.iter().filter(|info| !info.end).find(|info| {
            let weight = weight(info.mnemonic);
            let found = chosen < weight;
            chosen = chosen.saturating_sub(weight);
            found
        });
        let Some(info) = info else { return };
        let Some(op) = self.special(info).unwrap_or_else(|| self.plain(info)) else { return };
        let ty = match (info.result, op.function()) {
            (ResultKind::Int, _) => Type::Int,
            (ResultKind::Float, _) => Type::Float,
            (ResultKind::Callee, Some(callee)) => self.signatures[callee.index()].result,
            _ => Type::Val,
        };
        self.push(op, ty);
    }

    /// Instructions whose operands depend on each other; `Some(None)` if there is no way to make one here.
    fn special(&mut self, info: &OpInfo) -> Option<Option<Op>> {
        let all_vals: Vec<u32> = (0..self.signatures.len() as u32)
            .filter(|at| {
                let signature = &self.signatures[*at as usize];
                signature.result == Type::Val && signature.params.iter().all(|ty| *ty == Type::Val)
            })
            .collect();
        Some(match info.name {
            "Call" => {
                if self.signatures.is_empty() {
                    return Some(None);
                }
                let f = self.rng.usize(0..self.signatures.len());
                let params = self.signatures[f].params.clone();
                let args = params.into_iter().map(|ty| self.reg(ty)).collect();
                Some(Op::Call { f: FunctionIndex(f as u32), args })
            }
            "Closure" | "ThunkNew" => {
                if all_vals.is_empty() {
                    return Some(None);
                }
                let f = all_vals[self.rng.usize(0..all_vals.len())];
                let params = self.signatures[f as usize].params.len();
                let f = FunctionIndex(f);
                if info.name == "ThunkNew" {
                    Some(Op::ThunkNew { f, captures: self.vals(params) })
                } else {
                    let held = self.rng.usize(0..params);
                    Some(Op::Closure { f, captures: self.vals(held) })
                }
            }
            "Native" => {
                let native = Native::ALL[self.rng.usize(0..Native::ALL.len())];
                Some(Op::Native { native, args: self.vals(native.arity()) })
            }
            "RecordNew" => {
                let names: BTreeSet<Text> = (0..self.rng.usize(0..4)).map(|_| self.symbol()).collect();
                let items = self.vals(names.len());
                Some(Op::RecordNew { names: names.into_iter().collect(), items })
            }
            "Handle" => {
                if !self.hints.iter().any(|(_, hint)| *hint == Hint::Function) {
                    return Some(None);
                }
                let [body, clause, done] = [0; 3].map(|_| self.hinted(Hint::Function));
                let guard = self.push(Op::Unit {}, Type::Val);
                let effects: BTreeSet<Text> = (0..self.rng.usize(0..3)).map(|_| self.symbol()).collect();
                let mode = self.rng.i64(0..3);
                Some(Op::Handle { body, guard, clause, done, effects: effects.into_iter().collect(), mode })
            }
            "Apply" => {
                if !self.hints.iter().any(|(_, hint)| *hint == Hint::Function) {
                    return Some(None);
                }
                let f = self.hinted(Hint::Function);
                let count = self.rng.usize(1..4);
                Some(Op::Apply { f, args: self.vals(count) })
            }
            "TupleIs" => Some(Op::TupleIs { v: self.reg(Type::Val), size: self.rng.i64(0..4) }),
            "TupleGet" => Some(Op::TupleGet { tuple: self.hinted(Hint::Tuple), index: self.rng.i64(0..3) }),
            "ListGet" => {
                let (list, index) = (self.hinted(Hint::List), self.rng.i64(0..3));
                let index = self.push(Op::IntConst { value: index }, Type::Int);
                Some(Op::ListGet { list, index })
            }
            "ListSet" => {
                let (list, index) = (self.hinted(Hint::List), self.rng.i64(0..3));
                let index = self.push(Op::IntConst { value: index }, Type::Int);
                Some(Op::ListSet { list, index, item: self.reg(Type::Val) })
            }
            "BytesConst" => Some(Op::BytesConst { bytes: "\u{0}bytes\u{ff}".into() }),
            _ => return None,
        })
    }

    fn plain(&mut self, info: &OpInfo) -> Option<Op> {
        let hint = wants(info.mnemonic);
        let both = matches!(info.mnemonic, "list.concat" | "record.merge")
            || info.mnemonic.starts_with("val.")
            || info.mnemonic.starts_with("range.");
        let mut fields = Vec::new();
        for (at, (_, kind)) in info.fields.iter().enumerate() {
            fields.push(match (kind, hint) {
                (FieldKind::Val, Some(hint)) if at == 0 || both => Field::Val(self.hinted(hint)),
                _ => self.field(*kind),
            });
        }
        Op::from_fields(info.opcode, fields)
    }

    fn field(&mut self, kind: FieldKind) -> Field {
        match kind {
            FieldKind::Int => Field::Int(self.reg(Type::Int)),
            FieldKind::Float => Field::Float(self.reg(Type::Float)),
            FieldKind::Val => Field::Val(self.reg(Type::Val)),
            FieldKind::Vals => {
                let count = self.rng.usize(0..5);
                Field::Vals(self.vals(count))
            }
            FieldKind::Imm => Field::Imm(self.imm()),
            FieldKind::Number => Field::Number(self.number()),
            FieldKind::Text => Field::Text(self.text()),
            FieldKind::Symbol => Field::Symbol(self.symbol()),
            FieldKind::Symbols => {
                let names: BTreeSet<Text> = (0..self.rng.usize(0..3)).map(|_| self.symbol()).collect();
                Field::Symbols(names.into_iter().collect())
            }
            FieldKind::Args
            | FieldKind::Ret
            | FieldKind::Func
            | FieldKind::Native
            | FieldKind::Target
            | FieldKind::Cases => unreachable!("such operands are made by `special` or end a block"),
        }
    }
}
