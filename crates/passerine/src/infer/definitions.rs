//! Blocks: which functions refer to each other, and in what order they are inferred.

use super::{Inference, Scheme, Ty, Types};
use crate::names::{VarId, as_lambda};
use crate::tree::{Expr, ExprKind, Pattern, PatternKind};
use std::collections::{HashMap, HashSet};

/// The functions that a block defines.
pub(super) struct Definitions<'a> {
    /// The function of each variable that is bound once, to a function.
    functions: HashMap<VarId, &'a Expr>,
    /// Which of the others each one mentions.
    mentions: HashMap<VarId, Vec<VarId>>,
    done: HashSet<VarId>,
}

impl<'a> Inference<'a> {
    /// The type of the last of some statements.
    pub(super) fn statements(&mut self, statements: &'a [Expr]) -> Ty {
        let definitions = self.definitions_of(statements);
        self.definitions.push(definitions);
        let last = self.splice(statements);
        self.definitions.pop();
        last
    }

    pub(super) fn splice(&mut self, statements: &'a [Expr]) -> Ty {
        let mut last = Types::UNIT;
        for statement in statements {
            last = self.expr(statement);
        }
        last
    }

    /// How many parameters the function of a variable has, if it is known.
    pub(super) fn parameters_of(&self, var: VarId) -> usize {
        let value = self.definitions.iter().rev().find_map(|block| block.functions.get(&var));
        value.and_then(|value| as_lambda(value)).map_or(0, |lambda| lambda.params.len())
    }

    fn definitions_of(&self, statements: &'a [Expr]) -> Definitions<'a> {
        let mut functions = HashMap::new();
        for statement in statements {
            if let ExprKind::Assign { pattern, value } = &statement.kind
                && let PatternKind::Variable(name) = &pattern.kind
                && as_lambda(value).is_some()
                && let Some(var) = self.names.meaning(name.id)
                && self.names.var(var).is_assigned_once()
            {
                functions.insert(var, &**value);
            }
        }
        let mut mentions = HashMap::new();
        for (var, value) in &functions {
            let mut found = Vec::new();
            self.mentioned(value, &mut |other| {
                if functions.contains_key(&other) && !found.contains(&other) {
                    found.push(other);
                }
            });
            mentions.insert(*var, found);
        }
        Definitions { functions, mentions, done: HashSet::new() }
    }

    /// Every variable an expression names.
    fn mentioned(&self, expr: &'a Expr, visit: &mut dyn FnMut(VarId)) {
        let mut open = vec![expr];
        let mut patterns: Vec<&'a Pattern> = Vec::new();
        while let Some(expr) = open.pop() {
            let name = match &expr.kind {
                ExprKind::Name(name) | ExprKind::Label { name, .. } | ExprKind::LabelMember { label: name, .. } => {
                    Some(name)
                }
                ExprKind::Field { field, or_call: true, .. } => Some(field),
                ExprKind::Lambda(lambda) => {
                    patterns.extend(&lambda.params);
                    None
                }
                ExprKind::Match { branches, .. } => {
                    patterns.extend(branches.iter().map(|branch| &branch.pattern));
                    None
                }
                _ => None,
            };
            if let Some(var) = name.and_then(|name| self.names.meaning(name.id)) {
                visit(var);
            }
            for pattern in patterns.drain(..) {
                let mut guards = Vec::new();
                crate::lower::guards(pattern, &mut guards);
                open.extend(guards.into_iter().map(|(guard, _)| guard));
            }
            crate::lower::for_each_child(expr, &mut |child| open.push(child));
        }
    }

    /// Makes sure that a variable defined as a function in an open block has its type.
    pub(super) fn define(&mut self, var: VarId) {
        if self.schemes.contains_key(&var) {
            return;
        }
        let Some(at) = self.definitions.iter().rposition(|block| block.functions.contains_key(&var)) else { return };
        if self.definitions[at].done.contains(&var) {
            return;
        }
        // Inner blocks are not open where the function is defined.
        let inner = self.definitions.split_off(at + 1);
        for group in groups(var, &self.definitions[at]) {
            self.group(&group, at);
        }
        self.definitions.extend(inner);
    }

    /// Infers functions that refer to each other, together.
    fn group(&mut self, group: &[VarId], block: usize) {
        self.definitions[block].done.extend(group.iter().copied());
        let mark = self.pending.len();
        self.types.level += 1;
        let assumed: Vec<Ty> = group.iter().map(|_| self.types.fresh()).collect();
        for (var, ty) in group.iter().zip(&assumed) {
            self.schemes.insert(*var, Scheme { ty: *ty, constraints: Vec::new() });
        }
        for (var, ty) in group.iter().zip(&assumed) {
            let value = self.definitions[block].functions[var];
            let found = self.expr(value);
            // Used at another type inside itself: left to run time.
            if self.types.unify(*ty, found).is_err() {
                self.agree(*ty, Types::DYNAMIC);
            }
        }
        self.types.level -= 1;
        self.solve(mark);
        let all = self.types.add(super::Node::Tuple(assumed.clone()));
        let together = self.generalise(all, mark);
        for (var, ty) in group.iter().zip(assumed) {
            let constraints = self.about(ty, &together.constraints);
            self.schemes.insert(*var, Scheme { ty, constraints });
        }
    }
}

impl Inference<'_> {
    /// The constraints that say something about a type, directly or through others.
    fn about(&mut self, ty: Ty, constraints: &[super::Constraint]) -> Vec<super::Constraint> {
        let mut known: HashSet<Ty> = self.types.variables(ty).into_iter().collect();
        let mut open: Vec<(super::Constraint, Vec<Ty>)> = Vec::new();
        for constraint in constraints {
            let parts = [constraint.a, constraint.b, constraint.result];
            let vars = parts.into_iter().flat_map(|part| self.types.variables(part)).collect();
            open.push((constraint.clone(), vars));
        }
        let mut found = Vec::new();
        loop {
            let before = open.len();
            open.retain(|(constraint, vars)| {
                let concerns = vars.iter().any(|var| known.contains(var));
                if concerns {
                    known.extend(vars);
                    found.push(constraint.clone());
                }
                !concerns
            });
            if open.len() == before {
                return found;
            }
        }
    }
}

/// The groups that must be inferred for a definition, those that others need first (Tarjan 1972, without recursion).
fn groups(start: VarId, block: &Definitions<'_>) -> Vec<Vec<VarId>> {
    struct Visit {
        var: VarId,
        next: usize,
    }
    let mut order: HashMap<VarId, usize> = HashMap::new();
    let mut low: HashMap<VarId, usize> = HashMap::new();
    let mut stack: Vec<VarId> = Vec::new();
    let mut on_stack: HashSet<VarId> = HashSet::new();
    let mut found = Vec::new();
    let mut open = vec![Visit { var: start, next: 0 }];
    while let Some(visit) = open.last_mut() {
        let var = visit.var;
        if visit.next == 0 {
            order.insert(var, order.len());
            low.insert(var, order[&var]);
            stack.push(var);
            on_stack.insert(var);
        }
        let mentions = &block.mentions[&var];
        if let Some(other) = mentions.get(visit.next).copied() {
            visit.next += 1;
            if block.done.contains(&other) {
                continue;
            }
            match order.get(&other) {
                None => open.push(Visit { var: other, next: 0 }),
                Some(place) if on_stack.contains(&other) => {
                    let lowest = low[&var].min(*place);
                    low.insert(var, lowest);
                }
                Some(_) => {}
            }
            continue;
        }
        open.pop();
        if let Some(outer) = open.last() {
            let lowest = low[&outer.var].min(low[&var]);
            low.insert(outer.var, lowest);
        }
        if low[&var] == order[&var]
            && let Some(at) = stack.iter().rposition(|other| *other == var)
        {
            let group = stack.split_off(at);
            group.iter().for_each(|var| {
                on_stack.remove(var);
            });
            found.push(group);
        }
    }
    found
}
