//! Tokens (reference, section 2).

use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::source::{SourceId, Span};
use std::sync::Arc;

/// What a token is.
#[derive(Clone, PartialEq, Debug)]
pub enum TokenKind {
    /// A name that starts with a lowercase or uncased letter.
    Ident(Arc<str>),
    /// A name that starts with an uppercase letter.
    Label(Arc<str>),
    /// `'word`, in macro patterns.
    Word(Arc<str>),
    /// An integer without sign; 2^63 only makes sense after a minus.
    Integer(u64),
    /// A float.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A string: characters and interpolated expressions.
    Text(Vec<TextPart>),
    /// An operator.
    Op(&'static str),
    /// An opening bracket.
    Open(char),
    /// A closing bracket.
    Close(char),
    /// A newline, before [`layout`](crate::layout) decides what it means.
    Newline,
    /// `;`, or a newline that separates.
    Separator,
}

/// A piece of a string.
#[derive(Clone, PartialEq, Debug)]
pub enum TextPart {
    /// Characters.
    Text(Arc<str>),
    /// The tokens of `{ ... }`.
    Tokens(Vec<Token>, Span),
}

/// A token, where it stands, and whether white space surrounds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
    /// White space, or the start of the text, comes before it.
    pub space_before: bool,
    /// White space, a separator or the end comes after it.
    pub space_after: bool,
}

/// Longest first, so that the first match is the longest.
const OPERATORS: [&str; 24] = [
    "..=", "...", "|>", "->", "=>", "==", "!=", "<=", ">=", "**", "::", "..", ".", ",", "=", "<", ">", "+", "-", "*",
    "/", "%", ":", "|",
];

/// Problems of one file that are reported at once, at most.
pub(crate) const PROBLEMS_MAX: usize = 20;

/// Strings may nest in interpolations this deep.
const TEXT_NESTING_MAX: usize = 32;

/// The tokens of a text.
///
/// # Errors
/// What is no token, up to the first thing after which nothing is certain, such as a bracket that is never closed.
pub fn lex(source: SourceId, text: &str) -> Result<Vec<Token>, Vec<Diagnostic>> {
    if text.len() > u32::MAX as usize {
        let span = Span { source, start: 0, end: 0 };
        return Err(vec![Diagnostic::syntax("P0001", span, "a source file has at most 4 GiB")]);
    }
    let mut lexer = Lexer { source, text, at: 0, nesting: 0, problems: Vec::new() };
    match lexer.tokens(false) {
        Ok(tokens) if lexer.problems.is_empty() => Ok(tokens),
        outcome => {
            lexer.problems.extend(outcome.err());
            Err(lexer.problems)
        }
    }
}

struct Lexer<'a> {
    source: SourceId,
    text: &'a str,
    at: usize,
    nesting: usize,
    /// What is wrong so far.
    problems: Vec<Diagnostic>,
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn span(&self, start: usize) -> Span {
        Span { source: self.source, start: start as u32, end: self.at.max(start) as u32 }
    }

    fn error<T>(&self, code: &'static str, start: usize, message: impl Into<String>) -> Result<T, Diagnostic> {
        let mut span = self.span(start);
        span.end = span.end.max(span.start + 1);
        Err(Diagnostic::syntax(code, span, message))
    }

    /// Goes on after a problem with `instead`, unless there were too many.
    fn go_on<T>(&mut self, found: Result<T, Diagnostic>, instead: T) -> Result<T, Diagnostic> {
        match found {
            Err(problem) if self.problems.len() + 1 < PROBLEMS_MAX => {
                self.problems.push(problem);
                Ok(instead)
            }
            found => found,
        }
    }

    /// The tokens up to the end, or in a string up to the brace that closes an interpolation.
    fn tokens(&mut self, in_text: bool) -> Result<Vec<Token>, Diagnostic> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut open: Vec<(char, usize)> = Vec::new();
        let mut space = true;
        loop {
            let before = self.at;
            self.skip_blank()?;
            space |= self.at > before;
            let start = self.at;
            let Some(c) = self.peek() else { break };
            let kind = match c {
                '\n' => {
                    self.at += 1;
                    TokenKind::Newline
                }
                ';' => {
                    self.at += 1;
                    TokenKind::Separator
                }
                '(' | '[' | '{' => {
                    self.at += 1;
                    open.push((c, start));
                    TokenKind::Open(c)
                }
                ')' | ']' | '}' => {
                    let Some((opening, opened)) = open.pop() else {
                        if c == '}' && in_text {
                            break;
                        }
                        let error = self.error("P0002", start, format!("`{c}` without an opening bracket"));
                        return error.map_err(|error: Diagnostic| match self.likely_start(start) {
                            Some(place) => error.also(place, "perhaps it opens before this"),
                            None => error,
                        });
                    };
                    if matching(opening) != c {
                        self.at += 1;
                        let found = self.error::<()>("P0003", start, format!("`{opening}` closed by `{c}`"));
                        let opened = Span { source: self.source, start: opened as u32, end: opened as u32 + 1 };
                        return found.map_err(|found| found.also(opened, "opened here")).map(|()| Vec::new());
                    }
                    self.at += 1;
                    TokenKind::Close(c)
                }
                '"' => self.string()?,
                '\'' => {
                    self.at += 1;
                    let word = self.name();
                    if word.is_empty() {
                        let found = self.error("P0004", start, "a name follows `'`");
                        self.go_on(found, ())?;
                    }
                    TokenKind::Word(word)
                }
                _ if c.is_ascii_digit() => {
                    let found = self.number(tokens.last(), space);
                    self.go_on(found, TokenKind::Integer(0))?
                }
                _ if c.is_alphabetic() || c == '_' => self.word(c),
                _ => match OPERATORS.iter().find(|op| self.rest().starts_with(**op)) {
                    Some(op) => {
                        self.at += op.len();
                        TokenKind::Op(op)
                    }
                    None if c == '?' => {
                        self.at += 1;
                        TokenKind::Op("?")
                    }
                    None => {
                        self.at += c.len_utf8();
                        let found = self.error("P0005", start, format!("stray character `{}`", c.escape_debug()));
                        self.go_on(found, ())?;
                        continue;
                    }
                },
            };
            let newline = kind == TokenKind::Newline;
            tokens.push(Token { kind, span: self.span(start), space_before: space, space_after: false });
            space = newline || matches!(tokens.last().map(|token| &token.kind), Some(TokenKind::Separator));
        }
        if let Some((opening, opened)) = open.pop() {
            self.at = opened + 1;
            let error = self.error("P0006", opened, format!("`{opening}` is never closed"));
            return error.map_err(|error| match self.likely_end(opened) {
                Some(end) => error.also(end, "perhaps it ends after this"),
                None => error,
            });
        }
        for at in 0..tokens.len() {
            tokens[at].space_after = tokens
                .get(at + 1)
                .is_none_or(|next| next.space_before || matches!(next.kind, TokenKind::Newline | TokenKind::Separator));
        }
        Ok(tokens)
    }

    /// Skips white space other than newlines, and comments.
    fn skip_blank(&mut self) -> Result<(), Diagnostic> {
        loop {
            let rest = self.rest();
            match rest.chars().next() {
                Some(c) if c != '\n' && c.is_whitespace() => self.at += c.len_utf8(),
                Some('#') => self.at += rest.find('\n').unwrap_or(rest.len()),
                Some('-') if rest.starts_with("--") => self.at += rest.find('\n').unwrap_or(rest.len()),
                Some('-') if rest.starts_with("-{") => self.block_comment()?,
                Some('\u{feff}') if self.at == 0 => self.at += 3,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("-{") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("}-") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if let Some(c) = rest.chars().next() {
                self.at += c.len_utf8();
            } else {
                self.at = start + 2;
                return self.error("P0007", start, "block comment is never closed");
            }
        }
    }

    /// The first of the lines above a closing bracket that are indented more than it.
    fn likely_start(&self, closed: usize) -> Option<Span> {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let line_start = self.text[..closed].rfind('\n')? + 1;
        let own = indent(&self.text[line_start..=closed]);
        let mut at = line_start;
        let mut first = None;
        for line in self.text[..line_start].split_inclusive('\n').rev() {
            at -= line.len();
            let content = line.trim_end();
            if content.is_empty() {
                continue;
            }
            if indent(content) <= own {
                break;
            }
            first = Some(at + indent(content));
        }
        let start = first?;
        let end = start + self.text[start..].chars().next().map_or(0, char::len_utf8);
        Some(Span { start: start as u32, end: end as u32, ..self.span(start) })
    }

    /// The last line after a bracket before one that is indented no more than the bracket's own: what is inside usually ends there.
    fn likely_end(&self, opened: usize) -> Option<Span> {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let line_start = self.text[..opened].rfind('\n').map_or(0, |at| at + 1);
        let own = indent(&self.text[line_start..opened]);
        let mut at = opened + self.text[opened..].find('\n')? + 1;
        let mut last = None;
        for line in self.text[at..].split_inclusive('\n') {
            let content = line.trim_end();
            let start = at + indent(content);
            at += line.len();
            if content.is_empty() {
                continue;
            }
            if indent(content) <= own && !content.trim_start().starts_with([')', ']', '}']) {
                break;
            }
            last = Some(start);
        }
        let start = last?;
        let end = start + self.text[start..].chars().next().map_or(0, char::len_utf8);
        Some(Span { start: start as u32, end: end as u32, ..self.span(start) })
    }

    fn name(&mut self) -> Arc<str> {
        let rest = self.rest();
        let end = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        let name = Arc::from(&rest[..end]);
        self.at += end;
        name
    }

    fn word(&mut self, first: char) -> TokenKind {
        let name = self.name();
        match &*name {
            "true" | "True" => TokenKind::Boolean(true),
            "false" | "False" => TokenKind::Boolean(false),
            _ if first.is_uppercase() => TokenKind::Label(name),
            _ => TokenKind::Ident(name),
        }
    }

    fn number(&mut self, before: Option<&Token>, space: bool) -> Result<TokenKind, Diagnostic> {
        let start = self.at;
        let after_dot = !space
            && before.is_some_and(|token| matches!(token.kind, TokenKind::Op("." | "::")) && !token.space_before);
        let rest = self.rest();
        let radix = match rest.get(..2) {
            Some("0x") => 16,
            Some("0o") => 8,
            Some("0b") => 2,
            Some("0d") => 10,
            _ => 0,
        };
        if radix > 0 {
            self.at += 2;
            let digits = self.name();
            let digits: String = digits.chars().filter(|c| *c != '_').collect();
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return self.error("P0008", start, "malformed integer literal");
            }
            return match u64::from_str_radix(&digits, radix) {
                Ok(value) if value <= 1 << 63 => Ok(TokenKind::Integer(value)),
                _ => self.error("P0009", start, "integer literal outside 64 bits"),
            };
        }
        let bytes = rest.as_bytes();
        let digits_from =
            |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'_').count();
        let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut end = digits_from(0);
        let mut float = false;
        if !after_dot {
            if bytes.get(end) == Some(&b'.') && digit_at(end + 1) {
                float = true;
                end += 1 + digits_from(end + 1);
            }
            if matches!(bytes.get(end), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                if digit_at(end + 1 + sign) {
                    float = true;
                    end += 1 + sign + digits_from(end + 1 + sign);
                }
            }
        }
        let plain: String = rest[..end].chars().filter(|c| *c != '_').collect();
        self.at += end;
        if float {
            return match plain.parse::<f64>() {
                Ok(value) => Ok(TokenKind::Float(value)),
                Err(_) => self.error("P0008", start, "malformed float literal"),
            };
        }
        match plain.parse::<u64>() {
            Ok(value) if value <= 1 << 63 => Ok(TokenKind::Integer(value)),
            _ => self.error("P0009", start, "integer literal outside 64 bits"),
        }
    }

    fn string(&mut self) -> Result<TokenKind, Diagnostic> {
        let start = self.at;
        self.at += 1;
        let mut parts = Vec::new();
        let mut text = String::new();
        loop {
            let at = self.at;
            let Some(c) = self.peek() else {
                self.at = start + 1;
                return self.error("P0010", start, "string is never closed");
            };
            self.at += c.len_utf8();
            match c {
                '"' => break,
                '\\' => {
                    let found = self.escape(at, &mut text);
                    self.go_on(found, ())?;
                }
                '{' => {
                    if !text.is_empty() {
                        parts.push(TextPart::Text(std::mem::take(&mut text).into()));
                    }
                    parts.push(self.interpolation(at)?);
                }
                c => text.push(c),
            }
        }
        if !text.is_empty() || parts.is_empty() {
            parts.push(TextPart::Text(text.into()));
        }
        Ok(TokenKind::Text(parts))
    }

    fn interpolation(&mut self, start: usize) -> Result<TextPart, Diagnostic> {
        self.nesting += 1;
        if self.nesting > TEXT_NESTING_MAX {
            return self.error("P0013", start, format!("strings nest at most {TEXT_NESTING_MAX} deep"));
        }
        let tokens = crate::layout::layout(self.tokens(true)?)?;
        self.nesting -= 1;
        if self.peek() != Some('}') {
            self.at = start + 1;
            return self.error("P0010", start, "string is never closed");
        }
        self.at += 1;
        if tokens.iter().all(|token| token.kind == TokenKind::Separator) {
            let found = self.error::<()>("P0011", start, "empty interpolation");
            let found = found.map_err(|found| found.note("write `\\{` for a brace"));
            self.go_on(found, ())?;
            return Ok(TextPart::Text("".into()));
        }
        Ok(TextPart::Tokens(tokens, self.span(start)))
    }

    fn escape(&mut self, start: usize, text: &mut String) -> Result<(), Diagnostic> {
        let Some(c) = self.peek() else { return Ok(()) };
        self.at += c.len_utf8();
        let found = match c {
            '"' | '\\' | '{' | '}' => Some(c),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            'x' => {
                let digits = self.rest().get(..2).unwrap_or("").to_owned();
                self.at += digits.len();
                u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2).and_then(char::from_u32)
            }
            'u' => {
                let digits = self
                    .rest()
                    .strip_prefix('{')
                    .and_then(|rest| rest.split_once('}'))
                    .map_or("", |(digits, _)| digits);
                let digits = digits.to_owned();
                let value = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                self.at += if value.is_some() { digits.len() + 2 } else { 0 };
                value
            }
            c if c.is_alphanumeric() || c == '\n' => None,
            c => {
                text.push('\\');
                Some(c)
            }
        };
        match found {
            Some(c) => {
                text.push(c);
                Ok(())
            }
            None => self.error("P0012", start, format!("unknown escape `\\{c}`")),
        }
    }
}

/// The bracket that closes `open`.
pub(crate) fn matching(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}
