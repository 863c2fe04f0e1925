//! What a program may ask of the world, and the table of everything there is to ask. Checked in one place, `core::requests`.

use qualm_vm::statics::Statics;

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
    Snapshot "Snapshot" None;
    Restore "Restore" None;
}

/// The capabilities there are.
const NAMES: &[&str] = &["write", "read", "clock", "random", "args", "env", "read_file", "write_file", "spawn"];

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

/// A set of capabilities.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    granted: u32,
}

impl Capabilities {
    /// None at all.
    pub fn none() -> Self {
        Self { granted: 0 }
    }

    /// What `qualm run` of a single file grants by default.
    pub fn script() -> Self {
        Self { granted: SCRIPT.iter().filter_map(|name| bit(name)).sum() }
    }

    /// Everything.
    pub fn all() -> Self {
        Self { granted: (1 << NAMES.len()) - 1 }
    }

    /// The names that [`grant`](Self::grant) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().copied()
    }

    /// The names of those that are granted.
    pub fn granted(&self) -> impl Iterator<Item = &'static str> + '_ {
        NAMES.iter().enumerate().filter(|(at, _)| self.granted >> at & 1 == 1).map(|(_, name)| *name)
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
        match bit(name) {
            Some(bit) => {
                self.granted |= bit;
                Ok(())
            }
            None => Err(format!("no capability is called `{name}`; known are all, {}", NAMES.join(", "))),
        }
    }

    /// Whether a capability is granted; nothing if there is none of that name.
    pub fn has(&self, name: &str) -> Option<bool> {
        bit(name).map(|bit| self.granted & bit != 0)
    }

    /// Only those of these names, all of which must be granted here.
    ///
    /// # Errors
    /// The first name that is no capability or is not granted here.
    pub fn narrowed<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut granted = 0;
        for name in names {
            granted |= bit(name).filter(|bit| self.granted & bit != 0).ok_or(name)?;
        }
        Ok(Self { granted })
    }

    /// Whether all that a request needs is granted.
    pub(crate) fn allow(&self, needs: u32) -> bool {
        self.granted & needs == needs
    }
}
