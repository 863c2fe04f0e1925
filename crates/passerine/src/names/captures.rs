//! What functions need passed along.

use super::{Names, Storage, VarId};
use crate::tree::FunctionId;
use std::collections::{BTreeSet, HashMap};

impl Names {
    /// Computes captures once everything is resolved: what a function uses of outer ones, and what the known functions it uses need.
    pub(crate) fn finish(&mut self) {
        let functions: Vec<FunctionId> = self.uses.keys().copied().collect();
        let mut sets: HashMap<FunctionId, BTreeSet<VarId>> = HashMap::new();
        let mut known: HashMap<FunctionId, Vec<FunctionId>> = HashMap::new();
        for function in &functions {
            let (mut own, mut callees) = (BTreeSet::new(), Vec::new());
            for var in &self.uses[function] {
                if self.var(*var).literal.is_some() {
                    continue;
                }
                // Who uses a file may be the first and run it, with what the file needs.
                callees.extend(self.file_functions.get(var));
                match self.var(*var).storage() {
                    Storage::Known(callee) => callees.push(callee),
                    Storage::Cell | Storage::Register => {
                        own.insert(*var);
                    }
                }
            }
            sets.insert(*function, own);
            known.insert(*function, callees);
        }
        // A function may use known functions that it declares itself; their needs come from outside too.
        for var in &self.vars {
            if let Storage::Known(callee) = var.storage() {
                known.entry(var.function).or_default().push(callee);
            }
        }
        loop {
            let mut changed = false;
            for function in known.keys().copied().collect::<Vec<_>>() {
                for callee in known[&function].clone() {
                    let needed: Vec<VarId> =
                        sets.get(&callee).map(|set| set.iter().copied().collect()).unwrap_or_default();
                    for var in needed {
                        let owner = self.var(var).function;
                        if owner != function && !self.is_inside(owner, function) {
                            changed |= sets.entry(function).or_default().insert(var);
                        }
                    }
                }
            }
            if !changed {
                break;
            }
        }
        self.captures = sets.into_iter().map(|(function, set)| (function, set.into_iter().collect())).collect();
    }
}
