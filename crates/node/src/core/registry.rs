//! Names and groups of processes; core 0 keeps them for all.

use crate::ids::ProcessId;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Who has which name, and who is in which group.
#[derive(Default, Debug)]
pub(crate) struct Registry {
    names: BTreeMap<String, ProcessId>,
    groups: BTreeMap<String, Vec<ProcessId>>,
    entries: HashMap<ProcessId, HashSet<String>>,
}

impl Registry {
    /// Gives a process a name; whether it was free.
    pub(crate) fn name(&mut self, name: String, id: ProcessId) -> bool {
        if self.names.contains_key(&name) {
            return false;
        }
        self.entries.entry(id).or_default().insert(name.clone());
        self.names.insert(name, id);
        true
    }

    pub(crate) fn find(&self, name: &str) -> Option<ProcessId> {
        self.names.get(name).copied()
    }

    pub(crate) fn join(&mut self, group: String, id: ProcessId) {
        let members = self.groups.entry(group.clone()).or_default();
        if !members.contains(&id) {
            members.push(id);
            self.entries.entry(id).or_default().insert(group);
        }
    }

    pub(crate) fn leave(&mut self, group: &str, id: ProcessId) {
        if let Some(members) = self.groups.get_mut(group) {
            members.retain(|member| *member != id);
            if members.is_empty() {
                self.groups.remove(group);
            }
            if self.names.get(group) != Some(&id)
                && let Some(entries) = self.entries.get_mut(&id)
            {
                entries.remove(group);
            }
        }
    }

    /// The members of a group, in the order in which they joined.
    pub(crate) fn members(&self, group: &str) -> Vec<ProcessId> {
        self.groups.get(group).cloned().unwrap_or_default()
    }

    /// Forgets a process that ended.
    pub(crate) fn gone(&mut self, id: ProcessId) {
        for entry in self.entries.remove(&id).unwrap_or_default() {
            if self.names.get(&entry) == Some(&id) {
                self.names.remove(&entry);
            }
            self.leave(&entry, id);
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, ProcessId)> {
        self.names.iter().map(|(name, id)| (name.as_str(), *id))
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &[ProcessId])> {
        self.groups.iter().map(|(name, members)| (name.as_str(), members.as_slice()))
    }
}
