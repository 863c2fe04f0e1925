//! Patterns as tests and bindings (reference, section 10).
//!
//! A test that fails jumps: in branches to the next branch, elsewhere to a block that raises `Match` with what was expected and what
//! was found.

use crate::lower::Lowerer;
use crate::tree::{Literal, Pattern, PatternKind};
use qualm_ir::builder::Label;
use qualm_ir::op::Op;
use qualm_ir::types::{Reg, Type as RegType, kind_number};

/// Where a failed test goes.
#[derive(Clone, Copy)]
pub(crate) enum Miss {
    /// To this label.
    Go(Label),
    /// To this label, with a message and the value it is about.
    Tell(Label),
}

impl<'a> Lowerer<'a> {
    /// Binds a pattern or goes to `miss`.
    pub(crate) fn bind_or_go(&mut self, pattern: &'a Pattern, value: Reg, miss: Label) {
        self.bind(pattern, value, Miss::Go(miss));
    }

    /// Binds a pattern or raises `Match`.
    pub(crate) fn bind_or_raise(&mut self, pattern: &'a Pattern, value: Reg) {
        if let PatternKind::Variable(_) | PatternKind::Discard = pattern.kind {
            // Nothing can miss.
            let nowhere = self.builder().label(&[]);
            return self.bind(pattern, value, Miss::Go(nowhere));
        }
        let told = self.builder().label(&[RegType::Val, RegType::Val]);
        let span = self.builder().span();
        let before = self.env().clone();
        self.bind(pattern, value, Miss::Tell(told));
        // What a handler resumes the error with stands for every variable of the pattern.
        let after = self.env().clone();
        let mut bound: Vec<_> =
            after.iter().filter(|(var, reg)| before.get(var) != Some(reg)).map(|(var, _)| *var).collect();
        bound.sort();
        let types: Vec<RegType> = bound.iter().map(|var| self.type_of(after[var])).collect();
        let join = self.builder().label(&types);
        let args = bound.iter().map(|var| after[var]).collect();
        self.builder().jump(join, args);
        let params = self.builder().place(told);
        self.builder().set_span(span);
        let raised = self.raise_told(params[0], params[1]);
        let instead = types.iter().map(|ty| self.coerced(raised, *ty)).collect();
        self.builder().jump(join, instead);
        let joined = self.builder().place(join);
        for ((var, reg), ty) in bound.into_iter().zip(joined).zip(types) {
            self.note(reg, ty);
            self.env().insert(var, reg);
        }
    }

    pub(crate) fn miss(&mut self, miss: Miss, message: &str, value: Reg) {
        match miss {
            Miss::Go(label) => self.builder().jump(label, Vec::new()),
            Miss::Tell(label) => {
                let message = self.text_const(message);
                self.builder().jump(label, vec![message, value]);
            }
        }
    }

    /// Goes on if `c` holds, else misses.
    pub(crate) fn test(&mut self, c: Reg, miss: Miss, message: &str, value: Reg) {
        let pass = self.builder().label(&[]);
        match miss {
            Miss::Go(label) => self.builder().branch(c, pass, label),
            Miss::Tell(_) => {
                let fail = self.builder().label(&[]);
                self.builder().branch(c, pass, fail);
                self.builder().place(fail);
                self.miss(miss, message, value);
            }
        }
        self.builder().place(pass);
    }

    pub(crate) fn bind(&mut self, pattern: &'a Pattern, value: Reg, miss: Miss) {
        match &pattern.kind {
            // A stray variable of a macro was reported when names were resolved.
            PatternKind::Discard | PatternKind::MacroVariable(_) => {}
            PatternKind::Variable(name) => self.bind_variable(name.id, value),
            PatternKind::Literal(literal) => {
                let expected = self.literal_reg(literal);
                let c = self.push(Op::ValEq { a: value, b: expected });
                self.test(c, miss, &format!("expected {}, found ", literal_name(literal)), value);
            }
            PatternKind::Label { name, payload } => {
                let c = self.push(Op::LabelIs { v: value, name: name.clone() });
                self.test(c, miss, &format!("expected label {name}, found "), value);
                let item = self.push(Op::LabelPayload { v: value });
                match payload {
                    Some(payload) => self.bind(payload, item, miss),
                    None => {
                        let c = self.push(Op::TupleIs { v: item, size: 0 });
                        self.test(c, miss, "expected (), found ", item);
                    }
                }
            }
            PatternKind::Tuple(items) => {
                let size = items.len() as i64;
                let c = self.push(Op::TupleIs { v: value, size });
                let message = if items.is_empty() {
                    "expected (), found ".to_owned()
                } else {
                    format!("expected a tuple of {size} items, found ")
                };
                self.test_kind(c, "Tuple", "expected a tuple, found ", miss, &message, value);
                // All items first, so that they can move out of the tuple together.
                let regs: Vec<Reg> = (0..size).map(|index| self.push(Op::TupleGet { tuple: value, index })).collect();
                for (item, reg) in items.iter().zip(regs) {
                    self.bind(item, reg, miss);
                }
            }
            PatternKind::List { before, rest, after } => self.bind_list(before, rest.as_ref(), after, value, miss),
            PatternKind::Record { fields, rest } => {
                let c = self.push(Op::RecordIs { v: value });
                self.test(c, miss, "expected a record, found ", value);
                for (name, field) in fields {
                    let c = self.push(Op::RecordHas { v: value, name: name.clone() });
                    self.test(c, miss, &format!("no field {name} in "), value);
                    let item = self.push(Op::RecordGet { v: value, name: name.clone() });
                    self.bind(field, item, miss);
                }
                if let Some(rest) = rest {
                    let mut names: Vec<_> = fields.iter().map(|(name, _)| name.clone()).collect();
                    names.sort();
                    names.dedup();
                    let item = self.push(Op::RecordWithout { v: value, names });
                    self.bind(rest, item, miss);
                }
            }
            PatternKind::Or(alternatives) => self.bind_alternatives(alternatives, value, miss),
            PatternKind::Is { pattern, ty } => {
                self.type_test(ty, None, value, miss);
                self.bind(pattern, value, miss);
            }
            PatternKind::Where { pattern, guard } => {
                self.bind(pattern, value, miss);
                let (pass, fail) = (self.builder().label(&[]), self.builder().label(&[]));
                self.guard(guard, pass, fail);
                self.builder().place(fail);
                self.miss(miss, "guard refused ", value);
                self.builder().place(pass);
            }
        }
    }

    /// A test of shape that has two messages: another kind, or the kind in another size.
    fn test_kind(&mut self, c: Reg, kind: &str, other: &str, miss: Miss, message: &str, value: Reg) {
        let pass = self.builder().label(&[]);
        match miss {
            Miss::Go(label) => self.builder().branch(c, pass, label),
            Miss::Tell(_) => {
                let fail = self.builder().label(&[]);
                self.builder().branch(c, pass, fail);
                self.builder().place(fail);
                let (same, different) = (self.builder().label(&[]), self.builder().label(&[]));
                let kinds: &[&str] = if kind == "Tuple" { &["Tuple", "Unit"] } else { &["List"] };
                self.demand_any(value, kinds, different);
                self.go_to(same);
                self.builder().place(same);
                self.miss(miss, message, value);
                self.builder().place(different);
                self.miss(miss, other, value);
            }
        }
        self.builder().place(pass);
    }

    fn bind_list(
        &mut self,
        before: &'a [Pattern],
        rest: Option<&'a Option<Box<Pattern>>>,
        after: &'a [Pattern],
        value: Reg,
        miss: Miss,
    ) {
        let count = (before.len() + after.len()) as i64;
        let length = self.push(Op::ListLen { v: value });
        let least = self.push(Op::IntConst { value: count });
        let (c, message) = if rest.is_some() {
            (self.push(Op::IntLe { a: least, b: length }), format!("expected a list of at least {count} items, found "))
        } else {
            (self.push(Op::IntEq { a: length, b: least }), format!("expected a list of {count} items, found "))
        };
        self.test_kind(c, "List", "expected a list, found ", miss, &message, value);
        let mut items = Vec::new();
        for (at, item) in before.iter().enumerate() {
            let index = self.push(Op::IntConst { value: at as i64 });
            items.push((item, self.push(Op::ListGet { list: value, index })));
        }
        for (at, item) in after.iter().enumerate() {
            let index = self.push(Op::IntConst { value: at as i64 - after.len() as i64 });
            items.push((item, self.push(Op::ListGet { list: value, index })));
        }
        // The rest comes last: if the list dies here, it becomes the rest in place.
        let rest = rest.and_then(Option::as_ref).map(|rest| {
            let from = self.push(Op::IntConst { value: before.len() as i64 });
            let end = if after.is_empty() { i64::MAX } else { -(after.len() as i64) };
            let to = self.push(Op::IntConst { value: end });
            (&**rest, self.push(Op::ListSlice { list: value, from, to }))
        });
        for (item, reg) in items.into_iter().chain(rest) {
            self.bind(item, reg, miss);
        }
    }

    fn bind_alternatives(&mut self, alternatives: &'a [Pattern], value: Reg, miss: Miss) {
        let mut names = Vec::new();
        alternatives[0].for_each_binder(&mut |name| names.extend(self.names().meaning(name.id)));
        names.sort();
        names.dedup();
        names.retain(|var| self.names().var(*var).storage() == crate::names::Storage::Register);
        let join = self.builder().label(&vec![RegType::Val; names.len()]);
        let before = self.env().clone();
        for alternative in alternatives {
            let next = self.builder().label(&[]);
            *self.env() = before.clone();
            self.bind(alternative, value, Miss::Go(next));
            let args = names.iter().map(|var| self.env()[var]).collect();
            self.builder().jump(join, args);
            self.builder().place(next);
        }
        self.miss(miss, "no alternative fits ", value);
        let params = self.builder().place(join);
        for (var, reg) in names.into_iter().zip(params) {
            self.env().insert(var, reg);
        }
    }

    pub(crate) fn go_to(&mut self, label: Label) {
        self.builder().jump(label, Vec::new());
    }

    pub(crate) fn is_kind(&mut self, value: Reg, name: &str) -> Reg {
        let kind = self.push(Op::ValKind { v: value });
        let wanted = self.push(Op::IntConst { value: kind_number(name) });
        self.push(Op::IntEq { a: kind, b: wanted })
    }

    pub(crate) fn demand_any(&mut self, value: Reg, kinds: &[&str], miss: Label) {
        let pass = self.builder().label(&[]);
        for (at, kind) in kinds.iter().enumerate() {
            let c = self.is_kind(value, kind);
            if at + 1 == kinds.len() {
                self.builder().branch(c, pass, miss);
            } else {
                let next = self.builder().label(&[]);
                self.builder().branch(c, pass, next);
                self.builder().place(next);
            }
        }
        self.builder().place(pass);
    }
}

pub(crate) fn literal_name(literal: &Literal) -> String {
    match literal {
        Literal::Unit => "()".into(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Integer(value) => value.to_string(),
        Literal::Float(value) => format!("{value:?}"),
        Literal::Text(text) => {
            let mut out = String::from("\"");
            for c in text.chars() {
                match c {
                    '"' | '\\' | '{' => {
                        out.push('\\');
                        out.push(c);
                    }
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\0' => out.push_str("\\0"),
                    c => out.push(c),
                }
            }
            out.push('"');
            out
        }
    }
}
