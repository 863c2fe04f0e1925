//! Which functions are hashed together, and in which order.
//!
//! A group is a strongly connected component of the reference graph, so mutually recursive functions get one hash (the construction
//! of Unison). Groups come after those they refer to. Inside a group, members are ordered by what they are, not by name or place in the
//! source: by colour refinement, where a member's first colour is the hash of its bytes with references inside the group left out, and
//! each further colour adds the colours of the members referred to. Members that keep equal colours keep their given order.

use crate::binary::write_function;
use crate::module::{Function, Module, SourceName};
use crate::types::FunctionIndex;
use crate::wire::Writer;
use std::ops::Range;

/// A canonical order of functions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrangement {
    /// For each new position the old one.
    pub order: Vec<u32>,
    /// The groups, in new positions.
    pub groups: Vec<Range<u32>>,
}

impl Arrangement {
    /// Whether the functions already stand in this order.
    pub fn is_identity(&self) -> bool {
        self.order.iter().enumerate().all(|(new, old)| new as u32 == *old)
    }
}

/// The canonical order of functions; nothing if one refers to a function that is not there.
pub fn arrangement(functions: &[Function]) -> Option<Arrangement> {
    let edges = functions
        .iter()
        .map(|function| {
            let named = function.blocks.iter().flat_map(|block| &block.ops).filter_map(|op| op.function());
            let mut seen: Vec<u32> = named.map(|index| index.0).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        })
        .collect::<Vec<_>>();
    if edges.iter().flatten().any(|index| *index as usize >= functions.len()) {
        return None;
    }
    let mut found = Arrangement { order: Vec::with_capacity(functions.len()), groups: Vec::new() };
    for mut members in components(&edges) {
        members.sort_unstable();
        if members.len() > 1 {
            members = by_colour(functions, &members);
        }
        let start = found.order.len() as u32;
        found.order.extend_from_slice(&members);
        found.groups.push(start..found.order.len() as u32);
    }
    Some(found)
}

/// The module of these functions, in canonical order.
///
/// # Panics
/// If a function refers to one that is not there; the builder does not allow that.
pub fn arrange(mut functions: Vec<Function>, entry: Option<FunctionIndex>, sources: Vec<SourceName>) -> Module {
    let found = arrangement(&functions).expect("a builder only names functions it declared");
    let mut new_of_old = vec![0; functions.len()];
    for (new, old) in found.order.iter().enumerate() {
        new_of_old[*old as usize] = new as u32;
    }
    for op in functions.iter_mut().flat_map(|function| &mut function.blocks).flat_map(|block| &mut block.ops) {
        if let Some(index) = op.function_mut() {
            index.0 = new_of_old[index.index()];
        }
    }
    let mut taken: Vec<Option<Function>> = functions.into_iter().map(Some).collect();
    let functions = found.order.iter().filter_map(|old| taken[*old as usize].take()).collect();
    let entry = entry.map(|index| FunctionIndex(new_of_old[index.index()]));
    Module { functions, groups: found.groups, entry, sources }
}

/// Strongly connected components, each after those it points to (Tarjan 1972, with the stack as data).
fn components(edges: &[Vec<u32>]) -> Vec<Vec<u32>> {
    const UNSEEN: u32 = u32::MAX;
    let mut index_of = vec![UNSEEN; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut on_stack = vec![false; edges.len()];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..edges.len() as u32 {
        if index_of[root as usize] != UNSEEN {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((node, edge)) = path.last_mut() {
            let at = *node as usize;
            if *edge == 0 {
                (index_of[at], low[at], on_stack[at]) = (next, next, true);
                next += 1;
                stack.push(*node);
            }
            if let Some(target) = edges[at].get(*edge) {
                *edge += 1;
                let target = *target as usize;
                if index_of[target] == UNSEEN {
                    path.push((target as u32, 0));
                } else if on_stack[target] {
                    low[at] = low[at].min(index_of[target]);
                }
                continue;
            }
            if low[at] == index_of[at] {
                let start = stack.iter().rposition(|member| *member as usize == at).expect("a node is on its stack");
                let members = stack.split_off(start);
                members.iter().for_each(|member| on_stack[*member as usize] = false);
                found.push(members);
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent as usize] = low[*parent as usize].min(low[at]);
            }
        }
    }
    found
}

fn by_colour(functions: &[Function], members: &[u32]) -> Vec<u32> {
    let place = |index: FunctionIndex| members.binary_search(&index.0).ok();
    let mut colours = vec![[0_u8; 32]; members.len()];
    let mut distinct = 0;
    loop {
        let next: Vec<[u8; 32]> = members
            .iter()
            .map(|member| {
                let mut out = Writer::default();
                write_function(&mut out, &functions[*member as usize], &mut |out, index| match place(index) {
                    Some(at) => out.raw(&colours[at]),
                    None => out.byte(0),
                });
                *blake3::hash(&out.into_bytes()).as_bytes()
            })
            .collect();
        let mut sorted = next.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let stable = sorted.len() == distinct;
        distinct = sorted.len();
        colours = next;
        if stable || distinct == members.len() {
            break;
        }
    }
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|at| colours[*at]);
    order.into_iter().map(|at| members[at]).collect()
}
