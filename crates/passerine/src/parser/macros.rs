//! Macros: what `syntax` declares, and which macro a form uses (reference, section 12).
//!
//! A form is a run of tokens at one bracket level. It is cut into items (operands, operators, pseudokeywords), and each macro's pattern is
//! matched against all of them, with backtracking. What a variable takes stays a range of tokens until one macro is chosen.

use super::scope::{Meaning, Scope};
use super::{Parser, Result};
use crate::lexer::{Token, TokenKind};
use crate::tree::{Expr, ExprKind, MacroId};
use qualm_ir::diagnostic::{Diagnostic, Label};
use qualm_ir::source::Span;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Steps a match may take; only patterns that repeat in repetitions come near it.
const STEPS_MAX: u32 = 100_000;
/// Words of the language that begin a form of their own.
const FORM_WORDS: &[&str] = &["if", "match", "while", "for", "loop", "handle"];

/// A part of a macro's pattern.
#[derive(Clone, Debug)]
pub(crate) enum Element {
    Word(Arc<str>),
    Variable(Arc<str>),
    Group(Vec<Element>),
    Braces(Vec<Element>),
    Repeat(Vec<Element>),
    Optional(Vec<Element>),
}

/// A macro.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) id: MacroId,
    pub(crate) pattern: Vec<Element>,
    pub(crate) words: Vec<Arc<str>>,
    pub(crate) body: Vec<Expr>,
    /// The names its body binds, with their marks.
    pub(crate) bound: HashSet<(Arc<str>, u32)>,
    /// The module file it comes from and the names that declares, where it was imported.
    pub(crate) home: Option<(usize, Vec<Arc<str>>)>,
    pub(crate) span: Span,
}

impl Macro {
    fn is_single_word(&self) -> bool {
        matches!(self.pattern[..], [Element::Word(_)])
    }
}

/// What a variable took.
#[derive(Clone, Debug)]
pub(crate) enum Capture {
    One(Range<usize>),
    Many(Vec<Capture>),
}

/// What all variables of a macro took.
pub(crate) type Captures = HashMap<Arc<str>, Capture>;

#[derive(Clone, Debug, PartialEq)]
enum ItemKind {
    Operand,
    Operator,
    Word(Arc<str>),
    Separator,
}

/// Tokens that stand for one thing in a form.
#[derive(Clone, Debug)]
struct Item {
    kind: ItemKind,
    tokens: Range<usize>,
}

impl Parser<'_> {
    // ---- declaration

    /// `syntax pattern { body }`
    pub(super) fn syntax_statement(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let first = self.at;
        let mut at = self.at;
        let mut body_at = None;
        while let Some(token) = self.tokens.get(at) {
            match token.kind {
                TokenKind::Separator | TokenKind::Close(_) => break,
                TokenKind::Open(c) => {
                    body_at = (c == '{').then_some(at);
                    at = self.close_of(at) + 1;
                }
                _ => {
                    body_at = None;
                    at += 1;
                }
            }
        }
        let Some(body_at) = body_at.filter(|at| *at > first) else {
            let message = "a macro is `syntax`, a pattern and a body in braces";
            return Err(Diagnostic::syntax("P0080", self.since(start), message));
        };
        let span = start.to(self.tokens[body_at.saturating_sub(1)].span);
        let pattern = self.macro_pattern(first..body_at)?;
        let (mut words, mut variables) = (Vec::new(), Vec::new());
        names_of(&pattern, &mut words, &mut variables);
        if words.is_empty() {
            return Err(Diagnostic::syntax("P0081", span, "a macro pattern needs a pseudokeyword")
                .note("mark a word of it with a quote: `syntax a 'swap b { … }`"));
        }
        let distinct: HashSet<_> = variables.iter().collect();
        if distinct.len() < variables.len() {
            return Err(Diagnostic::syntax("P0082", span, "a macro pattern names a variable twice"));
        }
        self.at = body_at + 1;
        self.scopes.push(Scope::default());
        variables.iter().for_each(|name| self.declare_as(name, Meaning::MacroVariable));
        let body = self.fresh(Self::statements);
        self.scopes.pop();
        let body = body?;
        self.close()?;
        let mut bound = HashSet::new();
        body.iter().for_each(|statement| bound_names(statement, &mut bound));
        let id = self.counters.macro_id();
        let made = Macro { id, pattern, words, body, bound, home: None, span };
        self.add_macro(Rc::new(made));
        Ok(Expr { kind: ExprKind::Syntax(id), span: self.since(start) })
    }

    fn add_macro(&mut self, made: Rc<Macro>) {
        made.words.iter().for_each(|word| self.declare_as(word, Meaning::Word));
        if let Some(scope) = self.scopes.last_mut() {
            scope.macros.push(made);
        }
    }

    /// Brings the macros of a module file into scope.
    pub(super) fn import_macros(&mut self, file: usize) {
        let exports = self.loader.exports(file);
        for found in self.loader.macros(file) {
            let made = Macro {
                id: found.id,
                pattern: found.pattern.clone(),
                words: found.words.clone(),
                body: found.body.clone(),
                bound: found.bound.clone(),
                home: Some(found.home.clone().unwrap_or_else(|| (file, exports.clone()))),
                span: found.span,
            };
            self.add_macro(Rc::new(made));
        }
    }

    fn macro_pattern(&self, tokens: Range<usize>) -> Result<Vec<Element>> {
        let mut elements = Vec::new();
        let mut at = tokens.start;
        while at < tokens.end {
            let token = &self.tokens[at];
            let (element, next) = match &token.kind {
                TokenKind::Word(word) => (Element::Word(word.clone()), at + 1),
                TokenKind::Ident(name) => (Element::Variable(name.clone()), at + 1),
                TokenKind::Open(open @ ('(' | '{')) => {
                    let close = self.close_of(at);
                    let inner = self.macro_pattern(at + 1..close)?;
                    (if *open == '(' { Element::Group(inner) } else { Element::Braces(inner) }, close + 1)
                }
                TokenKind::Separator => {
                    at += 1;
                    continue;
                }
                _ => {
                    let message = "this cannot be part of a macro pattern";
                    return Err(Diagnostic::syntax("P0083", token.span, message)
                        .note("a pattern has 'words, variables, ( … ), { … }, and `...` or `?` after them"));
                }
            };
            at = next;
            let modifier = self.tokens.get(at).filter(|_| at < tokens.end).map(|token| &token.kind);
            let element = match modifier {
                Some(TokenKind::Op("...")) => Element::Repeat(vec![element]),
                Some(TokenKind::Op("?")) => Element::Optional(vec![element]),
                _ => {
                    elements.push(element);
                    continue;
                }
            };
            at += 1;
            elements.push(element);
        }
        Ok(elements)
    }

    // ---- use

    /// The macro of a single word, if the word is one.
    pub(super) fn single_word_macro(&self, word: &str) -> Option<Rc<Macro>> {
        let fits = |made: &&Rc<Macro>| made.is_single_word() && *made.words[0] == *word;
        self.scopes.iter().rev().find_map(|scope| scope.macros.iter().rev().find(fits).cloned())
    }

    /// A pseudokeyword where an operand stands.
    pub(super) fn word_operand(&mut self, word: &Arc<str>) -> Result<Expr> {
        match self.single_word_macro(word) {
            Some(made) => {
                let span = self.span();
                self.at += 1;
                self.expand(&made, &Captures::new(), span)
            }
            None => self.no_macro_fits(std::slice::from_ref(word), &[]),
        }
    }

    fn no_macro_fits<T>(&self, words: &[Arc<str>], candidates: &[Rc<Macro>]) -> Result<T> {
        let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let verb = if words.len() == 1 { "belongs" } else { "belong" };
        let message = format!("{} {verb} to a macro, but no macro fits this form", quoted.join(", "));
        let mut found = Diagnostic::syntax("P0084", self.span(), message);
        found.labels.extend(
            candidates.iter().map(|made| Label { span: made.span, note: Some("this does not fit".to_owned()) }),
        );
        Err(found)
    }

    /// The expansion of the form at the cursor, if it uses a macro.
    pub(super) fn macro_use(&mut self) -> Result<Option<Expr>> {
        if self.scopes.iter().all(|scope| scope.macros.is_empty()) {
            return Ok(None);
        }
        if let Some(TokenKind::Ident(word)) = self.kind()
            && FORM_WORDS.contains(&&**word)
            && !self.is_declared(word)
        {
            return Ok(None);
        }
        let end = self.form_end();
        let form = self.at..end;
        let words = self.macro_words(form.clone());
        if words.is_empty() {
            return Ok(None);
        }
        let span = self.span();
        let items = self.items(form.clone());
        let macros: Vec<Rc<Macro>> = self.scopes.iter().flat_map(|scope| scope.macros.iter().cloned()).collect();
        let begins = |made: &Macro| match (&made.pattern[0], items.first().map(|item| &item.kind)) {
            (Element::Word(word), Some(ItemKind::Word(first))) => word == first,
            _ => false,
        };
        let prefix = macros.iter().any(|made| begins(made));
        let candidates: Vec<Rc<Macro>> = macros
            .into_iter()
            .filter(|made| if prefix { begins(made) } else { !matches!(made.pattern[0], Element::Word(_)) })
            .collect();
        let mut hits = Vec::new();
        for made in &candidates {
            let mut matcher = Matcher { parser: self, made, prefix, events: Vec::new(), steps: 0 };
            let whole = items.len();
            let found = matcher.sequence(&made.pattern, &items, 0, false, &mut |_, at| at == whole);
            if matcher.steps > STEPS_MAX {
                return self.error("P0086", "this form takes too long to match");
            }
            if found {
                let events = std::mem::take(&mut matcher.events);
                hits.push((made.clone(), captures(&made.pattern, events)));
            }
        }
        match <[_; 1]>::try_from(hits) {
            Ok([(made, captured)]) => {
                let span = span.to(self.tokens[end - 1].span);
                let expansion = self.expand(&made, &captured, span)?;
                self.at = end;
                Ok(Some(expansion))
            }
            Err(hits) if hits.is_empty() => self.no_macro_fits(&words, &candidates),
            Err(hits) => {
                let mut found = Diagnostic::syntax("P0085", self.span(), "several macros fit this form");
                found.labels.extend(
                    hits.iter().map(|(made, _)| Label { span: made.span, note: Some("this one fits".to_owned()) }),
                );
                Err(found)
            }
        }
    }

    /// Where the form at the cursor ends.
    fn form_end(&self) -> usize {
        let mut at = self.at;
        let mut operand_before = false;
        while let Some(token) = self.tokens.get(at) {
            let mut operand = true;
            match &token.kind {
                TokenKind::Separator | TokenKind::Close(_) => break,
                TokenKind::Op("," | "=" | "->" | "|" | "=>" | "..." | ":") => break,
                TokenKind::Op(_) => operand = false,
                TokenKind::Ident(word) if self.stop == Some(&**word) => break,
                TokenKind::Ident(word) => {
                    operand = self.meaning(word) != Some(Meaning::Word) && !self.is_soft_word(word);
                }
                TokenKind::Open('{') if self.head && operand_before => break,
                TokenKind::Open(_) => at = self.close_of(at),
                _ => {}
            }
            operand_before = operand;
            at += 1;
        }
        at
    }

    /// The words in a form, outside brackets and not after an access, that make it a use of a macro.
    fn macro_words(&self, form: Range<usize>) -> Vec<Arc<str>> {
        let mut words: Vec<Arc<str>> = Vec::new();
        let mut at = form.start;
        while at < form.end {
            match &self.tokens[at].kind {
                TokenKind::Open(_) => at = self.close_of(at),
                TokenKind::Ident(word)
                    if self.meaning(word) == Some(Meaning::Word)
                        && !self.is_after_access(at, form.start)
                        && !words.contains(word)
                        && self.belongs_to_form(word) =>
                {
                    words.push(word.clone());
                }
                _ => {}
            }
            at += 1;
        }
        words
    }

    /// Whether a word is more than a macro of its own.
    fn belongs_to_form(&self, word: &str) -> bool {
        self.single_word_macro(word).is_none()
            || self
                .scopes
                .iter()
                .flat_map(|scope| &scope.macros)
                .any(|made| !made.is_single_word() && made.words.iter().any(|other| **other == *word))
    }

    fn is_after_access(&self, at: usize, start: usize) -> bool {
        let Some(before) = at.checked_sub(1).filter(|before| *before >= start).map(|before| &self.tokens[before])
        else {
            return false;
        };
        match before.kind {
            TokenKind::Op("::") => true,
            TokenKind::Op(".") => !before.space_before && !before.space_after,
            _ => false,
        }
    }

    // ---- items

    fn items(&self, tokens: Range<usize>) -> Vec<Item> {
        let mut items = Vec::new();
        let mut at = tokens.start;
        while at < tokens.end {
            let (kind, next) = match &self.tokens[at].kind {
                TokenKind::Op(_) => (ItemKind::Operator, at + 1),
                TokenKind::Separator => (ItemKind::Separator, at + 1),
                TokenKind::Ident(word) if self.meaning(word) == Some(Meaning::Word) => {
                    (ItemKind::Word(word.clone()), at + 1)
                }
                _ => (ItemKind::Operand, self.operand_end(at, tokens.end)),
            };
            items.push(Item { kind, tokens: at..next });
            at = next;
        }
        items
    }

    /// Where the operand at `at` ends, its accesses and payload included.
    fn operand_end(&self, at: usize, end: usize) -> usize {
        let token = &self.tokens[at];
        let mut next = match &token.kind {
            TokenKind::Open(_) => self.close_of(at) + 1,
            TokenKind::Label(_) => return self.label_end(at, end),
            TokenKind::Ident(word) if matches!(&**word, "fiber" | "mod") => match self.tokens.get(at + 1) {
                Some(Token { kind: TokenKind::Open('{'), .. }) if at + 1 < end => self.close_of(at + 1) + 1,
                _ => at + 1,
            },
            TokenKind::Ident(word) if &**word == "magic" && at + 2 < end => self.operand_end(at + 2, end),
            _ => at + 1,
        };
        while self.is_access_in(next, end) {
            let bracket = matches!(self.tokens[next + 1].kind, TokenKind::Open(_));
            next = if bracket { self.close_of(next + 1) + 1 } else { next + 2 };
        }
        next.min(end)
    }

    fn is_access_in(&self, at: usize, end: usize) -> bool {
        at + 1 < end && self.is_access_at(at - self.at)
    }

    fn label_end(&self, label: usize, end: usize) -> usize {
        let mut next = label + 1;
        let mut name = label;
        let mut member = false;
        while self.is_access_in(next, end) {
            member = !matches!(self.tokens[next + 1].kind, TokenKind::Label(_));
            name = next + 1;
            let bracket = matches!(self.tokens[name].kind, TokenKind::Open(_));
            next = if bracket { self.close_of(name) + 1 } else { name + 1 };
        }
        let TokenKind::Label(text) = &self.tokens[name].kind else { return next };
        if member || next >= end || self.is_nullary(text) {
            return next;
        }
        let token = &self.tokens[next];
        let number_follows = matches!(
            self.tokens.get(next + 1).map(|token| &token.kind),
            Some(TokenKind::Integer(_) | TokenKind::Float(_))
        );
        match &token.kind {
            TokenKind::Integer(_)
            | TokenKind::Float(_)
            | TokenKind::Text(_)
            | TokenKind::Boolean(_)
            | TokenKind::Label(_)
            | TokenKind::Open(_) => self.operand_end(next, end),
            TokenKind::Ident(word) => match self.meaning(word) {
                Some(Meaning::Word) => next,
                None if matches!(&**word, "and" | "or" | "is") => next,
                _ => self.operand_end(next, end),
            },
            TokenKind::Op("-") if token.space_before && !token.space_after && number_follows && next + 1 < end => {
                next + 2
            }
            _ => next,
        }
    }

    /// The statements in the braces of an item.
    fn braced(&self, item: &Item) -> Option<Vec<Range<usize>>> {
        let open = item.tokens.start;
        if !matches!(self.tokens[open].kind, TokenKind::Open('{')) || self.close_of(open) + 1 != item.tokens.end {
            return None;
        }
        let mut statements = Vec::new();
        let mut start = open + 1;
        let mut at = open + 1;
        while at < item.tokens.end {
            match self.tokens[at].kind {
                TokenKind::Open(_) => at = self.close_of(at),
                TokenKind::Separator | TokenKind::Op(",") | TokenKind::Close(_) => {
                    if start < at {
                        statements.push(start..at);
                    }
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        Some(statements)
    }

    fn is_soft_word(&self, word: &str) -> bool {
        const SOFT: &[&str] = &[
            "if", "match", "while", "for", "handle", "loop", "try", "error", "yield", "switch", "fiber", "and", "or",
            "not", "is",
        ];
        SOFT.contains(&word) && !self.is_declared(word)
    }
}

/// What a match did, in order.
enum Event {
    Took(Arc<str>, Vec<usize>, Range<usize>),
    /// The variables of a repetition go round once more.
    Round(Vec<Arc<str>>, Vec<usize>),
}

/// One attempt to match a macro.
struct Matcher<'a, 'p> {
    parser: &'a Parser<'p>,
    made: &'a Macro,
    /// The form begins with a word of the macro.
    prefix: bool,
    events: Vec<Event>,
    steps: u32,
}

/// Goes on with a match from an item; says whether that succeeds.
type Then<'t, 'a, 'p> = &'t mut dyn FnMut(&mut Matcher<'a, 'p>, usize) -> bool;

impl<'a, 'p> Matcher<'a, 'p> {
    /// Matches elements from the item `at`; `beside` says that a variable took the item before.
    fn sequence(
        &mut self,
        pattern: &[Element],
        items: &[Item],
        at: usize,
        beside: bool,
        then: Then<'_, 'a, 'p>,
    ) -> bool {
        self.within(pattern, items, at, beside, &[], &mut |matcher, at, _| then(matcher, at))
    }

    fn within(
        &mut self,
        pattern: &[Element],
        items: &[Item],
        at: usize,
        beside: bool,
        path: &[usize],
        then: &mut dyn FnMut(&mut Self, usize, bool) -> bool,
    ) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return false;
        }
        let Some((first, rest)) = pattern.split_first() else { return then(self, at, beside) };
        match first {
            Element::Word(word) => {
                self.is_word(items.get(at), word) && self.within(rest, items, at + 1, false, path, then)
            }
            Element::Variable(name) => {
                let most = if beside {
                    usize::from(items.get(at).is_some_and(|item| self.is_single(item)))
                } else {
                    self.reach(items, at)
                };
                for count in (1..=most).rev() {
                    if !beside && items[at + count - 1].kind == ItemKind::Operator {
                        continue;
                    }
                    let tokens = items[at].tokens.start..items[at + count - 1].tokens.end;
                    let mark = self.events.len();
                    self.events.push(Event::Took(name.clone(), path.to_vec(), tokens));
                    if self.within(rest, items, at + count, true, path, then) {
                        return true;
                    }
                    self.events.truncate(mark);
                }
                false
            }
            Element::Group(inner) => self.within(inner, items, at, beside, path, &mut |matcher, at, beside| {
                matcher.within(rest, items, at, beside, path, then)
            }),
            Element::Optional(inner) => {
                let names = variables(inner);
                let mark = self.events.len();
                let mut inside = path.to_vec();
                inside.push(0);
                self.events.push(Event::Round(names, inside.clone()));
                let taken = self.within(inner, items, at, false, &inside, &mut |matcher, next, beside| {
                    matcher.within(rest, items, next, beside, path, then)
                });
                if taken {
                    return true;
                }
                self.events.truncate(mark);
                self.within(rest, items, at, beside, path, then)
            }
            Element::Repeat(inner) => self.repeat(inner, 0, items, at, beside, path, &mut |matcher, at, beside| {
                matcher.within(rest, items, at, beside, path, then)
            }),
            Element::Braces(inner) => {
                let Some(statements) = items.get(at).and_then(|item| self.parser.braced(item)) else { return false };
                self.statements(inner, &statements, 0, path, &mut |matcher| {
                    matcher.within(rest, items, at + 1, false, path, then)
                })
            }
        }
    }

    /// As many rounds as possible, from round `round` on.
    #[allow(clippy::too_many_arguments, reason = "the state of a search")]
    fn repeat(
        &mut self,
        inner: &[Element],
        round: usize,
        items: &[Item],
        at: usize,
        beside: bool,
        path: &[usize],
        then: &mut dyn FnMut(&mut Self, usize, bool) -> bool,
    ) -> bool {
        let mark = self.events.len();
        let mut inside = path.to_vec();
        inside.push(round);
        self.events.push(Event::Round(variables(inner), inside.clone()));
        let more = self.within(inner, items, at, false, &inside, &mut |matcher, next, beside| {
            next > at && matcher.repeat(inner, round + 1, items, next, beside, path, then)
        });
        if more {
            return true;
        }
        self.events.truncate(mark);
        then(self, at, beside)
    }

    /// Matches elements against the statements in braces, one each.
    fn statements(
        &mut self,
        pattern: &[Element],
        statements: &[Range<usize>],
        at: usize,
        path: &[usize],
        then: &mut dyn FnMut(&mut Self) -> bool,
    ) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return false;
        }
        let Some((first, rest)) = pattern.split_first() else { return at == statements.len() && then(self) };
        match first {
            Element::Repeat(inner) => self.repeat_statements(inner, 0, rest, statements, at, path, then),
            Element::Optional(inner) => {
                let mark = self.events.len();
                let mut inside = path.to_vec();
                inside.push(0);
                self.events.push(Event::Round(variables(inner), inside.clone()));
                if at < statements.len()
                    && self.statement(&inner[0], &statements[at], &inside, &mut |matcher| {
                        matcher.statements(rest, statements, at + 1, path, then)
                    })
                {
                    return true;
                }
                self.events.truncate(mark);
                self.statements(rest, statements, at, path, then)
            }
            _ => {
                at < statements.len()
                    && self.statement(first, &statements[at], path, &mut |matcher| {
                        matcher.statements(rest, statements, at + 1, path, then)
                    })
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the state of a search")]
    fn repeat_statements(
        &mut self,
        inner: &[Element],
        round: usize,
        rest: &[Element],
        statements: &[Range<usize>],
        at: usize,
        path: &[usize],
        then: &mut dyn FnMut(&mut Self) -> bool,
    ) -> bool {
        if at < statements.len() {
            let mark = self.events.len();
            let mut inside = path.to_vec();
            inside.push(round);
            self.events.push(Event::Round(variables(inner), inside.clone()));
            if self.statement(&inner[0], &statements[at], &inside, &mut |matcher| {
                matcher.repeat_statements(inner, round + 1, rest, statements, at + 1, path, then)
            }) {
                return true;
            }
            self.events.truncate(mark);
        }
        self.statements(rest, statements, at, path, then)
    }

    /// Matches one element against one statement.
    fn statement(
        &mut self,
        element: &Element,
        tokens: &Range<usize>,
        path: &[usize],
        then: &mut dyn FnMut(&mut Self) -> bool,
    ) -> bool {
        if let Element::Variable(name) = element {
            let mark = self.events.len();
            self.events.push(Event::Took(name.clone(), path.to_vec(), tokens.clone()));
            if then(self) {
                return true;
            }
            self.events.truncate(mark);
            return false;
        }
        let items = self.parser.items(tokens.clone());
        let whole = items.len();
        self.within(std::slice::from_ref(element), &items, 0, false, path, &mut |matcher, at, _| {
            at == whole && then(matcher)
        })
    }

    fn is_word(&self, item: Option<&Item>, word: &str) -> bool {
        match item {
            Some(Item { kind: ItemKind::Word(found), .. }) => **found == *word,
            Some(Item { kind: ItemKind::Operand, tokens }) if tokens.len() == 1 => {
                matches!(&self.parser.tokens[tokens.start].kind, TokenKind::Ident(found) if **found == *word)
            }
            _ => false,
        }
    }

    /// Whether an item alone can be what a variable takes.
    fn is_single(&self, item: &Item) -> bool {
        match &item.kind {
            ItemKind::Operand => true,
            ItemKind::Word(word) => self.parser.single_word_macro(word).is_some() && !self.made.words.contains(word),
            ItemKind::Operator | ItemKind::Separator => false,
        }
    }

    /// How many items from `at` on a variable may take.
    fn reach(&self, items: &[Item], at: usize) -> usize {
        let fits = |item: &&Item| match &item.kind {
            ItemKind::Operand | ItemKind::Operator => true,
            ItemKind::Separator => false,
            ItemKind::Word(word) => {
                !self.made.words.contains(word) && (self.prefix || self.parser.single_word_macro(word).is_some())
            }
        };
        items.get(at..).unwrap_or(&[]).iter().take_while(fits).count()
    }
}

/// Puts together what the variables took.
fn captures(pattern: &[Element], events: Vec<Event>) -> Captures {
    let mut found: Captures = HashMap::new();
    repeated(pattern, false, &mut found);
    for event in events {
        match event {
            Event::Took(name, path, tokens) => {
                if path.is_empty() {
                    found.insert(name, Capture::One(tokens));
                } else if let Some(place) = found.get_mut(&name) {
                    *at_path(place, &path) = Capture::One(tokens);
                }
            }
            Event::Round(names, path) => {
                for name in names {
                    if let Some(place) = found.get_mut(&name) {
                        at_path(place, &path);
                    }
                }
            }
        }
    }
    found
}

/// Every variable under a repetition took nothing so far.
fn repeated(pattern: &[Element], inside: bool, found: &mut Captures) {
    for element in pattern {
        match element {
            Element::Word(_) => {}
            Element::Variable(name) if inside => {
                found.insert(name.clone(), Capture::Many(Vec::new()));
            }
            Element::Variable(_) => {}
            Element::Group(inner) | Element::Braces(inner) => repeated(inner, inside, found),
            Element::Repeat(inner) | Element::Optional(inner) => repeated(inner, true, found),
        }
    }
}

fn at_path<'c>(place: &'c mut Capture, path: &[usize]) -> &'c mut Capture {
    let Some((first, rest)) = path.split_first() else { return place };
    if let Capture::One(_) = place {
        *place = Capture::Many(Vec::new());
    }
    match place {
        Capture::Many(items) => {
            while items.len() <= *first {
                items.push(Capture::Many(Vec::new()));
            }
            at_path(&mut items[*first], rest)
        }
        Capture::One(_) => unreachable!("it was made one of many"),
    }
}

fn variables(pattern: &[Element]) -> Vec<Arc<str>> {
    let (mut words, mut names) = (Vec::new(), Vec::new());
    names_of(pattern, &mut words, &mut names);
    names
}

fn names_of(pattern: &[Element], words: &mut Vec<Arc<str>>, variables: &mut Vec<Arc<str>>) {
    for element in pattern {
        match element {
            Element::Word(word) => words.push(word.clone()),
            Element::Variable(name) => variables.push(name.clone()),
            Element::Group(inner) | Element::Braces(inner) | Element::Repeat(inner) | Element::Optional(inner) => {
                names_of(inner, words, variables);
            }
        }
    }
}

/// Names bound anywhere in a body.
fn bound_names(expr: &Expr, bound: &mut HashSet<(Arc<str>, u32)>) {
    let mut patterns = Vec::new();
    match &expr.kind {
        ExprKind::Assign { pattern, .. } | ExprKind::For { pattern, .. } => patterns.push(&**pattern),
        ExprKind::Lambda(lambda) => patterns.extend(&lambda.params),
        ExprKind::Match { branches, .. } => patterns.extend(branches.iter().map(|branch| &branch.pattern)),
        ExprKind::Handle(handler) => {
            for branch in &handler.branches {
                patterns.extend([&branch.operation, &branch.continuation]);
            }
            patterns.extend(handler.done.iter().map(|branch| &branch.pattern));
        }
        ExprKind::Use(used) => {
            patterns.extend(used.fields.iter().flatten().map(|(_, pattern)| pattern));
            patterns.extend(&used.whole);
        }
        _ => {}
    }
    for pattern in patterns {
        pattern.for_each_binder(&mut |name| {
            bound.insert((name.text.clone(), name.mark));
        });
    }
    crate::lower::for_each_child(expr, &mut |child| bound_names(child, bound));
}
