//! Types as nodes of an arena, and their unification (Damas and Milner 1982; levels after Rémy 1992; rows after Leijen 2005).
//!
//! `?` is consistent with every type, without saying that two types it is compared with are equal. A type that would contain itself becomes `?`:
//! undeclared labels make recursive data, which is not wrong.

use crate::names::VarId;
use std::sync::Arc;

/// A type, by its place in the arena.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Ty(u32);

/// The level of variables that stand for any type.
pub(super) const GENERIC: u32 = u32::MAX;

/// A type by name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "named by kind")]
pub(crate) enum Con {
    Integer,
    Float,
    String,
    Boolean,
    Range,
    List,
    Map,
    Option,
    Result,
    Process,
    Fiber,
    Snapshot,
    /// A declared type: the variable that is its test, and its name.
    Declared(VarId, Arc<str>),
}

/// Pairs of types made one before it is worth remembering which.
const LONG: usize = 1_000;

impl Con {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Integer => "Integer",
            Self::Float => "Float",
            Self::String => "String",
            Self::Boolean => "Boolean",
            Self::Range => "Range",
            Self::List => "List",
            Self::Map => "Map",
            Self::Option => "Option",
            Self::Result => "Result",
            Self::Process => "Process",
            Self::Fiber => "Fiber",
            Self::Snapshot => "Snapshot",
            Self::Declared(_, name) => name,
        }
    }
}

/// What a type is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Node {
    /// A variable of this level.
    Free(u32),
    Link(Ty),
    Con(Con, Vec<Ty>),
    Tuple(Vec<Ty>),
    /// From, to, effects of the call.
    Function(Ty, Ty, Ty),
    /// A row of fields.
    Record(Ty),
    /// A row of labels.
    Variant(Ty),
    /// A field, label or effect, and the rest of its row.
    Extend(Arc<str>, Ty, Ty),
    Empty,
    Dynamic,
}

/// All types of a program.
pub(crate) struct Types {
    nodes: Vec<Node>,
    /// How deep in definitions that will be generalised.
    pub(super) level: u32,
}

/// Two types that cannot be one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mismatch;

impl Types {
    pub(super) const INTEGER: Ty = Ty(0);
    pub(super) const FLOAT: Ty = Ty(1);
    pub(super) const STRING: Ty = Ty(2);
    pub(super) const BOOLEAN: Ty = Ty(3);
    pub(super) const UNIT: Ty = Ty(4);
    pub(super) const DYNAMIC: Ty = Ty(5);
    pub(super) const EMPTY: Ty = Ty(6);

    pub(super) fn new() -> Self {
        let con = |con| Node::Con(con, Vec::new());
        let nodes = vec![
            con(Con::Integer),
            con(Con::Float),
            con(Con::String),
            con(Con::Boolean),
            Node::Tuple(Vec::new()),
            Node::Dynamic,
            Node::Empty,
        ];
        Self { nodes, level: 0 }
    }

    pub(super) fn add(&mut self, node: Node) -> Ty {
        self.nodes.push(node);
        Ty(self.nodes.len() as u32 - 1)
    }

    pub(super) fn fresh(&mut self) -> Ty {
        self.add(Node::Free(self.level))
    }

    pub(super) fn con(&mut self, con: Con, arguments: Vec<Ty>) -> Ty {
        self.add(Node::Con(con, arguments))
    }

    pub(super) fn list(&mut self, item: Ty) -> Ty {
        self.con(Con::List, vec![item])
    }

    pub(super) fn option(&mut self, item: Ty) -> Ty {
        self.con(Con::Option, vec![item])
    }

    pub(super) fn function(&mut self, from: Ty, to: Ty, effects: Ty) -> Ty {
        self.add(Node::Function(from, to, effects))
    }

    /// What a type is equal to.
    pub(super) fn find(&mut self, ty: Ty) -> Ty {
        let mut root = ty;
        while let Node::Link(next) = self.nodes[root.0 as usize] {
            root = next;
        }
        let mut at = ty;
        while let Node::Link(next) = self.nodes[at.0 as usize] {
            self.nodes[at.0 as usize] = Node::Link(root);
            at = next;
        }
        root
    }

    pub(super) fn node(&mut self, ty: Ty) -> Node {
        let root = self.find(ty);
        self.nodes[root.0 as usize].clone()
    }

    pub(super) fn is_free(&mut self, ty: Ty) -> bool {
        matches!(self.node(ty), Node::Free(_))
    }

    pub(super) fn set_level(&mut self, var: Ty, level: u32) {
        let root = self.find(var);
        self.nodes[root.0 as usize] = Node::Free(level);
    }

    /// Says that a variable is a type. A type that contains the variable makes it `?`.
    fn bind(&mut self, var: Ty, ty: Ty) {
        let Node::Free(level) = self.node(var) else { return };
        let mut open = vec![ty];
        let mut seen = std::collections::HashSet::new();
        while let Some(ty) = open.pop() {
            let ty = self.find(ty);
            if !seen.insert(ty) {
                continue;
            }
            match &self.nodes[ty.0 as usize] {
                Node::Free(_) if ty == var => {
                    self.nodes[var.0 as usize] = Node::Link(Self::DYNAMIC);
                    return;
                }
                Node::Free(inner) => {
                    if *inner > level {
                        self.nodes[ty.0 as usize] = Node::Free(level);
                    }
                }
                node => open.extend(parts(node)),
            }
        }
        self.nodes[var.0 as usize] = Node::Link(ty);
    }

    /// Makes two types one.
    pub(super) fn unify(&mut self, a: Ty, b: Ty) -> Result<(), Mismatch> {
        let mut open = vec![(a, b)];
        // Types share parts, so that a small one may be exponentially large written out: pairs that turn up again need no second look.
        let mut seen = std::collections::HashSet::new();
        let mut steps = 0;
        while let Some((a, b)) = open.pop() {
            let (a, b) = (self.find(a), self.find(b));
            steps += 1;
            if a == b || (steps > LONG && !seen.insert((a, b))) {
                continue;
            }
            match (self.nodes[a.0 as usize].clone(), self.nodes[b.0 as usize].clone()) {
                (Node::Free(_), _) => self.bind(a, b),
                (_, Node::Free(_)) => self.bind(b, a),
                (Node::Dynamic, _) | (_, Node::Dynamic) => {}
                (Node::Con(x, xs), Node::Con(y, ys)) => {
                    if x != y {
                        return Err(Mismatch);
                    }
                    open.extend(xs.into_iter().zip(ys));
                }
                (Node::Tuple(xs), Node::Tuple(ys)) => {
                    if xs.len() != ys.len() {
                        return Err(Mismatch);
                    }
                    open.extend(xs.into_iter().zip(ys).rev());
                }
                (Node::Function(a, b, e), Node::Function(x, y, f)) => open.extend([(e, f), (b, y), (a, x)]),
                (Node::Record(x), Node::Record(y)) | (Node::Variant(x), Node::Variant(y)) => open.push((x, y)),
                // A bare label is also the function that builds it.
                (Node::Variant(_), Node::Function(..)) | (Node::Function(..), Node::Variant(_)) => {}
                // Fibers can be called.
                (Node::Con(Con::Fiber, _), Node::Function(..)) | (Node::Function(..), Node::Con(Con::Fiber, _)) => {}
                // A field is looked for behind labels.
                (Node::Record(_), Node::Variant(_)) | (Node::Variant(_), Node::Record(_)) => {}
                (Node::Record(_), Node::Con(Con::Declared(..), _))
                | (Node::Con(Con::Declared(..), _), Node::Record(_)) => {}
                (Node::Empty, Node::Empty) => {}
                (Node::Extend(label, ty, rest), Node::Extend(..)) => {
                    let (found, other) = self.take_out(&label, b)?;
                    open.push((rest, other));
                    open.push((ty, found));
                }
                (Node::Extend(label, ..), Node::Empty) | (Node::Empty, Node::Extend(label, ..)) => {
                    let _ = label;
                    return Err(Mismatch);
                }
                _ => return Err(Mismatch),
            }
        }
        Ok(())
    }

    /// The type of a label in a row and the row without it; an open row gets it.
    pub(super) fn take_out(&mut self, label: &Arc<str>, row: Ty) -> Result<(Ty, Ty), Mismatch> {
        let mut before = Vec::new();
        let mut at = self.find(row);
        loop {
            match self.nodes[at.0 as usize].clone() {
                Node::Extend(found, ty, rest) if found == *label => {
                    let mut without = rest;
                    for (label, ty) in before.into_iter().rev() {
                        without = self.add(Node::Extend(label, ty, without));
                    }
                    return Ok((ty, without));
                }
                Node::Extend(found, ty, rest) => {
                    before.push((found, ty));
                    at = self.find(rest);
                }
                Node::Free(level) => {
                    let ty = self.add(Node::Free(level));
                    let rest = self.add(Node::Free(level));
                    let extended = self.add(Node::Extend(label.clone(), ty, rest));
                    self.nodes[at.0 as usize] = Node::Link(extended);
                    let mut without = rest;
                    for (label, ty) in before.into_iter().rev() {
                        without = self.add(Node::Extend(label, ty, without));
                    }
                    return Ok((ty, without));
                }
                Node::Dynamic => return Ok((Self::DYNAMIC, Self::DYNAMIC)),
                _ => return Err(Mismatch),
            }
        }
    }

    /// The labels of a row in order, and its end.
    pub(super) fn row(&mut self, row: Ty) -> (Vec<(Arc<str>, Ty)>, Ty) {
        let mut labels = Vec::new();
        let mut at = self.find(row);
        while let Node::Extend(label, ty, rest) = self.nodes[at.0 as usize].clone() {
            labels.push((label, ty));
            at = self.find(rest);
        }
        (labels, at)
    }

    /// The variables in a type, each once, in order of appearance.
    pub(super) fn variables(&mut self, ty: Ty) -> Vec<Ty> {
        let mut found = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![ty];
        while let Some(ty) = open.pop() {
            let ty = self.find(ty);
            if !seen.insert(ty) {
                continue;
            }
            match &self.nodes[ty.0 as usize] {
                Node::Free(_) => found.push(ty),
                node => {
                    let mut parts = parts(node);
                    parts.reverse();
                    open.extend(parts);
                }
            }
        }
        found
    }

    pub(super) fn level_of(&mut self, var: Ty) -> u32 {
        match self.node(var) {
            Node::Free(level) => level,
            _ => 0,
        }
    }

    /// A copy with fresh variables for those that stand for any type.
    pub(super) fn instantiate(&mut self, ty: Ty, fresh: &mut std::collections::HashMap<Ty, Ty>) -> Ty {
        let ty = self.find(ty);
        if let Some(copy) = fresh.get(&ty) {
            return *copy;
        }
        let node = self.nodes[ty.0 as usize].clone();
        let copy = match node {
            Node::Free(GENERIC) => self.fresh(),
            Node::Free(_) | Node::Link(_) | Node::Empty | Node::Dynamic => ty,
            Node::Con(con, arguments) => {
                let copies: Vec<Ty> = arguments.iter().map(|ty| self.instantiate(*ty, fresh)).collect();
                if copies == arguments { ty } else { self.add(Node::Con(con, copies)) }
            }
            Node::Tuple(items) => {
                let copies: Vec<Ty> = items.iter().map(|ty| self.instantiate(*ty, fresh)).collect();
                if copies == items { ty } else { self.add(Node::Tuple(copies)) }
            }
            Node::Function(from, to, effects) => {
                let copies = [from, to, effects].map(|ty| self.instantiate(ty, fresh));
                if copies == [from, to, effects] {
                    ty
                } else {
                    self.add(Node::Function(copies[0], copies[1], copies[2]))
                }
            }
            Node::Record(row) => {
                let copy = self.instantiate(row, fresh);
                if copy == row { ty } else { self.add(Node::Record(copy)) }
            }
            Node::Variant(row) => {
                let copy = self.instantiate(row, fresh);
                if copy == row { ty } else { self.add(Node::Variant(copy)) }
            }
            Node::Extend(label, inner, rest) => {
                let copies = [inner, rest].map(|ty| self.instantiate(ty, fresh));
                if copies == [inner, rest] { ty } else { self.add(Node::Extend(label, copies[0], copies[1])) }
            }
        };
        fresh.insert(ty, copy);
        copy
    }
}

fn parts(node: &Node) -> Vec<Ty> {
    match node {
        Node::Free(_) | Node::Empty | Node::Dynamic => Vec::new(),
        Node::Link(ty) | Node::Record(ty) | Node::Variant(ty) => vec![*ty],
        Node::Con(_, all) | Node::Tuple(all) => all.clone(),
        Node::Function(from, to, effects) => vec![*from, *to, *effects],
        Node::Extend(_, ty, rest) => vec![*ty, *rest],
    }
}
