//! Sessions: programs that grow by inputs of a client, which is how the REPL works on a node.

use super::Node;
use super::programs::{Beginning, Given, Hosted, decode_module};
use crate::address::Connection;
use crate::core::inspect::Inspect;
use crate::core::session::Input;
use crate::driver::lock;
use crate::ending::Ending;
use crate::protocol::{Ask, Evaluate, Open, Tell, receive, send};
use crate::scheduler::End;
use qualm_ir::module::Module;
use qualm_ir::verify::verify;
use qualm_vm::load::load_more;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError};

/// What a session waits for.
enum Heard {
    /// The client said something.
    Ask(Ask),
    /// The client is gone.
    Gone,
    /// The input that ran is over.
    Ended(End, bool),
}

impl Node {
    /// Runs inputs of a client until it leaves; its program ends then, unless it was detached.
    pub(super) fn converse(self: &Arc<Self>, open: Open, connection: &mut Connection) -> Result<(), String> {
        let module = verify(Module::default()).map_err(|errors| errors[0].to_string())?;
        let given = Given::new(open.allow, open.memory_words);
        let beginning = Beginning { session: true, ..Beginning::new(open.name, module, given) };
        let mut reader = connection.try_clone().map_err(|error| error.to_string())?;
        let client = connection.try_clone().map_err(|error| error.to_string())?;
        let (number, hosted) = self.host(beginning, |number| {
            let _ = send(connection, &Tell::Started(number));
            Some(client)
        })?;
        let (sender, heard) = channel();
        let asks = sender.clone();
        std::thread::spawn(move || {
            while let Ok(Some(ask)) = receive::<Ask>(&mut reader) {
                if asks.send(Heard::Ask(ask)).is_err() {
                    return;
                }
            }
            let _ = asks.send(Heard::Gone);
        });
        let mut is_running = false;
        for heard in heard {
            match heard {
                Heard::Ask(Ask::Evaluate(_)) if is_running => {
                    hosted.tell(&Tell::Refused("the last input still runs".to_owned()));
                }
                Heard::Ask(Ask::Evaluate(evaluate)) => match hosted.evaluate(*evaluate, &sender) {
                    Ok(()) => is_running = true,
                    Err(why) => hosted.tell(&Tell::Refused(why)),
                },
                Heard::Ask(Ask::Interrupt) => {
                    hosted.running.inspect(Inspect::Interrupt);
                }
                Heard::Ask(Ask::Detach) => {
                    hosted.tell(&Tell::Text(format!("program {number} goes on\n")));
                    lock(&hosted.output).detach();
                    return Ok(());
                }
                Heard::Ask(_) => hosted.tell(&Tell::Refused("this connection is that of a session".to_owned())),
                Heard::Gone => {
                    hosted.running.stop();
                    return Ok(());
                }
                Heard::Ended(end, left) => {
                    is_running = false;
                    let ending = Ending::of(hosted.program().module(), end, &self.options.hide);
                    hosted.tell(&Tell::Evaluated(left, ending.message, ending.value));
                }
            }
        }
        Ok(())
    }
}

impl Hosted {
    /// Lets the session's program run an input.
    fn evaluate(&self, evaluate: Evaluate, ended: &Sender<Heard>) -> Result<(), String> {
        let module = decode_module(&evaluate.module)?.into_inner();
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        let mut merged = program.module().clone();
        let base = merged.append(module);
        let verified = verify(merged).map_err(|errors| errors[0].to_string())?;
        *program = Arc::new(load_more(&program, verified));
        let function = base.0.checked_add(evaluate.function).ok_or("there is no such function")?;
        let input = Input { function, cells: evaluate.cells as usize, goes_on: evaluate.goes_on };
        let ended = ended.clone();
        let answered = move |end, left| drop(ended.send(Heard::Ended(end, left)));
        self.running.input(program.clone(), input, Box::new(answered));
        Ok(())
    }
}
