//! The Nix expression language.
//!
//! So far: [`parse`](parser::parse) makes a [`Tree`](tree::Tree) of a source, [`check`](scope::check) says whether all variables are bound,
//! [`print`](print::print()) shows it as `nix-instantiate --parse` does. None recurses, so the depth of a source is bounded by memory only.
#![forbid(unsafe_code)]

pub mod lexer;
pub mod parser;
pub mod print;
pub mod scope;
pub mod token;
pub mod tree;

/// What a source is parsed in.
#[derive(Clone, Debug)]
pub struct Context {
    /// What messages call the source.
    pub origin: String,
    /// The folder that relative paths begin at, absolute.
    pub folder: Vec<u8>,
    /// What `~` stands for.
    pub home: Option<Vec<u8>>,
    /// Whether `|>` and `<|` may be used.
    pub pipe_operators: bool,
}

/// What is wrong with a source, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The byte at which it is seen.
    pub at: usize,
    /// What it is.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The message with its place and the lines around it, as the reference shows errors.
    pub fn render(&self, source: &[u8], origin: &str) -> String {
        let (line, column) = line_and_column(source, self.at);
        let text = |number: usize| {
            let found = source.split(|byte| *byte == b'\n').nth(number.checked_sub(1)?)?;
            Some(format!("{number:>13}| {}\n", String::from_utf8_lossy(found)))
        };
        let mut out = format!("error: {}\n       at {origin}:{line}:{column}:\n", self.message);
        out.extend(line.checked_sub(1).and_then(text));
        out.extend(text(line));
        out.push_str(&format!("{:>13}| {}^\n", "", " ".repeat(column - 1)));
        out.extend(text(line + 1).filter(|next| !next.trim_end().ends_with('|')));
        out
    }
}

/// The line and column, both from 1, of a byte.
pub fn line_and_column(source: &[u8], at: usize) -> (usize, usize) {
    let before = &source[..at.min(source.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, column)
}
