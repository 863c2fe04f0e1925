//! What a macro becomes: a copy of its body with the expressions its variables took.
//!
//! Hygiene (reference, section 12): names that the body binds get the mark of this expansion, other names of the body remember the macro,
//! so that [`names`](crate::names) looks them up where the macro is declared; what the variables took is left as it is.

use super::macros::{Capture, Captures, Macro};
use super::{Parser, Result};
use crate::tree::{
    Branch, Expr, ExprKind, Field, Handler, HandlerBranch, Item, Lambda, MacroId, Name, Pattern, PatternKind, Shape,
    Type, TypeDeclaration, Use, Variant,
};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::source::Span;
use std::collections::HashMap;
use std::sync::Arc;

/// Names of one expansion in a program may be this many.
const EXPANSIONS_MAX: u32 = 1 << 20;

/// What a variable stands for in an expansion.
#[derive(Clone)]
enum Stand {
    One(Expr),
    Many(Vec<Stand>),
}

impl Parser<'_> {
    /// Expands a macro.
    pub(super) fn expand(&mut self, made: &Macro, captures: &Captures, span: Span) -> Result<Expr> {
        let mut stands = HashMap::new();
        for (name, capture) in captures {
            stands.insert(name.clone(), self.stand(capture)?);
        }
        let marks: HashMap<(Arc<str>, u32), u32> =
            made.bound.iter().map(|name| (name.clone(), self.shared.mark())).collect();
        if self.shared.mark() > EXPANSIONS_MAX {
            return self.error("P0087", "the macros of this program expand too far");
        }
        let mut copier = Copier { parser: self, made: Some(made), marks, stands, span: Some(span) };
        let mut body = copier.statements(&made.body)?;
        let alone = body.len() == 1 && !matches!(body[0].kind, ExprKind::Assign { .. } | ExprKind::Use(_));
        let expansion = match body.pop() {
            Some(only) if alone => Expr { kind: ExprKind::Group(Box::new(only)), span },
            last => {
                body.extend(last);
                Expr { kind: ExprKind::Splice(body), span }
            }
        };
        self.declare_bound(&expansion);
        Ok(expansion)
    }

    fn stand(&mut self, capture: &Capture) -> Result<Stand> {
        match capture {
            Capture::One(tokens) => {
                let end = self.tokens[tokens.end - 1].span.end;
                self.deeper(|parser| parser.whole(&parser.tokens[tokens.clone()], end)).map(Stand::One)
            }
            Capture::Many(all) => all.iter().map(|one| self.stand(one)).collect::<Result<_>>().map(Stand::Many),
        }
    }
}

/// Copies a tree with names and functions of its own.
struct Copier<'a, 'p> {
    parser: &'a mut Parser<'p>,
    /// The macro whose body is copied; nothing for what a variable took.
    made: Option<&'a Macro>,
    marks: HashMap<(Arc<str>, u32), u32>,
    stands: HashMap<Arc<str>, Stand>,
    /// The use, whose place everything of the body gets.
    span: Option<Span>,
}

impl Copier<'_, '_> {
    fn place(&self, span: Span) -> Span {
        self.span.unwrap_or(span)
    }

    fn name(&mut self, name: &Name) -> Name {
        let (mut mark, mut origin) = (name.mark, name.origin);
        if let Some(made) = self.made {
            match self.marks.get(&(name.text.clone(), name.mark)) {
                Some(fresh) => mark = *fresh,
                None if mark == 0 && origin == MacroId(0) => origin = made.id,
                None => {}
            }
        }
        let id = self.parser.shared.name();
        let body = if self.made.is_some() { name.body.or(Some(name.span)) } else { name.body };
        Name { text: name.text.clone(), mark, origin, id, span: self.place(name.span), body }
    }

    /// A copy of what a variable took.
    fn taken(&mut self, expr: &Expr) -> Result<Expr> {
        let mut copier =
            Copier { parser: self.parser, made: None, marks: HashMap::new(), stands: HashMap::new(), span: None };
        copier.expr(expr)
    }

    fn variable(&mut self, text: &Arc<str>, span: Span) -> Result<Expr> {
        match self.stands.get(text).cloned() {
            Some(stand) => self.stand_value(&stand, span),
            // Of a macro around this one.
            None => Ok(Expr { kind: ExprKind::MacroVariable(text.clone()), span: self.place(span) }),
        }
    }

    /// A repeated variable on its own is the list of what it took.
    fn stand_value(&mut self, stand: &Stand, span: Span) -> Result<Expr> {
        match stand {
            Stand::One(expr) => self.taken(expr),
            Stand::Many(all) => {
                let items = all.iter().map(|one| self.stand_value(one, span).map(Item::One)).collect::<Result<_>>()?;
                Ok(Expr { kind: ExprKind::List(items), span: self.place(span) })
            }
        }
    }

    /// `e...`: a copy of `e` for each round of the repeated variables in it.
    fn repeat(&mut self, inner: &Expr) -> Result<Vec<Expr>> {
        let mut names = Vec::new();
        macro_variables(inner, &mut names);
        let mut rounds: Option<usize> = None;
        let mut repeated = Vec::new();
        for name in names {
            if let Some(Stand::Many(all)) = self.stands.get(&name) {
                if rounds.is_some_and(|rounds| rounds != all.len()) {
                    let message = "the variables repeated here took different numbers of expressions";
                    return Err(Diagnostic::syntax("P0088", self.place(inner.span), message));
                }
                rounds = Some(all.len());
                repeated.push((name, all.clone()));
            }
        }
        let Some(rounds) = rounds else {
            if self.made.is_none() {
                // The variables belong to a macro around this one.
                let kept = self.expr(inner)?;
                let span = kept.span;
                return Ok(vec![Expr { kind: ExprKind::Repeat(Box::new(kept)), span }]);
            }
            return Err(Diagnostic::syntax(
                "P0089",
                self.place(inner.span),
                "`...` needs a repeated variable of the macro",
            ));
        };
        let outer = self.stands.clone();
        let mut copies = Vec::new();
        for round in 0..rounds {
            for (name, all) in &repeated {
                self.stands.insert(name.clone(), all[round].clone());
            }
            copies.push(self.expr(inner)?);
        }
        self.stands = outer;
        Ok(copies)
    }

    fn statements(&mut self, statements: &[Expr]) -> Result<Vec<Expr>> {
        let mut copies = Vec::new();
        for statement in statements {
            match &statement.kind {
                ExprKind::Repeat(inner) => copies.extend(self.repeat(inner)?),
                _ => copies.push(self.expr(statement)?),
            }
        }
        Ok(copies)
    }

    fn exprs(&mut self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn boxed(&mut self, expr: &Expr) -> Result<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    fn expr(&mut self, expr: &Expr) -> Result<Expr> {
        let span = self.place(expr.span);
        let kind = match &expr.kind {
            ExprKind::MacroVariable(text) => return self.variable(text, expr.span),
            ExprKind::Repeat(inner) => ExprKind::Repeat(self.boxed(inner)?),
            ExprKind::Literal(_) | ExprKind::NativeFunction(_) | ExprKind::File(_) | ExprKind::Syntax(_) => {
                expr.kind.clone()
            }
            ExprKind::Interpolation(parts) => ExprKind::Interpolation(self.exprs(parts)?),
            ExprKind::Name(name) => match self.home_field(name) {
                Some(field) => field,
                None => ExprKind::Name(self.name(name)),
            },
            ExprKind::Label { name, qualifier, payload } => ExprKind::Label {
                name: self.name(name),
                qualifier: qualifier.as_ref().map(|name| self.name(name)),
                payload: payload.as_ref().map(|payload| self.boxed(payload)).transpose()?,
            },
            ExprKind::LabelMember { label, member } => {
                ExprKind::LabelMember { label: self.name(label), member: member.clone() }
            }
            ExprKind::Group(inner) => ExprKind::Group(self.boxed(inner)?),
            ExprKind::Tuple(items) => ExprKind::Tuple(self.exprs(items)?),
            ExprKind::List(items) => ExprKind::List(self.items(items)?),
            ExprKind::Record(fields) => {
                let mut copies = Vec::new();
                for field in fields {
                    copies.push(match field {
                        Field::Named(name, value) => Field::Named(name.clone(), self.expr(value)?),
                        Field::Spread(value, span) => {
                            Field::Spread(value.as_ref().map(|value| self.expr(value)).transpose()?, self.place(*span))
                        }
                    });
                }
                ExprKind::Record(copies)
            }
            ExprKind::Block(statements) => ExprKind::Block(self.statements(statements)?),
            ExprKind::Module(statements) => ExprKind::Module(self.statements(statements)?),
            ExprKind::Splice(statements) => ExprKind::Splice(self.statements(statements)?),
            ExprKind::Assign { pattern, value } => {
                ExprKind::Assign { pattern: Box::new(self.pattern(pattern)?), value: self.boxed(value)? }
            }
            ExprKind::Lambda(lambda) => ExprKind::Lambda(Box::new(self.lambda(lambda)?)),
            ExprKind::Call { function, argument } => {
                ExprKind::Call { function: self.boxed(function)?, argument: self.boxed(argument)? }
            }
            ExprKind::Field { value, field, or_call } => {
                ExprKind::Field { value: self.boxed(value)?, field: self.name(field), or_call: *or_call }
            }
            ExprKind::Index { value, key } => ExprKind::Index { value: self.boxed(value)?, key: self.boxed(key)? },
            ExprKind::Binary { op, left, right } => {
                ExprKind::Binary { op: *op, left: self.boxed(left)?, right: self.boxed(right)? }
            }
            ExprKind::Negate(inner) => ExprKind::Negate(self.boxed(inner)?),
            ExprKind::Not(inner) => ExprKind::Not(self.boxed(inner)?),
            ExprKind::And(left, right) => ExprKind::And(self.boxed(left)?, self.boxed(right)?),
            ExprKind::Or(left, right) => ExprKind::Or(self.boxed(left)?, self.boxed(right)?),
            ExprKind::Range { from, to, through } => {
                ExprKind::Range { from: self.boxed(from)?, to: self.boxed(to)?, through: *through }
            }
            ExprKind::Is { value, ty, negated } => {
                ExprKind::Is { value: self.boxed(value)?, ty: self.type_(ty)?, negated: *negated }
            }
            ExprKind::If { condition, yes, no } => ExprKind::If {
                condition: self.boxed(condition)?,
                yes: self.boxed(yes)?,
                no: no.as_ref().map(|no| self.boxed(no)).transpose()?,
            },
            ExprKind::Match { value, branches } => {
                let value = self.boxed(value)?;
                ExprKind::Match { value, branches: branches.iter().map(|one| self.branch(one)).collect::<Result<_>>()? }
            }
            ExprKind::While { condition, body } => {
                ExprKind::While { condition: self.boxed(condition)?, body: self.boxed(body)? }
            }
            ExprKind::For { pattern, items, body } => ExprKind::For {
                pattern: Box::new(self.pattern(pattern)?),
                items: self.boxed(items)?,
                body: self.boxed(body)?,
            },
            ExprKind::Try { body, .. } => ExprKind::Try { body: self.boxed(body)?, id: self.parser.shared.function() },
            ExprKind::Error(inner) => ExprKind::Error(self.boxed(inner)?),
            ExprKind::Handle(handler) => ExprKind::Handle(Box::new(self.handler(handler)?)),
            ExprKind::Fiber { body, .. } => {
                ExprKind::Fiber { body: self.boxed(body)?, id: self.parser.shared.function() }
            }
            ExprKind::Yield(inner) => ExprKind::Yield(self.boxed(inner)?),
            ExprKind::Switch(inner) => ExprKind::Switch(self.boxed(inner)?),
            ExprKind::Magic { name, operand } => ExprKind::Magic { name: name.clone(), operand: self.boxed(operand)? },
            ExprKind::Type(declaration) => ExprKind::Type(Box::new(self.type_declaration(declaration)?)),
            ExprKind::Effect(declaration) => {
                let mut copy = (**declaration).clone();
                copy.name = self.name(&declaration.name);
                copy.ty = declaration.ty.as_ref().map(|ty| self.type_(ty)).transpose()?;
                ExprKind::Effect(Box::new(copy))
            }
            ExprKind::Use(used) => {
                let fields = match &used.fields {
                    Some(fields) => {
                        let mut copies = Vec::new();
                        for (name, pattern) in fields {
                            copies.push((name.clone(), self.pattern(pattern)?));
                        }
                        Some(copies)
                    }
                    None => None,
                };
                let whole = used.whole.as_ref().map(|pattern| self.pattern(pattern)).transpose()?;
                ExprKind::Use(Use { value: self.boxed(&used.value)?, fields, whole })
            }
            ExprKind::Annotated { value, ty } => ExprKind::Annotated { value: self.boxed(value)?, ty: self.type_(ty)? },
            ExprKind::Guarded { value, guard } => {
                ExprKind::Guarded { value: self.boxed(value)?, guard: self.boxed(guard)? }
            }
        };
        Ok(Expr { kind, span })
    }

    /// A name that an imported macro's own file declares.
    fn home_field(&mut self, name: &Name) -> Option<ExprKind> {
        let (file, exports) = self.made?.home.as_ref()?;
        if name.mark != 0 || name.origin != MacroId(0) || !exports.contains(&name.text) {
            return None;
        }
        if self.marks.contains_key(&(name.text.clone(), 0)) {
            return None;
        }
        let span = self.place(name.span);
        let mut field = self.name(name);
        field.origin = MacroId(0);
        let value = Box::new(Expr { kind: ExprKind::File(*file), span });
        Some(ExprKind::Field { value, field, or_call: false })
    }

    fn items(&mut self, items: &[Item]) -> Result<Vec<Item>> {
        let mut copies = Vec::new();
        for item in items {
            match item {
                Item::One(Expr { kind: ExprKind::Repeat(inner), .. }) => {
                    copies.extend(self.repeat(inner)?.into_iter().map(Item::One));
                }
                Item::One(item) => copies.push(Item::One(self.expr(item)?)),
                Item::Spread(item, span) => {
                    let copy = item.as_ref().map(|item| self.expr(item)).transpose()?;
                    copies.push(Item::Spread(copy, self.place(*span)));
                }
            }
        }
        Ok(copies)
    }

    fn lambda(&mut self, lambda: &Lambda) -> Result<Lambda> {
        Ok(Lambda {
            params: self.patterns(&lambda.params)?,
            guard: lambda.guard.as_ref().map(|guard| self.expr(guard)).transpose()?,
            body: self.expr(&lambda.body)?,
            id: self.parser.shared.function(),
        })
    }

    fn branch(&mut self, branch: &Branch) -> Result<Branch> {
        Ok(Branch { pattern: self.pattern(&branch.pattern)?, body: self.expr(&branch.body)? })
    }

    fn handler(&mut self, handler: &Handler) -> Result<Handler> {
        let mut branches = Vec::new();
        for branch in &handler.branches {
            branches.push(HandlerBranch {
                operation: self.pattern(&branch.operation)?,
                continuation: self.pattern(&branch.continuation)?,
                guards: self.exprs(&branch.guards)?,
                body: self.expr(&branch.body)?,
            });
        }
        Ok(Handler {
            body: self.expr(&handler.body)?,
            body_id: self.parser.shared.function(),
            branches,
            clause_id: self.parser.shared.function(),
            done: handler.done.as_ref().map(|done| self.branch(done)).transpose()?,
            done_id: self.parser.shared.function(),
        })
    }

    fn patterns(&mut self, patterns: &[Pattern]) -> Result<Vec<Pattern>> {
        patterns.iter().map(|pattern| self.pattern(pattern)).collect()
    }

    fn pattern(&mut self, pattern: &Pattern) -> Result<Pattern> {
        let span = self.place(pattern.span);
        let inner = |copier: &mut Self, inner: &Pattern| copier.pattern(inner).map(Box::new);
        let kind = match &pattern.kind {
            PatternKind::MacroVariable(text) => match self.stands.get(text).cloned() {
                Some(Stand::One(expr)) => {
                    let expr = self.taken(&expr)?;
                    return self.parser.pattern(expr);
                }
                Some(Stand::Many(_)) => {
                    return Err(Diagnostic::syntax(
                        "P0089",
                        span,
                        format!("`{text}` is repeated and cannot be a pattern"),
                    ));
                }
                None => PatternKind::MacroVariable(text.clone()),
            },
            PatternKind::Variable(name) => PatternKind::Variable(self.name(name)),
            PatternKind::Discard | PatternKind::Literal(_) => pattern.kind.clone(),
            PatternKind::Label { name, payload } => PatternKind::Label {
                name: name.clone(),
                payload: payload.as_ref().map(|payload| inner(self, payload)).transpose()?,
            },
            PatternKind::Tuple(items) => PatternKind::Tuple(self.patterns(items)?),
            PatternKind::Or(items) => PatternKind::Or(self.patterns(items)?),
            PatternKind::List { before, rest, after } => PatternKind::List {
                before: self.patterns(before)?,
                rest: match rest {
                    Some(Some(rest)) => Some(Some(inner(self, rest)?)),
                    Some(None) => Some(None),
                    None => None,
                },
                after: self.patterns(after)?,
            },
            PatternKind::Record { fields, rest } => {
                let mut copies = Vec::new();
                for (name, field) in fields {
                    copies.push((name.clone(), self.pattern(field)?));
                }
                PatternKind::Record { fields: copies, rest: rest.as_ref().map(|rest| inner(self, rest)).transpose()? }
            }
            PatternKind::Is { pattern, ty } => PatternKind::Is { pattern: inner(self, pattern)?, ty: self.type_(ty)? },
            PatternKind::Where { pattern, guard } => {
                PatternKind::Where { pattern: inner(self, pattern)?, guard: self.boxed(guard)? }
            }
        };
        Ok(Pattern { kind, span })
    }

    fn type_declaration(&mut self, declaration: &TypeDeclaration) -> Result<TypeDeclaration> {
        let shape = match &declaration.shape {
            Shape::Payload(ty) => Shape::Payload(self.type_(ty)?),
            Shape::Union(variants) => {
                let mut copies = Vec::new();
                for variant in variants {
                    let payload = variant.payload.as_ref().map(|ty| self.type_(ty)).transpose()?;
                    copies.push(Variant { name: self.name(&variant.name), payload });
                }
                Shape::Union(copies)
            }
        };
        let id = self.parser.shared.function();
        Ok(TypeDeclaration {
            name: self.name(&declaration.name),
            parameters: declaration.parameters.clone(),
            shape,
            id,
        })
    }

    fn type_(&mut self, ty: &Type) -> Result<Type> {
        let all =
            |copier: &mut Self, types: &[Type]| types.iter().map(|ty| copier.type_(ty)).collect::<Result<Vec<_>>>();
        Ok(match ty {
            Type::Any(_) | Type::Literal(_) => ty.clone(),
            Type::Named { name, arguments } => Type::Named { name: self.name(name), arguments: all(self, arguments)? },
            Type::Labelled { name, payload } => {
                Type::Labelled { name: self.name(name), payload: Box::new(self.type_(payload)?) }
            }
            Type::Tuple(items) => Type::Tuple(all(self, items)?),
            Type::List(item) => Type::List(item.as_ref().map(|item| self.type_(item)).transpose()?.map(Box::new)),
            Type::Record(fields) => {
                let mut copies = Vec::new();
                for (name, field) in fields {
                    copies.push((name.clone(), self.type_(field)?));
                }
                Type::Record(copies)
            }
            Type::Function { from, to, effects } => Type::Function {
                from: Box::new(self.type_(from)?),
                to: Box::new(self.type_(to)?),
                effects: effects.clone(),
            },
            Type::Where { binder, ty, guard } => Type::Where {
                binder: binder.as_ref().map(|name| self.name(name)),
                ty: Box::new(self.type_(ty)?),
                guard: self.boxed(guard)?,
            },
        })
    }
}

/// The macro variables in an expression, patterns included.
fn macro_variables(expr: &Expr, names: &mut Vec<Arc<str>>) {
    if let ExprKind::MacroVariable(name) = &expr.kind
        && !names.contains(name)
    {
        names.push(name.clone());
    }
    crate::lower::for_each_child(expr, &mut |child| macro_variables(child, names));
}
