//! The line editor: keys, history, completion, inputs of several lines.

use super::evaluate::Evaluator;
use crate::style::Style;
use qualm_passerine::document::{prelude_entries, standard_page};
use qualm_passerine::session::is_unfinished;
use qualm_passerine::standard_modules;
use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use std::borrow::Cow;
use std::path::PathBuf;

/// What was read.
pub(super) enum Read {
    Input(String),
    /// Ctrl-C.
    Abandoned,
    /// Ctrl-D.
    End,
}

pub(super) struct Editor {
    lines: rustyline::Editor<Words, DefaultHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    pub(super) fn new() -> Result<Self, String> {
        let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
        let mut lines = rustyline::Editor::with_config(config).map_err(|error| format!("no line editor: {error}"))?;
        lines.set_helper(Some(Words::default()));
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aspen").join("history"));
        if let Some(path) = &history {
            // There is none the first time.
            let _ = lines.load_history(path);
        }
        Ok(Self { lines, history })
    }

    pub(super) fn read(&mut self, evaluator: &Evaluator) -> Read {
        if let Some(words) = self.lines.helper_mut() {
            words.variables = evaluator.session.variables().iter().map(|name| name.to_string()).collect();
        }
        match self.lines.readline("> ") {
            Ok(input) => Read::Input(input),
            Err(ReadlineError::Interrupted) => Read::Abandoned,
            Err(_) => Read::End,
        }
    }

    /// Keeps the history for the next time.
    pub(super) fn save(&mut self) {
        if let Some(path) = &self.history {
            if let Some(folder) = path.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            let _ = self.lines.save_history(path);
        }
    }
}

/// What can be completed.
struct Words {
    prelude: Vec<String>,
    modules: Vec<String>,
    /// Variables of the session.
    variables: Vec<String>,
}

const KEYWORDS: &[&str] = &[
    "else", "error", "false", "fiber", "for", "handle", "if", "loop", "magic", "match", "mod", "not", "return",
    "switch", "syntax", "true", "try", "type", "effect", "use", "while", "with", "yield",
];

impl Default for Words {
    fn default() -> Self {
        Self {
            prelude: prelude_entries().into_iter().map(|entry| entry.name).collect(),
            modules: standard_modules().map(|(name, _)| name.to_owned()).collect(),
            variables: Vec::new(),
        }
    }
}

impl Words {
    /// Where the word before the cursor starts, and what it could become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        if let Some(command) = line.strip_prefix(':')
            && !command.contains(' ')
        {
            let known = super::commands::all().map(|(name, ..)| format!(":{name}"));
            return (0, known.filter(|name| name.starts_with(line)).collect());
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
        let start = line.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(line.len(), |(at, _)| at);
        let word = &line[start..];
        if let Some((module, member)) = word.split_once("::") {
            let start = start + module.len() + 2;
            let members = standard_page(module).map(|page| page.entries).unwrap_or_default();
            let names = members.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(member));
            return (start, names.collect());
        }
        let mut found: Vec<String> = if line[..start].trim_end().ends_with("use") {
            self.modules.iter().filter(|name| name.starts_with(word)).cloned().collect()
        } else {
            let known = self.prelude.iter().chain(&self.variables).map(String::as_str).chain(KEYWORDS.iter().copied());
            // Members of a label only once it is there.
            known
                .filter(|name| name.starts_with(word) && name.contains('.') == word.contains('.') && !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        if found.is_empty() && word.starts_with(|c: char| c.is_uppercase()) {
            found = self.prelude.iter().filter(|name| name.starts_with(word)).cloned().collect();
        }
        found.sort();
        found.dedup();
        (start, found)
    }
}

impl Helper for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Owned(Style::stdout().strong(prompt))
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(&line[..at]))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let unfinished = !input.trim_start().starts_with(':') && is_unfinished(input);
        Ok(if unfinished { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn completed(line: &str) -> Vec<String> {
        let words = Words { variables: vec!["wren_song".into()], ..Words::default() };
        words.candidates(line).1
    }

    #[test]
    fn words_are_completed() {
        assert_eq!(completed("wr"), ["wren_song", "write", "write_file"]);
        assert_eq!(completed("x = List.par"), ["List.partition"]);
        assert_eq!(completed("Lis"), completed("List."));
        assert_eq!(completed("use js"), ["json"]);
        assert_eq!(completed("json::pre"), ["pretty", "pretty_at"]);
        assert_eq!(completed(":ty"), [":type"]);
        assert!(completed("1 + ").is_empty());
    }
}
