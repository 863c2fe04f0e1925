//! Matching a form against the pattern of a macro: items, backtracking, what each variable took.

use super::Parser;
use super::macros::{Capture, Captures, Element, Macro, STEPS_MAX, names_of};
use super::scope::Meaning;
use crate::lexer::{Token, TokenKind};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ItemKind {
    Operand,
    Operator,
    Word(Arc<str>),
    Separator,
}

/// Tokens that stand for one thing in a form.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    tokens: Range<usize>,
}

impl Parser<'_> {
    pub(super) fn items(&self, tokens: Range<usize>) -> Vec<Item> {
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
}

/// What a match did, in order.
pub(super) enum Event {
    Took(Arc<str>, Vec<usize>, Range<usize>),
    /// The variables of a repetition go round once more.
    Round(Vec<Arc<str>>, Vec<usize>),
}

/// One attempt to match a macro.
pub(super) struct Matcher<'a, 'p> {
    pub(super) parser: &'a Parser<'p>,
    pub(super) made: &'a Macro,
    /// The form begins with a word of the macro.
    pub(super) prefix: bool,
    pub(super) events: Vec<Event>,
    pub(super) steps: u32,
}

/// Goes on with a match from an item; says whether that succeeds.
pub(super) type Then<'t, 'a, 'p> = &'t mut dyn FnMut(&mut Matcher<'a, 'p>, usize) -> bool;

impl<'a, 'p> Matcher<'a, 'p> {
    /// Matches elements from the item `at`; `beside` says that a variable took the item before.
    pub(super) fn sequence(
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
pub(super) fn captures(pattern: &[Element], events: Vec<Event>) -> Captures {
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
