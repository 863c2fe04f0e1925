//! Calls, operands, accesses, labels, brackets.

use super::scope::Meaning;
use super::{CHAIN_MAX, Parser, Result};
use crate::lexer::{TextPart, TokenKind};
use crate::tree::{Expr, ExprKind, Field, Item, Literal};
use qualm_ir::diagnostic::Diagnostic;
use std::sync::Arc;

/// Words that start a form which must be grouped to be an argument.
const FORM_WORDS: &[&str] = &["if", "match", "while", "for", "handle", "loop"];
/// Words that take a call as their operand.
const APPLIED_WORDS: &[&str] = &["try", "error", "yield", "switch"];
/// Words that stand between operands.
const INFIX_WORDS: &[&str] = &["and", "or", "is"];
/// Words that are never names.
const HARD_WORDS: &[&str] = &["syntax", "type", "effect", "mod", "use", "magic", "macro"];

impl Parser<'_> {
    /// Whether the token `offset` ahead can start an operand.
    pub(super) fn starts_operand(&self, offset: usize) -> bool {
        match self.kind_at(offset) {
            Some(
                TokenKind::Integer(_)
                | TokenKind::Float(_)
                | TokenKind::Text(_)
                | TokenKind::Boolean(_)
                | TokenKind::Label(_),
            ) => true,
            Some(TokenKind::Open(c)) => !(*c == '{' && self.head && offset == 0),
            Some(TokenKind::Ident(name)) if self.stop == Some(&**name) => false,
            Some(TokenKind::Ident(name)) => match self.meaning(name) {
                None => !INFIX_WORDS.contains(&&**name),
                Some(Meaning::Word) => self.single_word_macro(name).is_some(),
                Some(Meaning::Variable | Meaning::MacroVariable) => true,
            },
            _ => false,
        }
    }

    /// Whether the soft word at the cursor is followed by something that can be its operand.
    fn has_operand(&self) -> bool {
        match self.kind_at(1) {
            Some(
                TokenKind::Integer(_)
                | TokenKind::Float(_)
                | TokenKind::Text(_)
                | TokenKind::Boolean(_)
                | TokenKind::Label(_)
                | TokenKind::Open(_),
            ) => true,
            Some(TokenKind::Ident(name)) => {
                self.stop != Some(&**name)
                    && &**name != "with"
                    && (!INFIX_WORDS.contains(&&**name) || self.is_declared(name))
            }
            Some(TokenKind::Op("-")) => {
                let minus = &self.tokens[self.at + 1];
                minus.space_before && !minus.space_after
            }
            _ => false,
        }
    }

    fn is_word_of(&self, words: &[&str]) -> bool {
        matches!(self.kind(), Some(TokenKind::Ident(name)) if words.contains(&&**name) && !self.is_declared(name))
    }

    pub(super) fn call(&mut self) -> Result<Expr> {
        let start = self.span();
        if self.is_word_of(FORM_WORDS) && self.has_operand() {
            return self.word_form();
        }
        let mut function = self.operand()?;
        let mut count = 0;
        while self.starts_operand(0) {
            if self.is_word_of(FORM_WORDS) && self.has_operand() {
                return self.error("P0034", format!("{} must be grouped to be an argument", self.describe()));
            }
            let argument = Box::new(self.operand()?);
            let kind = ExprKind::Call { function: Box::new(function), argument };
            function = Expr { kind, span: self.since(start) };
            count += 1;
            if count > CHAIN_MAX {
                return self.error("P0032", format!("more than {CHAIN_MAX} arguments in a row"));
            }
        }
        Ok(function)
    }

    fn operand(&mut self) -> Result<Expr> {
        self.deeper(|parser| {
            let start = parser.span();
            let Some(kind) = parser.kind() else { return parser.expected("expression") };
            let literal = |parser: &mut Self, literal| {
                parser.at += 1;
                Expr { kind: ExprKind::Literal(literal), span: start }
            };
            let operand = match kind {
                TokenKind::Integer(value) => match i64::try_from(*value) {
                    Ok(value) => literal(parser, Literal::Integer(value)),
                    Err(_) => return parser.error("P0009", "integer literal outside 64 bits"),
                },
                TokenKind::Float(value) => literal(parser, Literal::Float(*value)),
                TokenKind::Boolean(value) => literal(parser, Literal::Boolean(*value)),
                TokenKind::Text(parts) => {
                    parser.at += 1;
                    parser.text(parts, start)?
                }
                TokenKind::Label(_) => return parser.label(),
                TokenKind::Open(c) => parser.brackets(*c)?,
                TokenKind::Ident(name) => {
                    if let Some(applied) = parser.applied()? {
                        return Ok(applied);
                    }
                    parser.identifier(name)?
                }
                _ => return parser.expected("expression"),
            };
            parser.accesses(operand)
        })
    }

    fn text(&mut self, parts: &[TextPart], span: qualm_ir::source::Span) -> Result<Expr> {
        if let [TextPart::Text(text)] = parts {
            return Ok(Expr { kind: ExprKind::Literal(Literal::Text(text.clone())), span });
        }
        let mut exprs = Vec::new();
        for part in parts {
            match part {
                TextPart::Text(text) => {
                    exprs.push(Expr { kind: ExprKind::Literal(Literal::Text(text.clone())), span });
                }
                TextPart::Tokens(tokens, part_span) => exprs.push(self.whole(tokens, part_span.end.saturating_sub(1))?),
            }
        }
        Ok(Expr { kind: ExprKind::Interpolation(exprs), span })
    }

    /// `try`, `error`, `yield` and `switch` with their operand.
    fn applied(&mut self) -> Result<Option<Expr>> {
        if !self.is_word_of(APPLIED_WORDS) {
            return Ok(None);
        }
        let start = self.span();
        if !self.has_operand() {
            let bare = self.is_ident("yield") && !self.is_named_at(1);
            return Ok(bare.then(|| self.bare_yield()));
        }
        let Some(TokenKind::Ident(word)) = self.kind() else { return Ok(None) };
        self.at += 1;
        let operand = Box::new(if self.is_op("-") { self.unary()? } else { self.call()? });
        let kind = match &**word {
            "try" => ExprKind::Try { body: operand, id: self.shared.function() },
            "error" => ExprKind::Error(operand),
            "yield" => ExprKind::Yield(operand),
            _ => ExprKind::Switch(operand),
        };
        Ok(Some(Expr { kind, span: self.since(start) }))
    }

    fn identifier(&mut self, name: &Arc<str>) -> Result<Expr> {
        let start = self.span();
        if HARD_WORDS.contains(&&**name) {
            match &**name {
                "mod" => {
                    self.at += 1;
                    if !self.is_open('{') {
                        return self.expected("`{` after `mod`");
                    }
                    let statements = self.braced_statements()?;
                    return Ok(Expr { kind: ExprKind::Module(statements), span: self.since(start) });
                }
                "magic" => return self.magic(),
                _ => return self.error("P0035", format!("`{name}` is only allowed at the start of a statement")),
            }
        }
        if &**name == "fiber" && !self.is_declared(name) && matches!(self.kind_at(1), Some(TokenKind::Open('{'))) {
            return self.fiber_form();
        }
        match self.meaning(name) {
            Some(Meaning::MacroVariable) => {
                self.at += 1;
                return Ok(Expr { kind: ExprKind::MacroVariable(name.clone()), span: start });
            }
            Some(Meaning::Word) => return self.word_operand(name),
            Some(Meaning::Variable) | None => {}
        }
        self.at += 1;
        let name = self.name(name, start);
        Ok(Expr { kind: ExprKind::Name(name), span: start })
    }

    /// Whether what follows makes the word at the cursor a plain name: it is bound or a parameter.
    fn is_named_at(&self, offset: usize) -> bool {
        matches!(self.kind_at(offset), Some(TokenKind::Op("=" | "->" | ":" | "|")))
    }

    fn magic(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let Some(TokenKind::Text(parts)) = self.kind() else {
            return self.expected("the name of a built-in, as a string,");
        };
        let [TextPart::Text(name)] = &parts[..] else { return self.expected("the name of a built-in, as a string,") };
        if !crate::prelude::is_magic(name, self.trusted) {
            return self.error("P0036", format!("no built-in is called `{name}`"));
        }
        self.at += 1;
        let operand = Box::new(self.operand()?);
        Ok(Expr { kind: ExprKind::Magic { name: name.clone(), operand }, span: self.since(start) })
    }

    // ---- accesses

    /// Whether an access operator stands at `offset`, so that what is before it is its value.
    pub(super) fn is_access_at(&self, offset: usize) -> bool {
        let Some(token) = self.tokens.get(self.at + offset) else { return false };
        let next = self.tokens.get(self.at + offset + 1).map(|token| &token.kind);
        let continues = matches!(
            next,
            Some(TokenKind::Ident(_) | TokenKind::Label(_) | TokenKind::Integer(_) | TokenKind::Open('('))
        );
        match token.kind {
            TokenKind::Op("::") => continues,
            TokenKind::Op(".") => continues && !token.space_before && !token.space_after,
            _ => false,
        }
    }

    fn accesses(&mut self, mut value: Expr) -> Result<Expr> {
        let start = value.span;
        let mut count = 0;
        while self.is_access_at(0) {
            count += 1;
            if count > CHAIN_MAX {
                return self.error("P0032", format!("more than {CHAIN_MAX} accesses in a row"));
            }
            let dot = self.is_op(".");
            self.at += 1;
            let span = self.span();
            let boxed = Box::new(value);
            let kind = match self.kind() {
                Some(TokenKind::Ident(name)) => {
                    self.at += 1;
                    ExprKind::Field { value: boxed, field: self.name(name, span), or_call: dot }
                }
                Some(TokenKind::Label(name)) => {
                    self.at += 1;
                    ExprKind::Field { value: boxed, field: self.name(name, span), or_call: false }
                }
                Some(TokenKind::Integer(index)) => {
                    let Ok(index) = i64::try_from(*index) else {
                        return self.error("P0009", "integer literal outside 64 bits");
                    };
                    self.at += 1;
                    let key = Expr { kind: ExprKind::Literal(Literal::Integer(index)), span };
                    ExprKind::Index { value: boxed, key: Box::new(key) }
                }
                _ => {
                    self.at += 1;
                    let key = self.fresh(Self::expr)?;
                    self.close()?;
                    ExprKind::Index { value: boxed, key: Box::new(key) }
                }
            };
            value = Expr { kind, span: self.since(start) };
        }
        Ok(value)
    }

    // ---- labels

    fn label(&mut self) -> Result<Expr> {
        let start = self.span();
        let Some(TokenKind::Label(first)) = self.kind() else { return self.expected("a label") };
        self.at += 1;
        let (mut text, mut span) = (first.clone(), start);
        let mut qualifier: Option<crate::tree::Name> = None;
        while self.is_access_at(0) {
            match self.kind_at(1) {
                Some(TokenKind::Label(next)) => {
                    qualifier = Some(self.name(&text, span));
                    text = next.clone();
                    span = self.tokens[self.at + 1].span;
                    self.at += 2;
                }
                Some(TokenKind::Ident(member)) => {
                    self.at += 2;
                    let label = self.name(&text, span);
                    let kind = ExprKind::LabelMember { label, member: member.clone() };
                    return self.accesses(Expr { kind, span: self.since(start) });
                }
                _ => break,
            }
        }
        let name = self.name(&text, span);
        let payload = if self.is_nullary(&text) { None } else { self.payload()?.map(Box::new) };
        Ok(Expr { kind: ExprKind::Label { name, qualifier, payload }, span: self.since(start) })
    }

    /// The operand directly after a label, if there is one.
    fn payload(&mut self) -> Result<Option<Expr>> {
        if self.is_op("-") {
            let minus = &self.tokens[self.at];
            let number = matches!(self.kind_at(1), Some(TokenKind::Integer(_) | TokenKind::Float(_)));
            if minus.space_before && !minus.space_after && number {
                return self.unary_number().map(Some);
            }
            return Ok(None);
        }
        if !self.starts_operand(0) || (self.is_word_of(FORM_WORDS) && self.has_operand()) {
            return Ok(None);
        }
        self.operand().map(Some)
    }

    fn unary_number(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let literal = match self.kind() {
            Some(TokenKind::Integer(value)) => Literal::Integer((*value as i64).wrapping_neg()),
            Some(TokenKind::Float(value)) => Literal::Float(-value),
            _ => return self.expected("a number"),
        };
        self.at += 1;
        Ok(Expr { kind: ExprKind::Literal(literal), span: self.since(start) })
    }

    // ---- brackets

    fn brackets(&mut self, open: char) -> Result<Expr> {
        let start = self.span();
        match open {
            '(' => {
                self.at += 1;
                if self.is_close() {
                    self.at += 1;
                    return Ok(Expr { kind: ExprKind::Literal(Literal::Unit), span: self.since(start) });
                }
                let inner = self.fresh(Self::expr)?;
                self.close()?;
                Ok(Expr { kind: ExprKind::Group(Box::new(inner)), span: self.since(start) })
            }
            '[' => {
                self.at += 1;
                let items = self.fresh(Self::list_items)?;
                Ok(Expr { kind: ExprKind::List(items), span: self.since(start) })
            }
            _ => self.braces(),
        }
    }

    fn list_items(&mut self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        loop {
            if self.is_close() {
                self.at += 1;
                return Ok(items);
            }
            let start = self.span();
            if self.take_op("..") {
                let value = if self.is_op(",") || self.is_close() { None } else { Some(self.lambda()?) };
                items.push(Item::Spread(value, self.since(start)));
            } else {
                let value = self.lambda()?;
                if self.take_op("..") {
                    items.push(Item::Spread(Some(value), self.since(start)));
                } else if self.take_op("...") {
                    let span = self.since(start);
                    items.push(Item::One(Expr { kind: ExprKind::Repeat(Box::new(value)), span }));
                } else {
                    items.push(Item::One(value));
                }
            }
            if !self.take_op(",") && !self.is_close() {
                return self.expected("`,` or `]`");
            }
        }
    }

    /// A record or a block; which of them is decided by what is inside.
    fn braces(&mut self) -> Result<Expr> {
        let start = self.span();
        if matches!(self.kind_at(1), Some(TokenKind::Op(":"))) && matches!(self.kind_at(2), Some(TokenKind::Close('}')))
        {
            self.at += 3;
            return Ok(Expr { kind: ExprKind::Record(Vec::new()), span: self.since(start) });
        }
        if self.is_record() {
            self.at += 1;
            let fields = self.fresh(Self::record_fields)?;
            return Ok(Expr { kind: ExprKind::Record(fields), span: self.since(start) });
        }
        self.block()
    }

    /// Whether the braces at the cursor hold a record (reference, section 4, "Braces").
    fn is_record(&self) -> bool {
        let mut depth = 0;
        let mut item_start = true;
        let (mut has_mark, mut any) = (false, false);
        for (at, token) in self.tokens.iter().enumerate().skip(self.at) {
            let next = self.tokens.get(at + 1).map(|token| &token.kind);
            match &token.kind {
                TokenKind::Open(_) => depth += 1,
                TokenKind::Close(_) => {
                    depth -= 1;
                    if depth == 0 {
                        return any && has_mark;
                    }
                }
                TokenKind::Separator if depth == 1 => item_start = true,
                TokenKind::Op(",") if depth == 1 => {
                    has_mark = true;
                    item_start = true;
                }
                TokenKind::Op("=") if depth == 1 => return false,
                TokenKind::Op("..") if depth == 1 && item_start => {
                    has_mark = true;
                    any = true;
                    item_start = false;
                }
                TokenKind::Ident(_) | TokenKind::Label(_) if depth == 1 && item_start => {
                    any = true;
                    item_start = false;
                    match next {
                        Some(TokenKind::Op(":")) => has_mark = true,
                        Some(TokenKind::Op(",") | TokenKind::Separator | TokenKind::Close(_)) => {}
                        _ => return false,
                    }
                }
                _ if depth == 1 && item_start => return false,
                _ => {}
            }
        }
        false
    }

    fn record_fields(&mut self) -> Result<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            while self.is_separator() || self.is_op(",") {
                self.at += 1;
            }
            if self.is_close() {
                self.at += 1;
                return Ok(fields);
            }
            let start = self.span();
            if self.take_op("..") {
                let ends = self.is_op(",") || self.is_separator() || self.is_close();
                let value = if ends { None } else { Some(self.lambda()?) };
                fields.push(Field::Spread(value, self.since(start)));
            } else {
                let Some(TokenKind::Ident(name) | TokenKind::Label(name)) = self.kind() else {
                    return self.expected("a field name");
                };
                self.at += 1;
                let twice = fields.iter().any(|field| matches!(field, Field::Named(other, _) if other == name));
                if twice {
                    return Err(Diagnostic::syntax("P0037", start, "field given twice"));
                }
                let value = if self.take_op(":") { self.lambda()? } else { self.shorthand(name, start) };
                fields.push(Field::Named(name.clone(), value));
            }
            if !self.is_op(",") && !self.is_separator() && !self.is_close() {
                return self.error("P0031", format!("unexpected {}", self.describe()));
            }
        }
    }

    /// The value of a field that is given by its name alone.
    fn shorthand(&mut self, name: &Arc<str>, span: qualm_ir::source::Span) -> Expr {
        let kind = match self.meaning(name) {
            Some(Meaning::MacroVariable) => ExprKind::MacroVariable(name.clone()),
            _ => ExprKind::Name(self.name(name, span)),
        };
        Expr { kind, span }
    }

    pub(super) fn block(&mut self) -> Result<Expr> {
        let start = self.span();
        let statements = self.braced_statements()?;
        Ok(Expr { kind: ExprKind::Block(statements), span: self.since(start) })
    }

    fn braced_statements(&mut self) -> Result<Vec<Expr>> {
        self.at += 1;
        let statements = self.fresh(|parser| parser.scoped(Self::statements))?;
        self.close()?;
        Ok(statements)
    }
}
