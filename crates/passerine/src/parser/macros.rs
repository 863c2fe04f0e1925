//! Macros: what `syntax` declares, and which macro a form uses (reference, section 12).
//!
//! A form is a run of tokens at one bracket level. It is cut into items (operands, operators, pseudokeywords), and each macro's pattern is
//! [matched](super::matching) against all of them. What a variable takes stays a range of tokens until one macro is chosen.

use super::matching::{ItemKind, Matcher, captures};
use super::scope::{Meaning, Scope};
use super::{Parser, Result};
use crate::lexer::TokenKind;
use crate::tree::{Expr, ExprKind, MacroId};
use qualm_ir::diagnostic::{Diagnostic, Label};
use qualm_ir::source::Span;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Steps a match may take; only patterns that repeat in repetitions come near it.
pub(super) const STEPS_MAX: u32 = 100_000;
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
            let end = self.tokens[at.max(1) - 1].span;
            return Err(Diagnostic::syntax("P0080", start, message).also(end, "it goes on to here"));
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
        let id = self.shared.macro_id();
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

    fn is_soft_word(&self, word: &str) -> bool {
        const SOFT: &[&str] = &[
            "if", "match", "while", "for", "handle", "loop", "try", "error", "yield", "switch", "fiber", "and", "or",
            "not", "is",
        ];
        SOFT.contains(&word) && !self.is_declared(word)
    }
}

pub(super) fn names_of(pattern: &[Element], words: &mut Vec<Arc<str>>, variables: &mut Vec<Arc<str>>) {
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
