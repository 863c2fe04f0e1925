//! A session on a node: inputs run there, and what they spawn goes on there.

use crate::commands::{NodeArgs, complain, print};
use qualm_ir::binary;
use qualm_ir::module::Module;
use qualm_node::address::Connection;
use qualm_node::protocol::{Ask, Evaluate, Open, Tell, receive, send};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The connection of a session, for whoever interrupts what runs there.
pub(super) type Interrupt = Arc<Mutex<Option<Connection>>>;

/// A session on a node.
pub(super) struct Remote {
    node: NodeArgs,
    allow: Vec<String>,
    connection: Connection,
    number: u64,
    interrupt: Interrupt,
}

/// What an input came to at the node.
pub(super) struct Answer {
    /// Whether what it defined is kept.
    pub(super) kept: bool,
    /// What went wrong, ready to print.
    pub(super) problem: String,
    pub(super) value: Option<String>,
}

fn gone(error: impl std::fmt::Display) -> String {
    format!("the node: {error}\n")
}

impl Remote {
    /// Begins a session.
    pub(super) fn open(node: NodeArgs, allow: Vec<String>, interrupt: Interrupt) -> Result<Self, String> {
        let mut connection = node.connect().map_err(|why| why + "\n")?;
        let open = Open { name: "repl".to_owned(), allow: allow.clone(), memory_words: None };
        send(&mut connection, &Ask::Open(open)).map_err(gone)?;
        let number = match receive(&mut connection).map_err(gone)? {
            Some(Tell::Started(number)) => number,
            Some(Tell::Refused(why)) => return Err(why + "\n"),
            _ => return Err("the node begins no session\n".to_owned()),
        };
        *interrupt.lock().unwrap_or_else(PoisonError::into_inner) = connection.try_clone().ok();
        Ok(Self { node, allow, connection, number, interrupt })
    }

    /// What the session was granted.
    pub(super) fn allow(&self) -> &[String] {
        &self.allow
    }

    /// Ends the session and begins another.
    pub(super) fn reset(&mut self) {
        match Self::open(self.node.clone(), self.allow.clone(), self.interrupt.clone()) {
            Ok(fresh) => {
                self.connection.close();
                *self = fresh;
            }
            Err(problem) => complain(&problem),
        }
    }

    /// Runs an input.
    pub(super) fn evaluate(
        &mut self,
        module: &Module,
        function: u32,
        cells: usize,
        goes_on: bool,
    ) -> Result<Answer, String> {
        let evaluate = Evaluate { module: binary::encode(module), function, cells: cells as u32, goes_on };
        send(&mut self.connection, &Ask::Evaluate(Box::new(evaluate))).map_err(gone)?;
        loop {
            match receive(&mut self.connection).map_err(gone)? {
                Some(Tell::Output(bytes)) => write(&bytes),
                Some(Tell::Evaluated(kept, problem, value)) => return Ok(Answer { kept, problem, value }),
                Some(Tell::Refused(why)) => return Err(why + "\n"),
                Some(Tell::Ended(_, why, _)) => {
                    return Err(format!("the session is over: {why}:reset begins another\n"));
                }
                Some(_) => {}
                None => return Err("the node went away; :reset begins a session when it is back\n".to_owned()),
            }
        }
    }

    /// Lets the session's program go on without this client.
    pub(super) fn detach(&mut self) -> Result<(), String> {
        send(&mut self.connection, &Ask::Detach).map_err(gone)?;
        loop {
            match receive(&mut self.connection).map_err(gone)? {
                Some(Tell::Output(bytes)) => write(&bytes),
                Some(Tell::Text(text)) => {
                    print(&text);
                    return Ok(());
                }
                Some(_) => {}
                None => return Err("the node went away\n".to_owned()),
            }
        }
    }

    /// Asks the node something else.
    pub(super) fn show(&self, ask: &Ask) {
        crate::commands::show(&self.node, ask);
    }

    /// What a command says of a fiber: `PROGRAM/FIBER`, or only the fiber of the session's own program.
    pub(super) fn fiber(&self, text: &str) -> String {
        let is_own = text.matches('.').count() == 2 && !text.contains('/');
        if is_own { format!("{}/{text}", self.number) } else { text.to_owned() }
    }
}

fn write(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}
