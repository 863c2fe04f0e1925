//! What is wrong with a program, as data, and its plain-text form (passerine.md, section 20).

use crate::source::{SourceMap, Span, line_column};
use std::fmt::Write;

/// What a diagnostic is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The program does not compile.
    Syntax,
    /// A static check failed.
    Check,
    /// The program compiles, but look at this.
    Warning,
}

/// A place with an optional note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What to know about it.
    pub note: Option<String>,
}

/// A problem in a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// A stable code, such as `P0012`.
    pub code: &'static str,
    /// What it is about.
    pub severity: Severity,
    /// What was found and what was expected.
    pub message: String,
    /// The places involved, the main one first.
    pub labels: Vec<Label>,
}

impl Diagnostic {
    /// A syntax error at a place.
    pub fn syntax(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Syntax, message: message.into(), labels: vec![Label { span, note: None }] }
    }

    /// A check that failed at a place.
    pub fn check(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Check, ..Self::syntax(code, span, message) }
    }

    /// The same with a note at its main place.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.note = Some(note.into());
        }
        self
    }

    /// The same with another place.
    #[must_use]
    pub fn also(mut self, span: Span, note: impl Into<String>) -> Self {
        self.labels.push(Label { span, note: Some(note.into()) });
        self
    }

    /// The text to show, ending in a newline.
    pub fn render(&self, sources: &SourceMap) -> String {
        let mut out = String::new();
        for label in &self.labels {
            excerpt(&mut out, sources, label.span, label.note.as_deref());
        }
        let kind = match self.severity {
            Severity::Syntax => "Syntax error",
            Severity::Check => "Check error",
            Severity::Warning => "Warning",
        };
        let _ = writeln!(out, "{kind}: {} [{}]", self.message, self.code);
        out
    }
}

/// Lines longer than this many characters are cut in excerpts.
const EXCERPT_COLUMNS_MAX: usize = 160;
/// Spans over more lines than this show only their first ones.
const EXCERPT_LINES_MAX: usize = 8;

/// Writes `In PATH:LINE:COLUMN` and the source lines of a span, with carets under a span of one line.
pub fn excerpt(out: &mut String, sources: &SourceMap, span: Span, note: Option<&str>) {
    let Some(source) = sources.get(span.source) else { return };
    let text = &*source.text;
    let start = line_column(text, span.start);
    let end = line_column(text, span.end.max(span.start));
    let last = if end.column == 1 && end.line > start.line { end.line - 1 } else { end.line };
    let width = last.to_string().len() + 1;
    let _ = writeln!(out, "In {}:{}:{}", source.path, start.line, start.column);
    let _ = writeln!(out, "{:width$} |", "");
    let note = note.map_or(String::new(), |note| format!(" note: {note}"));
    let lines = text.lines().enumerate().skip(start.line as usize - 1).take((last - start.line + 1) as usize);
    if start.line == last {
        for (at, line) in lines {
            let skipped = (start.column as usize).saturating_sub(EXCERPT_COLUMNS_MAX / 2);
            let shown: String = line.chars().skip(skipped).take(EXCERPT_COLUMNS_MAX).collect();
            let _ = writeln!(out, "{:>width$} | {shown}", at + 1);
            let pad = start.column as usize - 1 - skipped.min(start.column as usize - 1);
            let length = (end.column.max(start.column + 1) - start.column) as usize;
            let _ = writeln!(out, "{:width$} | {:pad$}{}{note}", "", "", "^".repeat(length.min(EXCERPT_COLUMNS_MAX)));
        }
    } else {
        for (at, line) in lines.take(EXCERPT_LINES_MAX) {
            let shown: String = line.chars().take(EXCERPT_COLUMNS_MAX).collect();
            let _ = writeln!(out, "{:>width$} > {shown}", at + 1);
        }
        let _ = writeln!(out, "{:width$} |{note}", "");
    }
}
