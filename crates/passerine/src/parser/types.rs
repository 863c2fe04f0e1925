//! Types in tests (reference, sections 4 and 11).

use super::{Parser, Result};
use crate::lexer::{TextPart, TokenKind};
use crate::tree::{Literal, Type};
use std::sync::Arc;

impl Parser<'_> {
    /// A type; function types only where `arrow` allows them.
    pub(super) fn type_(&mut self, arrow: bool) -> Result<Type> {
        self.deeper(|parser| {
            let ty = match parser.kind() {
                Some(TokenKind::Label(_)) => parser.type_label()?,
                _ => parser.type_atom()?,
            };
            if arrow && parser.take_op("->") {
                parser.type_(true)?;
                if parser.take_op("/") {
                    parser.type_atom()?;
                }
                return Ok(Type::Function);
            }
            Ok(ty)
        })
    }

    fn starts_type(&self) -> bool {
        match self.kind() {
            Some(
                TokenKind::Integer(_)
                | TokenKind::Float(_)
                | TokenKind::Text(_)
                | TokenKind::Boolean(_)
                | TokenKind::Label(_),
            ) => true,
            Some(TokenKind::Open(c)) => !(*c == '{' && self.head),
            Some(TokenKind::Ident(name)) => &**name == "_",
            _ => false,
        }
    }

    /// How many type arguments a built-in type takes.
    fn type_arity(name: &str) -> Option<usize> {
        match name {
            "List" | "Option" => Some(1),
            "Result" | "Map" => Some(2),
            _ => None,
        }
    }

    fn type_label(&mut self) -> Result<Type> {
        let name = self.type_name()?;
        if let Some(arity) = Self::type_arity(&name) {
            let mut arguments = Vec::new();
            while arguments.len() < arity && self.starts_type() {
                arguments.push(self.type_atom()?);
            }
            return Ok(Type::Named { name, arguments });
        }
        if self.is_op("-") {
            let minus = &self.tokens[self.at];
            if minus.space_before && !minus.space_after {
                let payload = Box::new(self.type_atom()?);
                return Ok(Type::Labelled { name, payload });
            }
        }
        if self.starts_type() {
            let payload = match self.kind() {
                Some(TokenKind::Label(_)) => self.type_label()?,
                _ => self.type_atom()?,
            };
            return Ok(Type::Labelled { name, payload: Box::new(payload) });
        }
        Ok(Type::Named { name, arguments: Vec::new() })
    }

    fn type_name(&mut self) -> Result<Arc<str>> {
        let Some(TokenKind::Label(first)) = self.kind() else { return self.expected("a type") };
        let mut name = first.clone();
        self.at += 1;
        while self.is_access_at(0) {
            let Some(TokenKind::Label(next)) = self.kind_at(1) else { break };
            name = next.clone();
            self.at += 2;
        }
        Ok(name)
    }

    fn type_atom(&mut self) -> Result<Type> {
        let literal = |parser: &mut Self, literal| {
            parser.at += 1;
            Ok(Type::Literal(literal))
        };
        match self.kind() {
            Some(TokenKind::Label(_)) => Ok(Type::Named { name: self.type_name()?, arguments: Vec::new() }),
            Some(TokenKind::Ident(_)) => {
                self.at += 1;
                Ok(Type::Any)
            }
            Some(TokenKind::Integer(value)) => literal(self, Literal::Integer(*value as i64)),
            Some(TokenKind::Float(value)) => literal(self, Literal::Float(*value)),
            Some(TokenKind::Boolean(value)) => literal(self, Literal::Boolean(*value)),
            Some(TokenKind::Text(parts)) => match &parts[..] {
                [TextPart::Text(text)] => literal(self, Literal::Text(text.clone())),
                _ => self.error("P0043", "a string in a type has no interpolation"),
            },
            Some(TokenKind::Op("-")) => {
                self.at += 1;
                match self.kind() {
                    Some(TokenKind::Integer(value)) => literal(self, Literal::Integer((*value as i64).wrapping_neg())),
                    Some(TokenKind::Float(value)) => literal(self, Literal::Float(-value)),
                    _ => self.expected("a number"),
                }
            }
            Some(TokenKind::Open(c)) => {
                let open = *c;
                self.fresh(|parser| parser.type_group(open))
            }
            _ => self.expected("a type"),
        }
    }

    fn type_group(&mut self, open: char) -> Result<Type> {
        self.at += 1;
        match open {
            '(' => {
                if self.is_close() {
                    self.at += 1;
                    return Ok(Type::Literal(Literal::Unit));
                }
                let mut items = vec![self.type_(true)?];
                let mut tuple = false;
                while self.take_op(",") {
                    tuple = true;
                    if self.is_close() {
                        break;
                    }
                    items.push(self.type_(true)?);
                }
                self.close()?;
                Ok(if tuple { Type::Tuple(items) } else { items.remove(0) })
            }
            '[' => {
                let item = if self.is_close() { None } else { Some(Box::new(self.type_(true)?)) };
                self.close()?;
                Ok(Type::List(item))
            }
            _ => {
                let mut fields = Vec::new();
                loop {
                    match self.kind() {
                        Some(TokenKind::Close(_)) => {
                            self.at += 1;
                            return Ok(Type::Record(fields));
                        }
                        Some(TokenKind::Separator | TokenKind::Op("," | "..")) => self.at += 1,
                        Some(TokenKind::Ident(name) | TokenKind::Label(name)) => {
                            self.at += 1;
                            let ty = if self.take_op(":") { self.type_(true)? } else { Type::Any };
                            fields.push((name.clone(), ty));
                        }
                        _ => return self.expected("a field name"),
                    }
                }
            }
        }
    }
}
