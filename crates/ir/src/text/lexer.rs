//! Tokens of text assembly.

use crate::diagnostic::Diagnostic;
use crate::source::{SourceId, Span};

/// A token and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum TokenKind {
    /// A bare word: mnemonic, block, type, keyword; may hold dots.
    Word(String),
    /// `%name`
    Register(String),
    /// `@name`
    Function(String),
    /// `'name`
    Symbol(String),
    /// `"text"`
    Text(String),
    /// `42` or `-7`
    Integer(i64),
    /// `1.5`, `inf` after a sign or not is a word
    Float(f64),
    /// One of `( ) [ ] { } , : =` and `->`
    Mark(&'static str),
    /// The end of the file.
    End,
}

impl TokenKind {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Register(name) => format!("`%{name}`"),
            Self::Function(name) => format!("`@{name}`"),
            Self::Symbol(name) => format!("`'{name}`"),
            Self::Text(_) => "a string".into(),
            Self::Integer(value) => format!("`{value}`"),
            Self::Float(value) => format!("`{value:?}`"),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::End => "the end of the file".into(),
        }
    }
}

pub(super) fn lex(source: SourceId, text: &str) -> Result<Vec<Token>, Diagnostic> {
    Lexer { source, text, at: 0 }.run()
}

const MARKS: [&str; 10] = ["->", "(", ")", "[", "]", "{", "}", ",", ":", "="];

struct Lexer<'a> {
    source: SourceId,
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Token>, Diagnostic> {
        let mut tokens = Vec::new();
        loop {
            self.skip();
            let start = self.at;
            let kind = self.token()?;
            let end = kind == TokenKind::End;
            tokens.push(Token { kind, span: self.span(start) });
            if end {
                return Ok(tokens);
            }
        }
    }

    fn span(&self, start: usize) -> Span {
        Span { source: self.source, start: start as u32, end: self.at as u32 }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with(';') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else {
                return;
            }
        }
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        self.at += end;
        word
    }

    fn token(&mut self) -> Result<TokenKind, Diagnostic> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(TokenKind::End) };
        if first == '%' || first == '@' {
            self.at += 1;
            let name = self.word();
            if name.is_empty() {
                return Err(Diagnostic::syntax("A0001", self.span(start), format!("a name follows `{first}`")));
            }
            return Ok(if first == '%' { TokenKind::Register(name) } else { TokenKind::Function(name) });
        }
        if first == '\'' {
            self.at += 1;
            if self.rest().starts_with('"') {
                return Ok(TokenKind::Symbol(self.string()?));
            }
            let name = self.word();
            if name.is_empty() {
                return Err(Diagnostic::syntax("A0001", self.span(start), "a name or a string follows `'`"));
            }
            return Ok(TokenKind::Symbol(name));
        }
        if first == '"' {
            return Ok(TokenKind::Text(self.string()?));
        }
        if let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
            self.at += mark.len();
            return Ok(TokenKind::Mark(mark));
        }
        if first.is_ascii_digit() || first == '-' {
            return self.number();
        }
        if first.is_alphabetic() || first == '_' {
            return Ok(TokenKind::Word(self.word()));
        }
        self.at += first.len_utf8();
        Err(Diagnostic::syntax("A0002", self.span(start), format!("stray character `{}`", first.escape_debug())))
    }

    fn number(&mut self) -> Result<TokenKind, Diagnostic> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let mut end = 0;
        let bytes = rest.as_bytes();
        while end < bytes.len() {
            let byte = bytes[end];
            let after_exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            if byte.is_ascii_alphanumeric() || byte == b'.' || (after_exponent && matches!(byte, b'+' | b'-')) {
                end += 1;
            } else {
                break;
            }
        }
        self.at += end;
        let word = &self.text[start..self.at];
        if let Ok(value) = word.parse::<i64>() {
            return Ok(TokenKind::Integer(value));
        }
        match word.parse::<f64>() {
            Ok(value) if !value.is_nan() && word.contains(['.', 'e', 'E', 'i']) => Ok(TokenKind::Float(value)),
            _ => Err(Diagnostic::syntax("A0003", self.span(start), "this is neither a 64-bit integer nor a float")),
        }
    }

    fn string(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(Diagnostic::syntax("A0004", self.span(start), "string is never closed"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Diagnostic> {
        let start = self.at - 1;
        let c = self.rest().chars().next().unwrap_or(' ');
        self.at += c.len_utf8().min(self.text.len() - self.at);
        let plain = match c {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            '"' | '\\' | '\'' => Some(c),
            'u' => {
                let digits =
                    self.rest().strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(digits, _)| digits);
                let length = digits.map_or(0, |digits| digits.len() + 2);
                let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
                self.at += length;
                value
            }
            _ => None,
        };
        plain.ok_or_else(|| {
            Diagnostic::syntax(
                "A0005",
                self.span(start),
                "unknown escape; known are \\n \\r \\t \\0 \\\" \\' \\\\ \\u{..}",
            )
        })
    }
}
