//! The two printed forms of values: display (a string is its characters) and value form (everything reads as data). What is still to
//! be printed is a vector, so depth costs no native stack. What is printed can be exponentially larger than the value (parts are shared), so
//! every form has a limit.

use crate::failure::Failure;
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::{Immediate, Kind, Tag, Value};
use std::fmt::Write;

/// Bytes of a value in a message, at most; what is left out is an ellipsis.
const TOLD_BYTES_MAX: usize = 1 << 16;

/// Something still to be printed.
enum Piece {
    Value(Value),
    /// A payload: in parentheses if it is a label with a payload.
    Payload(Value),
    Symbol(u32),
    Text(&'static str),
}

impl Heap {
    /// The display form, for messages.
    pub fn display(&self, value: Value) -> String {
        match self.as_text(value) {
            Some(text) => text.to_owned(),
            None => self.repr(value),
        }
    }

    /// Appends the display form.
    ///
    /// # Errors
    /// `Overflow` if it does not fit in the fiber.
    pub(crate) fn display_into(&self, out: &mut String, value: Value) -> Result<(), Failure> {
        let fits = match self.as_text(value) {
            Some(text) => {
                out.push_str(text);
                out.len() <= self.most_bytes()
            }
            None => self.repr_into(out, value, self.most_bytes()),
        };
        if fits { Ok(()) } else { Err(too_large()) }
    }

    /// The value form, for messages: cut where it becomes very long.
    pub fn repr(&self, value: Value) -> String {
        let mut out = String::new();
        if !self.repr_into(&mut out, value, TOLD_BYTES_MAX) {
            out.push('…');
        }
        out
    }

    /// The whole value form.
    ///
    /// # Errors
    /// `Overflow` if it does not fit in the fiber.
    pub fn whole_repr(&self, value: Value) -> Result<String, Failure> {
        let mut out = String::new();
        if self.repr_into(&mut out, value, self.most_bytes()) { Ok(out) } else { Err(too_large()) }
    }

    fn most_bytes(&self) -> usize {
        self.most_words.saturating_mul(8)
    }

    /// Whether all of it fitted.
    fn repr_into(&self, out: &mut String, value: Value, most: usize) -> bool {
        let mut open = vec![Piece::Value(value)];
        while let Some(piece) = open.pop() {
            if out.len() > most {
                return false;
            }
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Symbol(number) => out.push_str(self.statics.symbol(number)),
                Piece::Value(value) => self.print_one(out, value, most, &mut open),
                Piece::Payload(value) => {
                    if value.as_object(Kind::Label).is_some() {
                        out.push('(');
                        open.push(Piece::Text(")"));
                    }
                    open.push(Piece::Value(value));
                }
            }
        }
        out.len() <= most
    }

    fn print_one(&self, out: &mut String, value: Value, most: usize, open: &mut Vec<Piece>) {
        if let Some(text) = self.as_text(value) {
            return quote(out, text, most);
        }
        if let Some(number) = self.as_int(value) {
            let _ = write!(out, "{number}");
            return;
        }
        if let Some(number) = self.as_float(value) {
            let _ = write!(out, "{number:?}");
            return;
        }
        match value.tag() {
            Tag::Immediate(Immediate::Unit, _) => out.push_str("()"),
            Tag::Immediate(Immediate::False, _) => out.push_str("false"),
            Tag::Immediate(Immediate::True, _) => out.push_str("true"),
            Tag::Immediate(Immediate::Symbol, number) => out.push_str(self.statics.symbol(number)),
            Tag::Reference(Kind::Tuple, offset) => {
                let items = self.payload(offset);
                sequence(open, "(", items, if items.len() == 1 { ",)" } else { ")" });
            }
            Tag::Reference(Kind::List, _) => sequence(open, "[", self.items(value), "]"),
            Tag::Reference(Kind::Label, offset) => {
                open.push(Piece::Payload(self.peek(offset, 1)));
                open.push(Piece::Text(" "));
                open.push(Piece::Value(self.peek(offset, 0)));
            }
            Tag::Reference(Kind::Record, _) => {
                let fields = self.record_fields(value).unwrap_or_default();
                if fields.is_empty() {
                    out.push_str("{:}");
                    return;
                }
                open.push(Piece::Text(" }"));
                for (at, (name, item)) in fields.into_iter().enumerate().rev() {
                    open.push(Piece::Value(item));
                    open.push(Piece::Text(": "));
                    open.push(Piece::Symbol(name));
                    open.push(Piece::Text(if at == 0 { "{ " } else { ", " }));
                }
            }
            Tag::Reference(Kind::Map, offset) => {
                open.push(Piece::Text("]"));
                for (at, (key, item)) in self.map_pairs(offset).into_iter().enumerate().rev() {
                    open.push(Piece::Text(")"));
                    open.push(Piece::Value(item));
                    open.push(Piece::Text(", "));
                    open.push(Piece::Value(key));
                    open.push(Piece::Text(if at == 0 { "(" } else { ", (" }));
                }
                open.push(Piece::Text("Map ["));
            }
            Tag::Reference(Kind::Range, offset) => {
                let through = self.peek(offset, 2) == Value::TRUE;
                open.push(Piece::Value(self.peek(offset, 1)));
                open.push(Piece::Text(if through { "..=" } else { ".." }));
                open.push(Piece::Value(self.peek(offset, 0)));
            }
            Tag::Reference(Kind::Bytes, _) => {
                let bytes = self.as_bytes(value).unwrap_or(&[]);
                let _ = write!(out, "Bytes {:?}", &bytes[..bytes.len().min(most)]);
            }
            Tag::Immediate(..) | Tag::Reference(..) | Tag::Int(_) | Tag::Float(_) => {
                out.push_str(self.kind_name(value))
            }
        }
    }
}

fn too_large() -> Failure {
    Failure::new(Known::Overflow, "result too large")
}

fn sequence(open: &mut Vec<Piece>, start: &'static str, items: &[u64], end: &'static str) {
    open.push(Piece::Text(end));
    for (at, item) in items.iter().enumerate().rev() {
        open.push(Piece::Value(Value(*item)));
        if at > 0 {
            open.push(Piece::Text(", "));
        }
    }
    open.push(Piece::Text(start));
}

/// A string in value form, no more of it than fits.
fn quote(out: &mut String, text: &str, most: usize) {
    out.push('"');
    for c in text.chars() {
        if out.len() > most {
            return;
        }
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '{' => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out.push('"');
}
