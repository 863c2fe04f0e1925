//! Colours, on terminals that want them.

use std::io::IsTerminal;

/// How to mark text for a stream.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// For stdout: plain unless it is a terminal; `NO_COLOR` (no-color.org) and a dumb terminal are respected.
    pub fn stdout() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !dumb }
    }

    /// Whether nothing is marked.
    pub fn is_plain(self) -> bool {
        !self.colours
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What did not.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What matters.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}
