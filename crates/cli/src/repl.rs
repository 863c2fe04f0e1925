//! `aspen repl`: a conversation with the language. What an input defines, later ones see; an input that fails changes nothing.

mod commands;
mod editor;
mod evaluate;

use crate::commands::{complain, print};
use crate::status;
use crate::style::Style;
use evaluate::{Evaluated, Evaluator};
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const GREETING: &str = "Passerine. Type an expression, or :help.\n";

/// What to do after an input.
enum After {
    GoOn,
    Quit,
}

/// Runs the REPL until the input ends; `file` is read first.
pub fn repl(file: Option<&Path>) -> u8 {
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
    let on_interrupt = stop.clone();
    // At the prompt Ctrl-C is a key like others; this is for a program that runs. The editor has a handler of its own, so this one comes after it.
    if let Err(error) = ctrlc::set_handler(move || on_interrupt.store(true, Ordering::Relaxed)) {
        complain(&format!("Ctrl-C will end the REPL: {error}\n"));
    }
    let mut evaluator = Evaluator::new(stop);
    if let Some(file) = file {
        commands::load(&mut evaluator, file);
    }
    match editor {
        Some(editor) => converse(&mut evaluator, editor),
        None => read_all(&mut evaluator),
    }
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
