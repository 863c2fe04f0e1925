//! `aspen repl`: a conversation with the language. What an input defines, later ones see; an input that fails changes nothing.

mod commands;
mod editor;
mod evaluate;
mod fibers;
mod remote;

use crate::commands::{NodeArgs, complain, print};
use crate::status;
use crate::style::Style;
use clap::Args;
use evaluate::{Evaluated, Evaluator};
use qualm_node::capability::Capabilities;
use qualm_node::protocol::{Ask, send};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

const GREETING: &str = "Passerine. Type an expression, or :help.\n";

/// What to do after an input.
enum After {
    GoOn,
    Quit,
}

/// Arguments of `aspen repl` and `qualm repl`.
#[derive(Args, Debug)]
pub struct ReplArgs {
    /// A file to read first
    file: Option<PathBuf>,
    /// Run what is typed at a node, in a program that goes on between inputs: a socket file or HOST:PORT
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "")]
    node: Option<String>,
    /// The folder of the node's store, which has its token [default: $QUALM_STORE or ~/.local/share/qualm]
    #[arg(long, value_name = "DIR", requires = "node")]
    store: Option<PathBuf>,
    /// Capabilities to grant at the node, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "node")]
    allow: Vec<String>,
}

/// Runs the REPL until the input ends; `file` is read first.
pub fn repl(args: &ReplArgs) -> u8 {
    let mut editor = None;
    if std::io::stdin().is_terminal() {
        match editor::Editor::new() {
            Ok(made) => editor = Some(made),
            Err(problem) => {
                complain(&format!("{problem}\n"));
                return status::INVALID;
            }
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let interrupt = remote::Interrupt::default();
    let remote = match args.node.as_ref().map(|node| open(node, args, &interrupt)).transpose() {
        Ok(remote) => remote,
        Err(problem) => {
            complain(&problem);
            return status::INVALID;
        }
    };
    let (on_interrupt, at_node) = (stop.clone(), interrupt);
    // At the prompt Ctrl-C is a key like others; this is for a program that runs. The editor has a handler of its own, so this one comes after it.
    if let Err(error) = ctrlc::set_handler(move || {
        on_interrupt.store(true, Ordering::Relaxed);
        if let Some(connection) = &mut *at_node.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = send(connection, &Ask::Interrupt);
        }
    }) {
        complain(&format!("Ctrl-C will end the REPL: {error}\n"));
    }
    let mut evaluator = Evaluator::new(stop, remote);
    if let Some(file) = &args.file {
        commands::load(&mut evaluator, file);
    }
    match editor {
        Some(editor) => converse(&mut evaluator, editor),
        None => read_all(&mut evaluator),
    }
}

fn open(node: &str, args: &ReplArgs, interrupt: &remote::Interrupt) -> Result<remote::Remote, String> {
    let mut capabilities = Capabilities::none();
    for name in &args.allow {
        capabilities.grant(name).map_err(|problem| problem + "\n")?;
    }
    let granted = if args.allow.is_empty() { Capabilities::all() } else { capabilities };
    let node = NodeArgs::at(Some(node).filter(|node| !node.is_empty()), args.store.clone());
    remote::Remote::open(node, granted.granted(), interrupt.clone())
}

/// At a terminal: with a line editor.
fn converse(evaluator: &mut Evaluator, mut editor: editor::Editor) -> u8 {
    print(&Style::stdout().faint(GREETING));
    loop {
        match editor.read(evaluator) {
            editor::Read::Input(input) => {
                if let After::Quit = respond(evaluator, &input) {
                    break;
                }
            }
            editor::Read::Abandoned => {}
            editor::Read::End => break,
        }
    }
    editor.save();
    status::OK
}

/// From a pipe: inputs as at a terminal, without prompts.
fn read_all(evaluator: &mut Evaluator) -> u8 {
    let mut input = String::new();
    for line in std::io::stdin().lock().split(b'\n') {
        let Ok(line) = line else { break };
        let Ok(line) = String::from_utf8(line) else {
            complain("a line that is not UTF-8 is left out\n");
            continue;
        };
        if !input.is_empty() {
            input.push('\n');
        }
        input.push_str(&line);
        if qualm_passerine::session::is_unfinished(&input) {
            continue;
        }
        if let After::Quit = respond(evaluator, &std::mem::take(&mut input)) {
            return status::OK;
        }
    }
    if !input.is_empty() {
        respond(evaluator, &input);
    }
    status::OK
}

/// Acts on an input: a command or a piece of program.
fn respond(evaluator: &mut Evaluator, input: &str) -> After {
    let trimmed = input.trim();
    if trimmed.is_empty() {
        return After::GoOn;
    }
    if let Some(command) = trimmed.strip_prefix(':') {
        return commands::run(evaluator, command);
    }
    let evaluated = evaluator.evaluate(input);
    show(evaluator, input, &evaluated);
    After::GoOn
}

/// Prints what an input came to.
fn show(evaluator: &Evaluator, input: &str, evaluated: &Evaluated) {
    let style = Style::stdout();
    match evaluated {
        Evaluated::Value { shown, .. } => {
            let ty = evaluator.last_type(input);
            let ty = if style.is_plain() || ty.is_empty() { String::new() } else { style.faint(&format!("  : {ty}")) };
            if shown != "()" {
                print(&format!("= {shown}{ty}\n"));
            } else if !style.is_plain() {
                for (name, ty) in evaluator.new_bindings(input) {
                    print(&style.faint(&format!("{name} : {ty}\n")));
                }
            }
        }
        Evaluated::Failed(problem) => complain(problem),
    }
}
