//! What a program may ask of the world. Checked in one place, [`Host::answer`](crate::host::Host::answer) and its callers' request names.

use std::collections::BTreeSet;

/// Every capability and the requests it allows.
const CAPABILITIES: &[(&str, &[&str])] = &[
    ("write", &["Write"]),
    ("read", &["ReadLine"]),
    ("clock", &["Clock", "Sleep"]),
    ("random", &["Random"]),
    ("args", &["Args"]),
    ("env", &["Env"]),
    ("read_file", &["ReadFile", "ListDir"]),
    ("write_file", &["WriteFile"]),
    ("spawn", &["Spawn", "SpawnWith", "Parallel"]),
];

/// What a script needs and cannot hurt with.
const SCRIPT: &[&str] = &["write", "read", "clock", "random", "args", "spawn"];

/// Requests that need no capability: they only concern the program's own processes.
const FREE: &[&str] = &["Self", "Send", "Receive", "ReceiveWithin", "Join", "Pause", "Snapshot", "Restore"];

/// A set of capabilities.
#[derive(Clone, Debug)]
pub struct Capabilities {
    granted: BTreeSet<&'static str>,
}

impl Capabilities {
    /// What `qualm run` of a single file grants by default.
    pub fn script() -> Self {
        Self { granted: SCRIPT.iter().copied().collect() }
    }

    /// Everything.
    pub fn all() -> Self {
        Self { granted: CAPABILITIES.iter().map(|(name, _)| *name).collect() }
    }

    /// The names that [`grant`](Self::grant) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CAPABILITIES.iter().map(|(name, _)| *name)
    }

    /// Adds a capability by name; `all` adds every one.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn grant(&mut self, name: &str) -> Result<(), String> {
        if name == "all" {
            *self = Self::all();
            return Ok(());
        }
        match Self::names().find(|known| *known == name) {
            Some(known) => {
                self.granted.insert(known);
                Ok(())
            }
            None => {
                let known: Vec<_> = Self::names().collect();
                Err(format!("no capability is called `{name}`; known are all, {}", known.join(", ")))
            }
        }
    }

    /// Whether a capability is granted; nothing if there is none of that name.
    pub fn has(&self, name: &str) -> Option<bool> {
        Self::names().find(|known| *known == name).map(|known| self.granted.contains(known))
    }

    /// Only those of these names, all of which must be granted here.
    ///
    /// # Errors
    /// The first name that is no capability or is not granted here.
    pub fn narrowed<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut granted = BTreeSet::new();
        for name in names {
            granted.insert(*self.granted.get(name).ok_or(name)?);
        }
        Ok(Self { granted })
    }

    /// Whether a request is allowed; nothing if there is no such request.
    pub fn allows(&self, request: &str) -> Option<bool> {
        if FREE.contains(&request) {
            return Some(true);
        }
        let (name, _) = CAPABILITIES.iter().find(|(_, requests)| requests.contains(&request))?;
        Some(self.granted.contains(name))
    }
}
