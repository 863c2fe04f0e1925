//! Sets, `let`, and paths of attributes.

use super::{Frame, Level, Parsed, Parser, PathFor, Rank, Step};
use crate::Problem;
use crate::token::Kind;
use crate::tree::{Attr, AttrName, AttrValue, Expr, ExprId, SetId, Symbol};

/// What definitions belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    Set,
    Let,
    /// `let { … }`, whose value is that of `body`.
    OldLet,
}

/// Definitions that are not all there yet.
pub(super) struct Bindings {
    set: SetId,
    at: u32,
    of: Of,
}

impl Parser<'_> {
    pub(super) fn begin_set(&mut self, at: u32, recursive: bool) -> Parsed<Step> {
        let set = self.tree.add_set(recursive);
        self.bindings(Box::new(Bindings { set, at, of: Of::Set }))
    }

    pub(super) fn begin_let(&mut self, at: u32) -> Parsed<Step> {
        let set = self.tree.add_set(true);
        self.bindings(Box::new(Bindings { set, at, of: Of::Let }))
    }

    pub(super) fn begin_old_let(&mut self, at: u32) -> Parsed<Step> {
        let set = self.tree.add_set(true);
        self.bindings(Box::new(Bindings { set, at, of: Of::OldLet }))
    }

    /// The next definition, or the end.
    pub(super) fn bindings(&mut self, bindings: Box<Bindings>) -> Parsed<Step> {
        let token = self.token();
        match (token.kind, bindings.of) {
            (Kind::CloseBrace, Of::Set | Of::OldLet) => {
                self.next();
                let set = self.tree.add(Expr::Set(bindings.set), bindings.at);
                if bindings.of == Of::Set {
                    return Ok(Step::Have(set, Rank::Primary));
                }
                let body = AttrName::Static(self.tree.symbol(b"body"));
                let select = self.tree.add(Expr::Select(set, vec![body], None), bindings.at);
                Ok(Step::Have(select, Rank::Primary))
            }
            (Kind::In, Of::Let) => {
                self.next();
                if let Some((name, _)) = self.tree.set(bindings.set).dynamic.first() {
                    let at = self.tree.place(*name) as usize;
                    return Err(Problem::new(at, "dynamic attributes not allowed in let"));
                }
                self.frames.push(Frame::LetBody(bindings.at, bindings.set));
                Ok(Step::Want(Level::Any))
            }
            (Kind::Inherit, _) => {
                self.next();
                if self.accept(Kind::Open) {
                    self.frames.push(Frame::InheritFrom(bindings));
                    return Ok(Step::Want(Level::Any));
                }
                self.inherit(bindings, None)
            }
            (Kind::Name | Kind::Or | Kind::StringStart | Kind::Interpolation, _) => {
                self.path(PathFor::Binding(bindings), Vec::new(), token.start)
            }
            (_, Of::Let) => Err(self.unexpected("'in'")),
            _ => Err(self.unexpected("'}'")),
        }
    }

    /// The names after `inherit` or `inherit (e)`.
    pub(super) fn inherit(&mut self, bindings: Box<Bindings>, from: Option<ExprId>) -> Parsed<Step> {
        let value = match from {
            None => AttrValue::Inherited,
            Some(from) => {
                let sources = &mut self.tree.set_mut(bindings.set).sources;
                sources.push(from);
                AttrValue::From(sources.len() as u32 - 1)
            }
        };
        while !self.accept(Kind::Semicolon) {
            let at = self.token().start;
            let name = match self.kind() {
                Kind::Name | Kind::Or => {
                    let token = self.next();
                    self.symbol_of(token)
                }
                Kind::StringStart => match self.plain_string() {
                    Some(name) => name,
                    None => return Err(Problem::new(at as usize, "dynamic attributes not allowed in inherit")),
                },
                Kind::Interpolation => {
                    self.next();
                    let name = if self.kind() == Kind::StringStart { self.plain_string() } else { None };
                    match name {
                        Some(name) if self.accept(Kind::CloseBrace) => name,
                        _ => return Err(Problem::new(at as usize, "dynamic attributes not allowed in inherit")),
                    }
                }
                _ => return Err(self.unexpected("';'")),
            };
            self.insert(bindings.set, name, Attr { at, value })?;
        }
        Ok(Step::Bindings(bindings))
    }

    fn insert(&mut self, set: SetId, name: Symbol, attr: Attr) -> Parsed<()> {
        match self.tree.set(set).attrs.get(&name) {
            Some(known) => Err(self.twice(name, known.at, attr.at)),
            None => {
                self.tree.set_mut(set).attrs.insert(name, attr);
                Ok(())
            }
        }
    }

    fn twice(&self, name: Symbol, first: u32, again: u32) -> Problem {
        let name = String::from_utf8_lossy(self.tree.name(name)).into_owned();
        let (line, column) = crate::line_and_column(self.source, first as usize);
        let origin = &self.context.origin;
        let message = format!("attribute '{name}' already defined at {origin}:{line}:{column}");
        Problem::new(again as usize, message)
    }

    /// Adds `path = value`; sets that are written there are merged.
    pub(super) fn define(&mut self, bindings: &Bindings, path: &[AttrName], at: u32, value: ExprId) -> Parsed<()> {
        let Some((last, steps)) = path.split_last() else { return Ok(()) };
        let mut set = bindings.set;
        for step in steps {
            set = match step {
                AttrName::Static(name) => match self.tree.set(set).attrs.get(name).copied() {
                    Some(known) => self.set_of(known.value).ok_or_else(|| self.twice(*name, known.at, at))?,
                    None => {
                        let inner = self.tree.add_set(false);
                        let expr = self.tree.add(Expr::Set(inner), at);
                        let attr = Attr { at, value: AttrValue::Plain(expr) };
                        self.tree.set_mut(set).attrs.insert(*name, attr);
                        inner
                    }
                },
                AttrName::Dynamic(name) => {
                    let inner = self.tree.add_set(false);
                    let expr = self.tree.add(Expr::Set(inner), at);
                    self.tree.set_mut(set).dynamic.push((*name, expr));
                    inner
                }
            };
        }
        let name = match last {
            AttrName::Static(name) => *name,
            AttrName::Dynamic(name) => {
                self.tree.set_mut(set).dynamic.push((*name, value));
                return Ok(());
            }
        };
        let attr = Attr { at, value: AttrValue::Plain(value) };
        let Some(known) = self.tree.set(set).attrs.get(&name).copied() else { return self.insert(set, name, attr) };
        match (self.set_of(known.value), self.set_of(attr.value)) {
            (Some(into), Some(from)) => self.merge(into, from),
            _ => Err(self.twice(name, known.at, at)),
        }
    }

    /// The set that a definition is, if it is one that is written there.
    fn set_of(&self, value: AttrValue) -> Option<SetId> {
        match value {
            AttrValue::Plain(expr) => match self.tree.expr(expr) {
                Expr::Set(set) => Some(*set),
                _ => None,
            },
            AttrValue::Inherited | AttrValue::From(_) => None,
        }
    }

    fn merge(&mut self, into: SetId, from: SetId) -> Parsed<()> {
        let from = std::mem::take(self.tree.set_mut(from));
        let before = self.tree.set(into).sources.len() as u32;
        self.tree.set_mut(into).sources.extend(from.sources);
        self.tree.set_mut(into).dynamic.extend(from.dynamic);
        let mut attrs: Vec<(Symbol, Attr)> = from.attrs.into_iter().collect();
        attrs.sort_unstable_by_key(|(_, attr)| attr.at);
        for (name, mut attr) in attrs {
            if let AttrValue::From(number) = &mut attr.value {
                *number += before;
            }
            self.insert(into, name, attr)?;
        }
        Ok(())
    }

    // ---- paths of attributes

    /// The next name of a path.
    pub(super) fn path(&mut self, owner: PathFor, mut names: Vec<AttrName>, at: u32) -> Parsed<Step> {
        match self.kind() {
            Kind::Name | Kind::Or => {
                let token = self.next();
                names.push(AttrName::Static(self.symbol_of(token)));
                self.path_goes_on(owner, names, at)
            }
            Kind::StringStart => match self.plain_string() {
                Some(name) => {
                    names.push(AttrName::Static(name));
                    self.path_goes_on(owner, names, at)
                }
                None => {
                    self.frames.push(Frame::PathText(owner, names, at));
                    self.begin_text()
                }
            },
            Kind::Interpolation => {
                self.next();
                self.frames.push(Frame::PathName(owner, names, at));
                Ok(Step::Want(Level::Any))
            }
            _ => Err(self.unexpected("identifier")),
        }
    }

    /// After a name of a path.
    pub(super) fn path_goes_on(&mut self, owner: PathFor, mut names: Vec<AttrName>, at: u32) -> Parsed<Step> {
        // A computed name that is a constant is a name.
        if let Some(AttrName::Dynamic(name)) = names.last().copied()
            && let Expr::Text(text) = self.tree.expr(name).clone()
            && let Some(last) = names.last_mut()
        {
            *last = AttrName::Static(self.tree.symbol(&text));
        }
        if self.accept(Kind::Dot) {
            return Ok(Step::Path(owner, names, at));
        }
        match owner {
            PathFor::Select(of) => {
                if self.accept(Kind::Or) {
                    self.frames.push(Frame::Default(of, names, at));
                    return Ok(Step::Want(Level::Simple));
                }
                Ok(Step::Have(self.tree.add(Expr::Select(of, names, None), at), Rank::Selected))
            }
            PathFor::Has(of) => {
                if self.kind() == Kind::Question {
                    return Err(self.unexpected(""));
                }
                Ok(Step::Have(self.tree.add(Expr::Has(of, names), at), Rank::Applied))
            }
            PathFor::Binding(bindings) => {
                self.expect(Kind::Assign)?;
                self.frames.push(Frame::Binding(bindings, names, at));
                Ok(Step::Want(Level::Any))
            }
        }
    }
}
