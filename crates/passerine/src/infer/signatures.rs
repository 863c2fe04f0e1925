//! The types of the prelude, read from `prelude/types.txt`.

use super::constraints::{Constraint, Kind};
use super::ty::{Con, GENERIC, Node, Ty, Types};
use qualm_ir::source::{SourceId, Span};
use std::collections::HashMap;
use std::sync::Arc;

const TABLE: &str = include_str!("../prelude/types.txt");

/// A type for each use of a name, with what must hold of its variables.
#[derive(Clone)]
pub(super) struct Scheme {
    pub(super) ty: Ty,
    pub(super) constraints: Vec<Constraint>,
}

/// Reads the table: types by the names the prelude gives them (`list__get` for `List.get`).
pub(super) fn read(types: &mut Types) -> HashMap<String, Scheme> {
    let mut found = HashMap::new();
    for line in TABLE.lines() {
        let Some((names, text)) = line.split_once(" : ").filter(|_| !line.starts_with('#')) else { continue };
        let tokens = tokens(text);
        let mut reader = Reader { types, tokens: &tokens, at: 0, variables: HashMap::new(), constraints: Vec::new() };
        let ty = reader.ty();
        let scheme = Scheme { ty, constraints: reader.constraints };
        for name in names.split_whitespace() {
            let name = match name.split_once('.') {
                Some((label, member)) => format!("{}__{member}", label.to_lowercase()),
                None => name.to_owned(),
            };
            found.insert(name, scheme.clone());
        }
    }
    found
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut token = String::from(c);
        if c.is_alphanumeric() {
            while let Some(next) = chars.peek().filter(|next| next.is_alphanumeric() || **next == '_') {
                token.push(*next);
                chars.next();
            }
        } else if c == '-' {
            token.extend(chars.next());
        }
        tokens.push(token);
    }
    tokens
}

struct Reader<'a> {
    types: &'a mut Types,
    tokens: &'a [String],
    at: usize,
    variables: HashMap<String, Ty>,
    constraints: Vec<Constraint>,
}

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn variable(&mut self, name: &str) -> Ty {
        if let Some(var) = self.variables.get(name) {
            return *var;
        }
        let var = self.types.add(Node::Free(GENERIC));
        self.variables.insert(name.to_owned(), var);
        var
    }

    fn constrain(&mut self, kind: Kind, a: Ty, b: Ty) {
        let span = Span { source: SourceId(0), start: 0, end: 0 };
        self.constraints.push(Constraint { kind, a, b, result: Types::DYNAMIC, span, spans: [span, span] });
    }

    fn ty(&mut self) -> Ty {
        let from = self.application();
        if !self.take("->") {
            return from;
        }
        let to = self.ty();
        let effects = if self.take("/") {
            let name = self.peek().to_owned();
            self.at += 1;
            if name.starts_with(char::is_uppercase) {
                let rest = self.types.add(Node::Free(GENERIC));
                self.types.add(Node::Extend(Arc::from(name), Types::UNIT, rest))
            } else {
                self.variable(&name)
            }
        } else {
            self.types.add(Node::Free(GENERIC))
        };
        self.types.function(from, to, effects)
    }

    fn application(&mut self) -> Ty {
        if self.take("it") {
            let item = self.atom();
            let of = self.types.add(Node::Free(GENERIC));
            self.constrain(Kind::Iterate, of, item);
            return of;
        }
        let con = match self.peek() {
            "Map" => Con::Map,
            "Result" => Con::Result,
            _ => return self.atom(),
        };
        self.at += 1;
        let arguments = vec![self.atom(), self.atom()];
        self.types.con(con, arguments)
    }

    fn atom(&mut self) -> Ty {
        let token = self.peek().to_owned();
        self.at += 1;
        let ty = match &*token {
            "Integer" => Types::INTEGER,
            "Float" => Types::FLOAT,
            "String" => Types::STRING,
            "Boolean" => Types::BOOLEAN,
            "Snapshot" => self.types.con(Con::Snapshot, Vec::new()),
            "Process" => self.types.con(Con::Process, Vec::new()),
            "dyn" => Types::DYNAMIC,
            "[" => {
                let item = self.ty();
                self.at += 1;
                self.types.list(item)
            }
            "(" => {
                let mut items = Vec::new();
                while self.peek() != ")" {
                    items.push(self.ty());
                    self.take(",");
                }
                self.at += 1;
                if items.len() == 1 { items[0] } else { self.types.add(Node::Tuple(items)) }
            }
            "number" => {
                let known = self.variables.contains_key("number");
                let var = self.variable("number");
                if !known {
                    self.constrain(Kind::Number, var, var);
                }
                var
            }
            name => self.variable(name),
        };
        if self.take("?") { self.types.option(ty) } else { ty }
    }
}
