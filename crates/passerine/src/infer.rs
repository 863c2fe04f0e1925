//! Types without annotations (reference, section 19): Hindley and Milner with rows for records, labels and effects, and a type `?` that is
//! consistent with all others. Inference never changes what a program does; where it does not know, it says nothing.
//!
//! Functions of a block are inferred in groups that refer to each other, each when it is first needed.

mod constraints;
mod definitions;
mod exprs;
mod labels;
mod patterns;
mod print;
mod signatures;
mod ty;

use crate::lower::File;
use crate::names::{Names, VarId};
use crate::tree::{EffectDeclaration, Expr, NameId, TypeDeclaration};
use constraints::{Constraint, Kind};
use qualm_ir::diagnostic::{Diagnostic, Label};
use qualm_ir::source::Span;
use signatures::Scheme;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use ty::{GENERIC, Node, Ty, Types};

/// A function's type says at most so many things about the numbers and iterables in it; of one that would say more, what those come to is not known.
const CONSTRAINTS_MAX: usize = 40;

/// What inference found.
#[derive(Debug)]
pub struct Inferred {
    /// The type of the program's last expression.
    pub last: String,
    /// The type of each variable that the main file's top level binds, in order.
    pub bindings: Vec<(Arc<str>, String)>,
    /// What is wrong.
    pub problems: Vec<Diagnostic>,
}

/// Infers the types of a program.
pub(crate) fn infer(names: &Names, files: &[File], main: &File) -> Inferred {
    let mut types = Types::new();
    let prelude = signatures::read(&mut types);
    let prelude_names = names.prelude.iter().map(|(name, var)| (*var, name.clone())).collect();
    let effects = types.fresh();
    let mut inference = Inference {
        names,
        types,
        prelude,
        prelude_names,
        schemes: HashMap::new(),
        pending: Vec::new(),
        effects,
        effect_sites: Vec::new(),
        in_function: 0,
        declarations: HashMap::new(),
        effect_types: HashMap::new(),
        files: vec![None; files.len()],
        sources: files,
        definitions: Vec::new(),
        reported: HashSet::new(),
        problems: Vec::new(),
    };
    for file in files.iter().chain([main]) {
        file.statements.iter().for_each(|statement| inference.collect_declarations(statement));
    }
    let last = inference.statements(&main.statements);
    inference.solve(0);
    inference.unhandled();
    let mut bindings = Vec::new();
    for name in exprs::bound_names(&main.statements) {
        if let Some(var) = names.meaning(name.id)
            && let Some(scheme) = inference.schemes.get(&var).cloned()
        {
            let shown = inference.types.show_scheme(scheme.ty, &scheme.constraints);
            bindings.push((name.text.clone(), shown));
        }
    }
    let left = inference.pending.clone();
    let last = inference.types.show_scheme(last, &left);
    let mut problems = inference.problems;
    problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span));
    Inferred { last, bindings, problems }
}

struct Inference<'a> {
    names: &'a Names,
    types: Types,
    prelude: HashMap<String, Scheme>,
    prelude_names: HashMap<VarId, Arc<str>>,
    schemes: HashMap<VarId, Scheme>,
    /// What must still hold.
    pending: Vec<Constraint>,
    /// The effects of the function that is being inferred.
    effects: Ty,
    /// Effects that reached the top level and where they were performed.
    effect_sites: Vec<(Ty, Span)>,
    in_function: usize,
    declarations: HashMap<VarId, &'a TypeDeclaration>,
    effect_types: HashMap<Arc<str>, &'a EffectDeclaration>,
    /// The type of the module of each file, once it was needed.
    files: Vec<Option<Ty>>,
    sources: &'a [File],
    /// The definitions of each open block, innermost last.
    definitions: Vec<definitions::Definitions<'a>>,
    reported: HashSet<Span>,
    problems: Vec<Diagnostic>,
}

impl<'a> Inference<'a> {
    // ---- saying what is wrong

    /// Reports a problem once for each place; `also` are the places in conflict.
    fn report(&mut self, code: &'static str, span: Span, message: String, also: &[Span]) {
        if span.start == span.end || !self.reported.insert(span) {
            return;
        }
        let mut found = Diagnostic::check(code, span, message);
        for other in also {
            if *other != span && other.start != other.end && found.labels.iter().all(|label| label.span != *other) {
                found.labels.push(Label { span: *other, note: None });
            }
        }
        self.problems.push(found);
    }

    /// Makes types one where a conflict was or will be reported elsewhere.
    fn agree(&mut self, a: Ty, b: Ty) {
        let _ = self.types.unify(a, b);
    }

    /// A value of type `found` stands where `wanted` is needed.
    fn need(&mut self, wanted: Ty, found: Ty, span: Span, because: &[(Span, String)]) {
        if self.types.unify(wanted, found).is_err() && self.reported.insert(span) {
            let (wanted, found) = (self.types.show(wanted), self.types.show(found));
            let mut problem = Diagnostic::check("T0001", span, format!("expected {wanted}, found {found}"));
            for (span, note) in because {
                problem.labels.push(Label { span: *span, note: Some(note.clone()) });
            }
            self.problems.push(problem);
        }
    }

    fn constrain(&mut self, kind: Kind, a: Ty, b: Ty, result: Ty, span: Span, spans: [Span; 2]) {
        let mark = self.pending.len();
        self.pending.push(Constraint { kind, a, b, result, span, spans });
        self.solve(mark);
    }

    // ---- schemes

    /// The type of one use of a scheme.
    fn instantiate(&mut self, scheme: &Scheme, span: Span) -> Ty {
        let mut fresh = HashMap::new();
        let ty = self.types.instantiate(scheme.ty, &mut fresh);
        for constraint in &scheme.constraints {
            let [a, b, result] =
                [constraint.a, constraint.b, constraint.result].map(|ty| self.types.instantiate(ty, &mut fresh));
            let mark = self.pending.len();
            self.pending.push(Constraint { kind: constraint.kind, a, b, result, span, spans: [span, span] });
            self.solve(mark);
        }
        ty
    }

    /// Infers something that will be generalised.
    fn generalised(&mut self, infer: impl FnOnce(&mut Self) -> Ty) -> Scheme {
        let mark = self.pending.len();
        self.types.level += 1;
        let ty = infer(self);
        self.types.level -= 1;
        self.solve(mark);
        self.generalise(ty, mark)
    }

    /// Variables deeper than the present level stand for any type from now on, and take along what must hold of them.
    fn generalise(&mut self, ty: Ty, mark: usize) -> Scheme {
        let level = self.types.level;
        let mut constraints = Vec::new();
        for var in self.types.variables(ty) {
            if self.types.level_of(var) > level {
                self.types.set_level(var, GENERIC);
            }
        }
        let open = self.pending.split_off(mark);
        // Whoever calls the function takes on all that must hold of it, so that without an end to it a chain of functions would need a square of them; and
        // nobody reads such a type.
        let too_many = open.len() > CONSTRAINTS_MAX;
        for constraint in open {
            let mut deep = false;
            for part in [constraint.a, constraint.b, constraint.result] {
                for var in self.types.variables(part) {
                    if self.types.level_of(var) > level {
                        deep = true;
                        self.types.set_level(var, GENERIC);
                    }
                }
            }
            if deep && too_many {
                self.agree(constraint.result, Types::DYNAMIC);
            } else if deep {
                constraints.push(constraint);
            } else {
                self.pending.push(constraint);
            }
        }
        Scheme { ty, constraints }
    }

    // ---- effects

    /// The present function performs what a row says.
    fn perform(&mut self, row: Ty, span: Span) {
        if self.in_function == 0 {
            self.effect_sites.push((row, span));
            return;
        }
        self.agree(self.effects, row);
    }

    fn perform_label(&mut self, label: &Arc<str>, span: Span) {
        let rest = self.types.fresh();
        let row = self.types.add(Node::Extend(label.clone(), Types::UNIT, rest));
        self.perform(row, span);
    }

    /// Effects that nobody handles.
    fn unhandled(&mut self) {
        let sites = std::mem::take(&mut self.effect_sites);
        for (row, span) in sites {
            let (labels, _) = self.types.row(row);
            if let Some((label, _)) = labels.iter().find(|(label, _)| !matches!(&**label, "System" | "Raise")) {
                self.report("T0020", span, format!("effect `{label}` is never handled"), &[]);
            }
        }
    }

    /// The type of the variable a name means.
    fn name(&mut self, id: NameId, span: Span) -> Ty {
        match self.names.meaning(id) {
            Some(var) => self.variable(var, span),
            None => Types::DYNAMIC,
        }
    }

    fn variable(&mut self, var: VarId, span: Span) -> Ty {
        if let Some(name) = self.prelude_names.get(&var) {
            return match self.prelude.get(&**name).cloned() {
                Some(scheme) => self.instantiate(&scheme, span),
                None => Types::DYNAMIC,
            };
        }
        self.define(var);
        match self.schemes.get(&var).cloned() {
            Some(scheme) => self.instantiate(&scheme, span),
            None => {
                let ty = self.types.fresh();
                // Known to all who see it before it is bound.
                self.types.set_level(ty, 0);
                self.schemes.insert(var, Scheme { ty, constraints: Vec::new() });
                ty
            }
        }
    }

    fn collect_declarations(&mut self, expr: &'a Expr) {
        use crate::tree::ExprKind;
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            match &expr.kind {
                ExprKind::Type(declaration) => {
                    if let Some(var) = self.names.test_of(declaration.id) {
                        self.declarations.insert(var, declaration);
                    }
                }
                ExprKind::Effect(declaration) => {
                    self.effect_types.insert(declaration.name.text.clone(), declaration);
                }
                _ => crate::lower::for_each_child(expr, &mut |child| open.push(child)),
            }
        }
    }
}
