//! Maps: B-trees of heap objects, keys in the total order of all data.
//!
//! An update walks down and owns each node on its way: a node whose reference is owned is changed in place, any other is copied first,
//! its children and items shared from then on. So one mechanism gives both: in-place updates for the single holder of a map, path copies
//! for everybody else. Algorithms: Cormen et al., "Introduction to Algorithms", B-trees, with splitting and filling on the way down.

use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::{Kind, Value};
use std::cmp::Ordering;

/// Least keys of a node other than the root, plus one.
pub(crate) const HALF: usize = 8;
/// Most keys of a node: two steps of a search that parts the keys in four.
pub(crate) const KEYS_MAX: usize = 2 * HALF - 1;
/// What the places of keys that are not there hold: above every small integer.
const NO_KEY: Value = Value::index(usize::MAX >> 2);
/// Payload words of a leaf: count, pairs.
const LEAF_WORDS: usize = 1 + 2 * KEYS_MAX;
/// Payload words of an inner node: children follow.
const INNER_WORDS: usize = LEAF_WORDS + KEYS_MAX + 1;

const fn key_field(at: usize) -> usize {
    1 + 2 * at
}

const fn child_field(at: usize) -> usize {
    LEAF_WORDS + at
}

/// How many keys are below a small integer, if every key that decides it is one; these are ordered like their words. Six comparisons,
/// none of which the processor has to guess.
fn small_keys_below(fields: &[u64; LEAF_WORDS], key: Value) -> Option<usize> {
    let [a, b, c] = [3, 7, 11].map(|at| fields[key_field(at)]);
    let below = |word: u64| usize::from((word as i64) < key.0 as i64);
    let quarter = 4 * (below(a) + below(b) + below(c));
    let [d, e, f] = [0, 1, 2].map(|at| fields[key_field(quarter + at)]);
    (a & b & c & d & e & f & 1 == 1).then(|| quarter + below(d) + below(e) + below(f))
}

/// A node of a map, by offset.
#[derive(Clone, Copy)]
struct Node(usize);

impl Heap {
    /// The pairs of a node, and its children if it has any.
    pub(crate) fn map_node_parts(payload: &[u64]) -> (&[u64], Option<&[u64]>) {
        let count = Value(payload[0]).as_small_int().unwrap_or(0) as usize;
        let children = (payload.len() > LEAF_WORDS).then(|| &payload[child_field(0)..=child_field(count)]);
        (&payload[key_field(0)..key_field(count)], children)
    }

    /// The payload of a node of these pairs and children.
    pub(crate) fn map_node_of(pairs: &[u64], children: &[u64]) -> Vec<u64> {
        let words = if children.is_empty() { LEAF_WORDS } else { INNER_WORDS };
        let mut payload = vec![Value::UNIT.0; words];
        payload[0] = Value::index(pairs.len() / 2).0;
        for at in 0..KEYS_MAX {
            payload[key_field(at)] = NO_KEY.0;
        }
        payload[key_field(0)..key_field(0) + pairs.len()].copy_from_slice(pairs);
        for (at, child) in children.iter().enumerate() {
            payload[child_field(at)] = *child;
        }
        payload
    }

    /// An empty map.
    pub fn map(&mut self) -> Value {
        self.make(Kind::Map, &[Value::UNIT, Value::index(0)])
    }

    fn expect_map(&self, value: Value) -> Result<usize, Failure> {
        let message = || Failure::new(Known::Type, format!("expected a map, found {}", self.repr(value)));
        value.as_object(Kind::Map).ok_or_else(message)
    }

    /// The number of keys of a map.
    pub(crate) fn map_len(&self, value: Value) -> Result<usize, Failure> {
        let offset = self.expect_map(value)?;
        Ok(self.peek(offset, 1).as_small_int().unwrap_or(0) as usize)
    }

    fn keys(&self, node: Node) -> usize {
        self.peek(node.0, 0).as_small_int().unwrap_or(0) as usize
    }

    fn set_keys(&mut self, node: Node, count: usize) {
        self.write(node.0, 0, Value::index(count));
    }

    /// Fewer keys: what lies behind them is let go.
    fn cut_keys(&mut self, node: Node, count: usize) {
        self.set_keys(node, count);
        for at in count..KEYS_MAX {
            self.write(node.0, key_field(at), NO_KEY);
            self.write(node.0, key_field(at) + 1, Value::UNIT);
        }
        if !self.is_leaf(node) {
            for at in count + 1..=KEYS_MAX {
                self.write(node.0, child_field(at), Value::UNIT);
            }
        }
    }

    fn is_leaf(&self, node: Node) -> bool {
        self.payload(node.0).len() == LEAF_WORDS
    }

    /// The place of a key in a node, or where its child would be.
    fn find_key(&self, node: Node, key: Value) -> Result<usize, usize> {
        let fields = self.payload(node.0);
        let count = self.keys(node);
        if key.0 & 1 == 1
            && let Some(fields) = fields.first_chunk()
            && let Some(below) = small_keys_below(fields, key)
        {
            let found = below < count && fields[key_field(below)] == key.0;
            return if found { Ok(below) } else { Err(below) };
        }
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = (low + high) / 2;
            match self.compare(Value(fields[key_field(middle)]), key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    fn find_pair(&self, map: usize, key: Value) -> Option<(Node, usize)> {
        let mut node = Node(self.peek(map, 0).as_object(Kind::MapNode)?);
        loop {
            match self.find_key(node, key) {
                Ok(at) => return Some((node, at)),
                Err(_) if self.is_leaf(node) => return None,
                Err(at) => node = Node(self.peek(node.0, child_field(at)).as_object(Kind::MapNode)?),
            }
        }
    }

    /// The value of a key, to keep.
    pub(crate) fn map_get(&mut self, map: Value, key: Value) -> Result<Option<Value>, Failure> {
        let map = self.expect_map(map)?;
        Ok(self.find_pair(map, key).map(|(node, at)| self.read(node.0, key_field(at) + 1)))
    }

    /// Moves the value of a key out of an owned map and leaves unit; shares it if anyone else could see it.
    pub(crate) fn map_take(&mut self, map: Value, key: Value) -> Result<(Value, Option<Value>), Failure> {
        let (map, offset) = self.own_map(map)?;
        let mut reference = self.peek(offset, 0);
        let mut field = (offset, 0);
        while reference.as_object(Kind::MapNode).is_some() {
            let node = self.own_node(field.0, field.1);
            reference = match self.find_key(node, key) {
                Ok(at) => {
                    let value = self.peek(node.0, key_field(at) + 1);
                    self.write(node.0, key_field(at) + 1, Value::UNIT);
                    return Ok((map, Some(value)));
                }
                Err(_) if self.is_leaf(node) => return Ok((map, None)),
                Err(at) => {
                    field = (node.0, child_field(at));
                    self.peek(node.0, child_field(at))
                }
            };
        }
        Ok((map, None))
    }

    /// The map to write to: the same if owned, else a copy of its root object.
    fn own_map(&mut self, map: Value) -> Result<(Value, usize), Failure> {
        let offset = self.expect_map(map)?;
        if self.may_write(map) {
            self.stats.in_place += 1;
            return Ok((map, offset));
        }
        let root = self.read(offset, 0);
        let count = self.peek(offset, 1);
        self.stats.copied += 1;
        let copy = self.make(Kind::Map, &[root, count]);
        Ok((copy, copy.as_object(Kind::Map).unwrap_or(0)))
    }

    /// The node that a field of an owned object refers to, made owned by copying it if it is not.
    fn own_node(&mut self, holder: usize, field: usize) -> Node {
        let reference = self.peek(holder, field);
        let offset = reference.as_object(Kind::MapNode).unwrap_or(0);
        if self.may_write(reference) {
            return Node(offset);
        }
        let size = self.payload(offset).len();
        for at in 0..size {
            self.read(offset, at);
        }
        let copy = self.make_zeroed(Kind::MapNode, size);
        let to = copy.as_object(Kind::MapNode).unwrap_or(0);
        self.words.copy_within(offset + 1..offset + 1 + size, to + 1);
        self.stats.copied_words += size as u64;
        self.write(holder, field, copy);
        Node(to)
    }

    fn new_node(&mut self, leaf: bool) -> (Value, Node) {
        let made = self.make_zeroed(Kind::MapNode, if leaf { LEAF_WORDS } else { INNER_WORDS });
        let node = Node(made.as_object(Kind::MapNode).unwrap_or(0));
        self.cut_keys(node, 0);
        (made, node)
    }

    /// Copies fields of nodes this update owns; what they hold moves.
    fn move_fields(&mut self, from: (Node, usize), to: (Node, usize), count: usize) {
        let start = from.0.0 + 1 + from.1;
        self.words.copy_within(start..start + count, to.0.0 + 1 + to.1);
    }

    /// Splits the full child `at` of an owned node that is not full.
    fn split_child(&mut self, parent: Node, at: usize) {
        let child = self.own_node(parent.0, child_field(at));
        let leaf = self.is_leaf(child);
        let (right_ref, right) = self.new_node(leaf);
        self.move_fields((child, key_field(HALF)), (right, key_field(0)), 2 * (HALF - 1));
        if !leaf {
            self.move_fields((child, child_field(HALF)), (right, child_field(0)), HALF);
        }
        self.set_keys(right, HALF - 1);
        let keys = self.keys(parent);
        self.move_fields((parent, child_field(at + 1)), (parent, child_field(at + 2)), keys - at);
        self.move_fields((parent, key_field(at)), (parent, key_field(at + 1)), 2 * (keys - at));
        self.move_fields((child, key_field(HALF - 1)), (parent, key_field(at)), 2);
        self.cut_keys(child, HALF - 1);
        self.write(parent.0, child_field(at + 1), right_ref);
        self.set_keys(parent, keys + 1);
    }

    /// The same map with a key.
    pub(crate) fn map_insert(&mut self, map: Value, key: Value, item: Value) -> Outcome {
        let (map, offset) = self.own_map(map)?;
        if self.peek(offset, 0) == Value::UNIT {
            let (root, _) = self.new_node(true);
            self.write(offset, 0, root);
        }
        let mut node = self.own_node(offset, 0);
        if self.keys(node) == KEYS_MAX {
            let (root_ref, root) = self.new_node(false);
            let old = self.peek(offset, 0);
            self.write(root.0, child_field(0), old);
            self.write(offset, 0, root_ref);
            self.split_child(root, 0);
            node = root;
        }
        loop {
            let at = match self.find_key(node, key) {
                Ok(at) => {
                    self.write(node.0, key_field(at) + 1, item);
                    return Ok(map);
                }
                Err(at) => at,
            };
            if self.is_leaf(node) {
                let keys = self.keys(node);
                self.move_fields((node, key_field(at)), (node, key_field(at + 1)), 2 * (keys - at));
                self.write(node.0, key_field(at), key);
                self.write(node.0, key_field(at) + 1, item);
                self.set_keys(node, keys + 1);
                let count = self.map_len(map)?;
                self.write(offset, 1, Value::index(count + 1));
                return Ok(map);
            }
            let child = self.own_node(node.0, child_field(at));
            if self.keys(child) == KEYS_MAX {
                // The middle key moves up, so the place is looked for again in this node.
                self.split_child(node, at);
                continue;
            }
            node = child;
        }
    }

    /// The same map without a key.
    pub(crate) fn map_remove(&mut self, map: Value, key: Value) -> Outcome {
        let found = self.expect_map(map)?;
        if self.find_pair(found, key).is_none() {
            return Ok(map);
        }
        let (map, offset) = self.own_map(map)?;
        let root = self.own_node(offset, 0);
        self.remove_below(root, key);
        if self.keys(root) == 0 {
            let rest = if self.is_leaf(root) { Value::UNIT } else { self.peek(root.0, child_field(0)) };
            self.write(offset, 0, rest);
        }
        let count = self.map_len(map)?;
        self.write(offset, 1, Value::index(count - 1));
        Ok(map)
    }

    /// Removes a key that is there from the tree of an owned node that is the root or has at least `HALF` keys.
    fn remove_below(&mut self, mut node: Node, key: Value) {
        let mut key = key;
        loop {
            match self.find_key(node, key) {
                Ok(at) if self.is_leaf(node) => {
                    let keys = self.keys(node);
                    self.move_fields((node, key_field(at + 1)), (node, key_field(at)), 2 * (keys - at - 1));
                    self.cut_keys(node, keys - 1);
                    return;
                }
                Ok(at) => {
                    let left = self.own_node(node.0, child_field(at));
                    let right = self.own_node(node.0, child_field(at + 1));
                    let edge = if self.keys(left) >= HALF {
                        Some((left, true))
                    } else if self.keys(right) >= HALF {
                        Some((right, false))
                    } else {
                        None
                    };
                    match edge {
                        Some((child, last)) => {
                            // The neighbouring pair takes this place; it is then removed below instead.
                            let (leaf, field) = self.edge_pair(child, last);
                            let pair = [self.read(leaf.0, field), self.read(leaf.0, field + 1)];
                            self.write(node.0, key_field(at), pair[0]);
                            self.write(node.0, key_field(at) + 1, pair[1]);
                            (node, key) = (child, pair[0]);
                        }
                        None => node = self.merge_children(node, at),
                    }
                }
                Err(at) => node = self.fill_child(node, at),
            }
        }
    }

    /// The last (or first) pair of a tree.
    fn edge_pair(&self, mut node: Node, last: bool) -> (Node, usize) {
        while !self.is_leaf(node) {
            let at = if last { self.keys(node) } else { 0 };
            node = Node(self.peek(node.0, child_field(at)).as_object(Kind::MapNode).unwrap_or(0));
        }
        (node, key_field(if last { self.keys(node) - 1 } else { 0 }))
    }

    /// Joins child `at`, the pair there and child `at + 1`, each child having `HALF - 1` keys.
    fn merge_children(&mut self, node: Node, at: usize) -> Node {
        let left = self.own_node(node.0, child_field(at));
        let right = self.own_node(node.0, child_field(at + 1));
        let (mine, count, more) = (self.keys(node), self.keys(left), self.keys(right));
        self.move_fields((node, key_field(at)), (left, key_field(count)), 2);
        self.move_fields((right, key_field(0)), (left, key_field(count + 1)), 2 * more);
        if !self.is_leaf(left) {
            self.move_fields((right, child_field(0)), (left, child_field(count + 1)), more + 1);
        }
        self.set_keys(left, count + 1 + more);
        self.move_fields((node, key_field(at + 1)), (node, key_field(at)), 2 * (mine - at - 1));
        self.move_fields((node, child_field(at + 2)), (node, child_field(at + 1)), mine - at - 1);
        self.cut_keys(node, mine - 1);
        left
    }

    /// Child `at` of a node, with at least `HALF` keys, taken from a sibling if need be.
    fn fill_child(&mut self, node: Node, at: usize) -> Node {
        let child = self.own_node(node.0, child_field(at));
        let count = self.keys(child);
        if count >= HALF {
            return child;
        }
        if at > 0 {
            let left = self.own_node(node.0, child_field(at - 1));
            let keys = self.keys(left);
            if keys >= HALF {
                self.move_fields((child, key_field(0)), (child, key_field(1)), 2 * count);
                self.move_fields((node, key_field(at - 1)), (child, key_field(0)), 2);
                self.move_fields((left, key_field(keys - 1)), (node, key_field(at - 1)), 2);
                if !self.is_leaf(child) {
                    self.move_fields((child, child_field(0)), (child, child_field(1)), count + 1);
                    self.move_fields((left, child_field(keys)), (child, child_field(0)), 1);
                }
                self.cut_keys(left, keys - 1);
                self.set_keys(child, count + 1);
                return child;
            }
        }
        if at < self.keys(node) {
            let right = self.own_node(node.0, child_field(at + 1));
            let keys = self.keys(right);
            if keys >= HALF {
                self.move_fields((node, key_field(at)), (child, key_field(count)), 2);
                self.move_fields((right, key_field(0)), (node, key_field(at)), 2);
                self.move_fields((right, key_field(1)), (right, key_field(0)), 2 * (keys - 1));
                if !self.is_leaf(child) {
                    self.move_fields((right, child_field(0)), (child, child_field(count + 1)), 1);
                    self.move_fields((right, child_field(1)), (right, child_field(0)), keys);
                }
                self.cut_keys(right, keys - 1);
                self.set_keys(child, count + 1);
                return child;
            }
            return self.merge_children(node, at);
        }
        self.merge_children(node, at - 1)
    }

    /// The pairs of a map in key order, to look at.
    pub(crate) fn map_pairs(&self, map: usize) -> Vec<(Value, Value)> {
        let mut pairs = Vec::new();
        let mut path: Vec<(Node, usize)> = Vec::new();
        let mut next = self.peek(map, 0).as_object(Kind::MapNode).map(Node);
        loop {
            while let Some(node) = next {
                path.push((node, 0));
                next = if self.is_leaf(node) {
                    None
                } else {
                    self.peek(node.0, child_field(0)).as_object(Kind::MapNode).map(Node)
                };
            }
            let Some((node, at)) = path.pop() else { return pairs };
            if at >= self.keys(node) {
                continue;
            }
            pairs.push((self.peek(node.0, key_field(at)), self.peek(node.0, key_field(at) + 1)));
            path.push((node, at + 1));
            if !self.is_leaf(node) {
                next = self.peek(node.0, child_field(at + 1)).as_object(Kind::MapNode).map(Node);
            }
        }
    }

    /// The pairs of a map in key order, to keep: every node shares what it holds from now on.
    pub(crate) fn map_shared_pairs(&mut self, map: Value) -> Result<Vec<(Value, Value)>, Failure> {
        let root = self.expect_map(map)?;
        let mut open: Vec<usize> = self.peek(root, 0).as_object(Kind::MapNode).into_iter().collect();
        while let Some(node) = open.pop() {
            for field in 1..LEAF_WORDS {
                self.read(node, field);
            }
            if !self.is_leaf(Node(node)) {
                let children = (0..=self.keys(Node(node))).map(|at| self.peek(node, child_field(at)));
                open.extend(children.filter_map(|child| child.as_object(Kind::MapNode)));
            }
        }
        Ok(self.map_pairs(root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Stress;
    use crate::statics::Statics;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// A simple generator: the test needs many different sequences, not good randomness.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    fn check(heap: &Heap, map: Value, expected: &BTreeMap<i64, i64>) {
        let offset = map.as_object(Kind::Map).expect("it is a map");
        let pairs: Vec<(i64, i64)> = heap
            .map_pairs(offset)
            .into_iter()
            .map(|(key, value)| (heap.as_int(key).expect("an integer"), heap.as_int(value).expect("an integer")))
            .collect();
        assert_eq!(pairs, expected.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
        assert_eq!(heap.map_len(map).expect("it is a map"), expected.len());
    }

    #[test]
    fn updates_agree_with_a_sorted_map_and_leave_shared_copies_alone() {
        let mut statics = Statics::default();
        statics.seal();
        let statics = Arc::new(statics);
        for run in 0..40 {
            let mut heap = Heap::new(statics.clone(), if run % 2 == 0 { Stress::None } else { Stress::Copy });
            let mut seed = run;
            let mut map = heap.map();
            let mut expected = BTreeMap::new();
            let mut kept: Vec<(Value, BTreeMap<i64, i64>)> = Vec::new();
            let range = [8, 60, 500, 5_000][run as usize / 2 % 4];
            for step in 0..1_500_i64 {
                let key = (next(&mut seed) % range) as i64;
                let word = heap.int(key);
                if next(&mut seed) % 5 < 3 {
                    let item = heap.int(step);
                    map = heap.map_insert(map, word, item).expect("it is a map");
                    expected.insert(key, step);
                } else {
                    map = heap.map_remove(map, word).expect("it is a map");
                    expected.remove(&key);
                }
                if next(&mut seed).is_multiple_of(200) {
                    map = map.shared();
                    kept.push((map, expected.clone()));
                }
            }
            check(&heap, map, &expected);
            for (map, expected) in kept {
                check(&heap, map, &expected);
            }
        }
    }
}
