//! Commands of the REPL that are about the fibers of a node.

use super::After;
use super::evaluate::{Evaluated, Evaluator};
use crate::commands::complain;
use qualm_node::protocol::{Ask, Steer};

/// The commands: name, what follows it, what it does.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("continue", "FIBER", "let a suspended fiber go on"),
    ("detach", "", "leave, and let what was spawned here go on"),
    ("fibers", "", "all fibers of the node"),
    ("kill", "FIBER", "end a fiber"),
    ("restore", "HASH", "go on with what was saved, as another program"),
    ("send", "FIBER EXPR", "send a value to a fiber of any program"),
    ("show", "FIBER", "what a fiber does, and its active calls"),
    ("snapshot", "PROGRAM", "save a program of the node while it goes on"),
    ("suspend", "FIBER", "stop a fiber until it may go on"),
];

/// Runs one of them.
pub(super) fn run(evaluator: &mut Evaluator, name: &str, rest: &str) -> After {
    if name == "send" {
        send(evaluator, rest);
        return After::GoOn;
    }
    let Some(remote) = evaluator.remote() else {
        complain(&format!(":{name} needs a node: `qualm repl --node ADDR`\n"));
        return After::GoOn;
    };
    let fiber = remote.fiber(rest);
    match name {
        "fibers" => remote.show(&Ask::List),
        "show" => remote.show(&Ask::Show(fiber)),
        "suspend" => remote.show(&Ask::Steer(Steer::Suspend, fiber)),
        "continue" => remote.show(&Ask::Steer(Steer::Resume, fiber)),
        "kill" => remote.show(&Ask::Steer(Steer::Kill, fiber)),
        "snapshot" => match fiber.split('/').next().and_then(|program| program.parse().ok()) {
            Some(program) => remote.show(&Ask::Snapshot(program)),
            None => complain(&format!("`{rest}` is no program; :fibers lists them\n")),
        },
        // A program that goes on here is given what a session has.
        "restore" => remote.show(&Ask::Restore(rest.to_owned(), remote.allow().to_vec())),
        _ => match remote.detach() {
            Ok(()) => return After::Quit,
            Err(problem) => complain(&problem),
        },
    }
    After::GoOn
}

/// Values go from one program to another through the store.
fn send(evaluator: &mut Evaluator, rest: &str) {
    let (fiber, expr) = rest.split_once(char::is_whitespace).unwrap_or((rest, "()"));
    if evaluator.remote().is_none() {
        return complain(":send needs a node: `qualm repl --node ADDR`\n");
    }
    match evaluator.evaluate(&format!("System (Store ({expr}))")) {
        Evaluated::Value { shown, .. } => {
            if let Some(remote) = evaluator.remote() {
                remote.show(&Ask::Send(remote.fiber(fiber), shown.trim_matches('"').to_owned()));
            }
        }
        Evaluated::Failed(problem) => complain(&problem),
    }
}
