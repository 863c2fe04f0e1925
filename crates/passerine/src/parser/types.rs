//! Types in tests (reference, sections 4 and 11).

use super::scope::Declared;
use super::{Parser, Result};
use crate::lexer::{TextPart, TokenKind};
use crate::tree::{Literal, Name, Type};
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
                let to = Box::new(parser.type_(true)?);
                let effects = if parser.take_op("/") { parser.effect_row()? } else { Vec::new() };
                return Ok(Type::Function { from: Box::new(ty), to, effects });
            }
            Ok(ty)
        })
    }

    /// `L` or `{ L, M, ..e }`.
    fn effect_row(&mut self) -> Result<Vec<Arc<str>>> {
        let mut effects = Vec::new();
        match self.kind() {
            Some(TokenKind::Label(name)) => {
                effects.push(name.clone());
                self.at += 1;
            }
            Some(TokenKind::Open('{')) => {
                self.at += 1;
                loop {
                    match self.kind() {
                        Some(TokenKind::Close(_)) => {
                            self.at += 1;
                            break;
                        }
                        Some(TokenKind::Label(name)) => {
                            effects.push(name.clone());
                            self.at += 1;
                        }
                        Some(TokenKind::Op("," | "..") | TokenKind::Separator | TokenKind::Ident(_)) => self.at += 1,
                        _ => return self.expected("an effect (a label)"),
                    }
                }
            }
            _ => return self.expected("an effect (a label)"),
        }
        Ok(effects)
    }

    /// A type with a binder and a guard or without: `n: Integer | n >= 0`.
    pub(super) fn bound_type(&mut self) -> Result<Type> {
        let mut binder = None;
        if let Some(TokenKind::Ident(text)) = self.kind()
            && matches!(self.kind_at(1), Some(TokenKind::Op(":")))
        {
            binder = Some(self.name(text, self.span()));
            self.at += 2;
        }
        let ty = self.type_(true)?;
        if !self.take_op("|") {
            return Ok(ty);
        }
        let guard = self.scoped(|parser| {
            if let Some(binder) = &binder {
                parser.declare(&binder.text);
            }
            parser.form()
        })?;
        Ok(Type::Where { binder, ty: Box::new(ty), guard: Box::new(guard) })
    }

    pub(super) fn starts_type(&self) -> bool {
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

    /// How many type arguments a type takes.
    fn type_arity(&self, name: &str) -> Option<usize> {
        match self.declared_label(name) {
            Some(Declared::Type { parameters }) if parameters > 0 => return Some(parameters),
            Some(_) => return None,
            None => {}
        }
        match name {
            "List" | "Option" => Some(1),
            "Result" | "Map" => Some(2),
            _ => None,
        }
    }

    fn type_label(&mut self) -> Result<Type> {
        let name = self.type_name()?;
        if let Some(arity) = self.type_arity(&name.text) {
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

    fn type_name(&mut self) -> Result<Name> {
        let Some(TokenKind::Label(first)) = self.kind() else { return self.expected("a type") };
        let (mut name, mut span) = (first.clone(), self.span());
        self.at += 1;
        while self.is_access_at(0) {
            let Some(TokenKind::Label(next)) = self.kind_at(1) else { break };
            name = next.clone();
            span = self.tokens[self.at + 1].span;
            self.at += 2;
        }
        Ok(self.name(&name, span))
    }

    pub(super) fn type_atom(&mut self) -> Result<Type> {
        let literal = |parser: &mut Self, literal| {
            parser.at += 1;
            Ok(Type::Literal(literal))
        };
        match self.kind() {
            Some(TokenKind::Label(_)) => Ok(Type::Named { name: self.type_name()?, arguments: Vec::new() }),
            Some(TokenKind::Ident(name)) => {
                self.at += 1;
                Ok(Type::Any((&**name != "_").then(|| name.clone())))
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
                let mut items = vec![self.bound_type()?];
                let mut tuple = false;
                while self.take_op(",") {
                    tuple = true;
                    if self.is_close() {
                        break;
                    }
                    items.push(self.bound_type()?);
                }
                self.close()?;
                Ok(if tuple { Type::Tuple(items) } else { items.remove(0) })
            }
            '[' => {
                let item = if self.is_close() { None } else { Some(Box::new(self.bound_type()?)) };
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
                            let ty = if self.take_op(":") { self.bound_type()? } else { Type::Any(None) };
                            fields.push((name.clone(), ty));
                        }
                        _ => return self.expected("a field name"),
                    }
                }
            }
        }
    }
}
