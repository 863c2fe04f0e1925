//! Types as people read them (reference, section 19).

use super::constraints::{Constraint, Kind};
use super::ty::{Con, Node, Ty, Types};
use std::collections::HashMap;
use std::fmt::Write;

/// Parts of a type shown, at most.
const PARTS_MAX: usize = 400;

/// Names given to variables so far.
#[derive(Default)]
struct Printer {
    names: HashMap<Ty, String>,
    out: String,
    parts: usize,
}

/// Types in messages are cut after so many characters.
const MESSAGE_CHARS_MAX: usize = 200;

impl Types {
    /// A type alone.
    pub(super) fn show(&mut self, ty: Ty) -> String {
        let mut printer = Printer::default();
        printer.ty(self, ty, false);
        match printer.out.char_indices().nth(MESSAGE_CHARS_MAX) {
            None => printer.out,
            Some((end, _)) => format!("{}…", &printer.out[..end]),
        }
    }

    /// A type with what must hold of its variables.
    pub(super) fn show_scheme(&mut self, ty: Ty, constraints: &[Constraint]) -> String {
        let mut printer = Printer::default();
        printer.ty(self, ty, false);
        let mut said: Vec<String> = Vec::new();
        for constraint in constraints {
            let outer = std::mem::take(&mut printer.out);
            printer.constraint(self, constraint);
            let text = std::mem::replace(&mut printer.out, outer);
            if !text.is_empty() && !said.contains(&text) {
                said.push(text);
            }
        }
        if !said.is_empty() {
            let _ = write!(printer.out, " | {}", said.join(", "));
        }
        printer.out
    }
}

impl Printer {
    fn name(&mut self, var: Ty) -> String {
        let count = self.names.len();
        let letter = |at: usize| char::from(b'a' + (at % 26) as u8);
        self.names
            .entry(var)
            .or_insert_with(|| match count / 26 {
                0 => letter(count).to_string(),
                round => format!("{}{round}", letter(count)),
            })
            .clone()
    }

    /// `atom`: where an application or a function needs parentheses.
    fn ty(&mut self, types: &mut Types, ty: Ty, atom: bool) {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            self.out.push('…');
            return;
        }
        let root = types.find(ty);
        match types.node(root) {
            Node::Free(_) | Node::Link(_) => {
                let name = self.name(root);
                self.out.push_str(&name);
            }
            Node::Dynamic => self.out.push('?'),
            Node::Con(Con::List, arguments) => {
                self.out.push('[');
                self.ty(types, arguments[0], false);
                self.out.push(']');
            }
            Node::Con(con, arguments) => {
                let grouped = atom && !arguments.is_empty();
                self.out.push_str(if grouped { "(" } else { "" });
                self.out.push_str(con.name());
                for argument in arguments {
                    self.out.push(' ');
                    self.ty(types, argument, true);
                }
                self.out.push_str(if grouped { ")" } else { "" });
            }
            Node::Tuple(items) => {
                self.out.push('(');
                let count = items.len();
                for (at, item) in items.into_iter().enumerate() {
                    self.out.push_str(if at == 0 { "" } else { ", " });
                    self.ty(types, item, false);
                }
                self.out.push_str(if count == 1 { ",)" } else { ")" });
            }
            Node::Function(from, to, effects) => {
                self.out.push_str(if atom { "(" } else { "" });
                let is_function = matches!(types.node(from), Node::Function(..));
                self.ty(types, from, is_function);
                self.out.push_str(" -> ");
                self.ty(types, to, false);
                self.effects(types, effects);
                self.out.push_str(if atom { ")" } else { "" });
            }
            Node::Record(row) => {
                let (mut fields, end) = types.row(row);
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                fields.dedup_by(|a, b| a.0 == b.0);
                if fields.is_empty() && types.node(end) == Node::Empty {
                    self.out.push_str("{:}");
                    return;
                }
                self.out.push_str("{ ");
                for (at, (name, field)) in fields.into_iter().enumerate() {
                    let _ = write!(self.out, "{}{name}: ", if at == 0 { "" } else { ", " });
                    self.ty(types, field, false);
                }
                self.row_end(types, end);
                self.out.push_str(" }");
            }
            Node::Variant(row) => {
                let (mut labels, end) = types.row(row);
                labels.sort_by(|a, b| a.0.cmp(&b.0));
                labels.dedup_by(|a, b| a.0 == b.0);
                self.out.push('<');
                for (at, (name, payload)) in labels.into_iter().enumerate() {
                    let _ = write!(self.out, "{}{name}", if at == 0 { "" } else { ", " });
                    if types.node(payload) != Node::Tuple(Vec::new()) {
                        self.out.push(' ');
                        self.ty(types, payload, true);
                    }
                }
                self.row_end(types, end);
                self.out.push('>');
            }
            Node::Extend(..) | Node::Empty => self.out.push_str("{}"),
        }
    }

    fn row_end(&mut self, types: &mut Types, end: Ty) {
        match types.node(end) {
            Node::Free(_) => {
                let name = self.name(end);
                let _ = write!(self.out, " | {name}");
            }
            Node::Dynamic => self.out.push_str(" | ?"),
            _ => {}
        }
    }

    /// Effects; an open end says nothing that a reader needs.
    fn effects(&mut self, types: &mut Types, row: Ty) {
        let (labels, _) = types.row(row);
        let mut names: Vec<_> = labels.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        match &names[..] {
            [] => {}
            [one] => {
                let _ = write!(self.out, " / {one}");
            }
            _ => {
                let _ = write!(self.out, " / {{ {} }}", names.join(", "));
            }
        }
    }

    fn constraint(&mut self, types: &mut Types, constraint: &Constraint) {
        match constraint.kind {
            Kind::Arithmetic(op) => {
                self.ty(types, constraint.a, true);
                let _ = write!(self.out, " {} ", op.sign());
                self.ty(types, constraint.b, true);
                self.out.push_str(" = ");
                self.ty(types, constraint.result, true);
            }
            Kind::Order | Kind::Dot => {}
            Kind::Number => {
                self.ty(types, constraint.a, true);
                self.out.push_str(": number");
            }
            Kind::Iterate => {
                self.ty(types, constraint.a, true);
                self.out.push_str(" of ");
                self.ty(types, constraint.b, true);
            }
        }
    }
}
