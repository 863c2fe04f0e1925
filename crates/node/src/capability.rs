//! What a program may ask of the world, and the table of everything there is to ask. Checked in one place, `core::requests`.

use qualm_vm::statics::Statics;
use std::collections::BTreeMap;
use std::sync::Arc;

macro_rules! requests {
    ($( $(#[$doc:meta])* $name:ident $text:literal $capability:expr; )*) => {
        /// A request.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Request { $( $(#[$doc])* $name, )* }

        const REQUESTS: &[(Request, &str, Option<&str>)] = &[ $( (Request::$name, $text, $capability), )* ];
    };
}

requests! {
    Write "Write" Some("write");
    ReadLine "ReadLine" Some("read");
    Clock "Clock" Some("clock");
    Sleep "Sleep" Some("clock");
    Random "Random" Some("random");
    Args "Args" Some("args");
    Env "Env" Some("env");
    ReadFile "ReadFile" Some("read_file");
    ListDir "ListDir" Some("read_file");
    WriteFile "WriteFile" Some("write_file");
    AppendFile "AppendFile" Some("write_file");
    RemoveFile "RemoveFile" Some("write_file");
    MakeDir "MakeDir" Some("write_file");
    FileInfo "FileInfo" Some("read_file");
    WriteError "WriteError" Some("write");
    Log "Log" Some("write");
    Ticks "Ticks" Some("clock");
    Seed "Seed" Some("random");
    Http "Http" Some("http");
    HttpListen "HttpListen" Some("listen");
    HttpAccept "HttpAccept" None;
    HttpAnswer "HttpAnswer" None;
    TcpListen "TcpListen" Some("listen");
    TcpAccept "TcpAccept" None;
    TcpConnect "TcpConnect" Some("connect");
    TcpRead "TcpRead" None;
    TcpWrite "TcpWrite" None;
    Address "Address" None;
    Close "Close" None;
    Give "Give" None;
    Spawn "Spawn" Some("spawn");
    SpawnWith "SpawnWith" Some("spawn");
    SpawnDetached "SpawnDetached" Some("spawn");
    Parallel "Parallel" Some("spawn");
    Self_ "Self" None;
    Parent "Parent" None;
    Children "Children" None;
    Send "Send" None;
    Receive "Receive" None;
    ReceiveWithin "ReceiveWithin" None;
    Peek "Peek" None;
    PeekWithin "PeekWithin" None;
    Take "Take" None;
    Mailbox "Mailbox" None;
    Bound "Bound" None;
    Join "Join" None;
    Pause "Pause" None;
    Cancel "Cancel" None;
    Link "Link" None;
    Unlink "Unlink" None;
    Trap "Trap" None;
    Monitor "Monitor" None;
    Demonitor "Demonitor" None;
    Register "Register" None;
    WhereIs "WhereIs" None;
    JoinGroup "JoinGroup" None;
    LeaveGroup "LeaveGroup" None;
    Members "Members" None;
    Store "Store" None;
    Load "Load" None;
    Fork "Fork" Some("spawn");
    Checkpoint "Checkpoint" None;
    Respawn "Respawn" Some("spawn");
    Snapshot "Snapshot" None;
    Restore "Restore" None;
}

/// The capabilities there are. Those of the second list can be given for some resources only: `read_file=DIR`, `env=NAME`, `connect=HOST:PORT`.
const NAMES: &[&str] = &[
    "write",
    "read",
    "clock",
    "random",
    "args",
    "env",
    "read_file",
    "write_file",
    "spawn",
    "http",
    "connect",
    "listen",
];
const SCOPED: &[&str] = &["env", "read_file", "write_file", "http", "connect", "listen"];

/// What a script needs and cannot hurt with.
const SCRIPT: &[&str] = &["write", "read", "clock", "random", "args", "spawn"];

fn bit(name: &str) -> Option<u32> {
    NAMES.iter().position(|known| *known == name).map(|at| 1 << at)
}

/// Requests by the numbers of their symbols in one program.
#[derive(Debug)]
pub(crate) struct RequestTable(Vec<Option<(Request, u32)>>);

impl RequestTable {
    pub(crate) fn of(statics: &Statics) -> Self {
        let mut table = Vec::new();
        for (request, name, capability) in REQUESTS {
            if let Some(symbol) = statics.find_symbol(name) {
                table.resize(table.len().max(symbol as usize + 1), None);
                let needs = capability.and_then(bit).unwrap_or(0);
                table[symbol as usize] = Some((*request, needs));
            }
        }
        Self(table)
    }

    /// The request of a symbol, and the bits of the capabilities it needs.
    pub(crate) fn get(&self, symbol: u32) -> Option<(Request, u32)> {
        self.0.get(symbol as usize).copied().flatten()
    }
}

/// A resource that a capability is given for. Of a directory below another one that was given, both: each is opened from the one before it, so
/// that a symbolic link cannot lead out of either.
pub type Scope = Vec<String>;

/// A set of capabilities.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    granted: u32,
    /// The resources of those that are not for all.
    scopes: Arc<BTreeMap<&'static str, Vec<Scope>>>,
}

impl Capabilities {
    /// None at all.
    pub fn none() -> Self {
        Self { granted: 0, scopes: Arc::default() }
    }

    /// What `qualm run` of a single file grants by default.
    pub fn script() -> Self {
        Self { granted: SCRIPT.iter().filter_map(|name| bit(name)).sum(), scopes: Arc::default() }
    }

    /// Everything.
    pub fn all() -> Self {
        Self { granted: (1 << NAMES.len()) - 1, scopes: Arc::default() }
    }

    /// The names that [`grant`](Self::grant) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().copied()
    }

    /// What is granted, as [`grant`](Self::grant) takes it.
    pub fn granted(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (at, name) in NAMES.iter().enumerate().filter(|(at, _)| self.granted >> at & 1 == 1) {
            debug_assert!(at < 32, "capabilities are bits of a word");
            match self.scopes.get(name) {
                None => all.push((*name).to_owned()),
                Some(scopes) => {
                    let last = |scope: &Scope| scope.last().cloned().unwrap_or_default();
                    all.extend(scopes.iter().map(|scope| format!("{name}={}", last(scope))));
                }
            }
        }
        all
    }

    /// Adds a capability by name; `all` adds every one, `NAME=RESOURCE` one for a resource.
    ///
    /// # Errors
    /// If there is none of that name, or it is not given by resource.
    pub fn grant(&mut self, text: &str) -> Result<(), String> {
        if text == "all" {
            *self = Self::all();
            return Ok(());
        }
        let (name, resource) = parts(text);
        let Some((bit, name)) = bit(name).zip(NAMES.iter().find(|known| **known == name)) else {
            return Err(format!("no capability is called `{name}`; known are all, {}", NAMES.join(", ")));
        };
        let whole = self.granted & bit != 0 && !self.scopes.contains_key(name);
        match resource {
            None => {
                Arc::make_mut(&mut self.scopes).remove(name);
            }
            Some(_) if !SCOPED.contains(name) => {
                return Err(format!(
                    "`{name}` is granted as a whole, not for a resource; those that can be: {}",
                    SCOPED.join(", ")
                ));
            }
            Some(_) if whole => {}
            Some(resource) => {
                let scope = vec![normal(name, resource)];
                Arc::make_mut(&mut self.scopes).entry(name).or_default().push(scope);
            }
        }
        self.granted |= bit;
        Ok(())
    }

    /// Whether a capability is granted, for some resources at least; nothing if there is none of that name.
    pub fn has(&self, text: &str) -> Option<bool> {
        bit(parts(text).0).map(|bit| self.granted & bit != 0)
    }

    /// Only those of these names, all of which must be granted here.
    ///
    /// # Errors
    /// The first name that is no capability or is not granted here.
    pub fn narrowed<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut less = Self::none();
        for text in names {
            let (name, resource) = parts(text);
            let own = bit(name).filter(|bit| self.granted & bit != 0).ok_or(text)?;
            let key = NAMES.iter().find(|known| **known == name).ok_or(text)?;
            let had = less.granted & own != 0;
            less.granted |= own;
            let scopes = match (resource, self.scopes.get(key)) {
                (None, None) => {
                    Arc::make_mut(&mut less.scopes).remove(key);
                    continue;
                }
                (None, Some(scopes)) => scopes.clone(),
                (Some(_), _) if !SCOPED.contains(key) => return Err(text),
                (Some(resource), None) => vec![vec![normal(key, resource)]],
                (Some(resource), Some(scopes)) => {
                    let resource = normal(key, resource);
                    let within = scopes.iter().find(|scope| contains(key, scope, &resource)).ok_or(text)?;
                    let mut chain = within.clone();
                    if chain.last() != Some(&resource) {
                        chain.push(resource);
                    }
                    vec![chain]
                }
            };
            if had && !less.scopes.contains_key(key) {
                continue;
            }
            Arc::make_mut(&mut less.scopes).entry(key).or_default().extend(scopes);
        }
        Ok(less)
    }

    /// Whether all that a request needs is granted.
    pub(crate) fn allow(&self, needs: u32) -> bool {
        self.granted & needs == needs
    }

    /// The resources for which a capability is granted; nothing if that is all there are.
    pub(crate) fn scopes(&self, name: &str) -> Option<&Vec<Scope>> {
        self.scopes.get(name)
    }

    /// Whether a capability that is granted is granted for a resource.
    pub(crate) fn reaches(&self, name: &str, resource: &str) -> bool {
        self.scopes.get(name).is_none_or(|scopes| scopes.iter().any(|scope| contains(name, scope, resource)))
    }
}

/// `NAME` or `NAME=RESOURCE`
fn parts(text: &str) -> (&str, Option<&str>) {
    text.split_once('=').map_or((text, None), |(name, resource)| (name, Some(resource)))
}

/// A resource in the form in which resources are compared.
fn normal(name: &str, resource: &str) -> String {
    if name.ends_with("_file") {
        crate::files::normal(resource).to_string_lossy().into_owned()
    } else {
        resource.to_owned()
    }
}

/// Whether a resource is the one of a scope, or part of it.
fn contains(name: &str, scope: &Scope, resource: &str) -> bool {
    let Some(own) = scope.last() else { return false };
    match name {
        "read_file" | "write_file" => std::path::Path::new(resource).starts_with(own),
        // A host stands for all its ports.
        "connect" | "listen" => own == resource || resource.rsplit_once(':').is_some_and(|(host, _)| host == own),
        _ => own == resource,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(names: &[&str]) -> Capabilities {
        let mut capabilities = Capabilities::none();
        names.iter().for_each(|name| capabilities.grant(name).expect("it is a capability"));
        capabilities
    }

    #[test]
    fn children_get_no_more_than_there_is() {
        let own = granted(&["read_file=/data", "spawn", "connect=localhost"]);
        let ask = |name| own.narrowed(std::iter::once(name));
        assert!(ask("read_file=/data/sub").is_ok_and(|less| less.reaches("read_file", "/data/sub/x")));
        assert!(ask("read_file=/data/sub").is_ok_and(|less| !less.reaches("read_file", "/data/other")));
        assert!(ask("read_file=/data/../etc").is_err());
        assert!(ask("read_file=/database").is_err());
        assert!(ask("read_file").is_ok_and(|less| less.granted() == ["read_file=/data"]));
        assert!(ask("write_file=/data").is_err());
        assert!(ask("connect=localhost:80").is_ok_and(|less| !less.reaches("connect", "localhost:81")));
        assert!(ask("connect=elsewhere:80").is_err());
        assert!(ask("spawn=x").is_err());
    }
}
