//! From bytes to tokens. Sources are bytes, not text: strings and comments may hold anything.
//!
//! The longest token wins, as in the reference's lexer (`src/libexpr/lexer.l` of Nix): `a/b` is a path, `x:x` a URI, `a-1` a name, `1.2.3` two
//! numbers. Nested strings and interpolations are modes on a stack of this loop's own.

use crate::Problem;
use crate::token::{Kind, Token};

/// A source has at most this many bytes.
const SOURCE_BYTES_MAX: usize = 1 << 30;

/// What the bytes are part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// An expression, inside so many `{`; at `}` with none open an interpolation ends.
    Plain(u32),
    String,
    Indented,
    Path,
}

/// The tokens of a source, `End` last.
///
/// # Errors
/// If a string or comment does not end, a byte begins no token, or the source has more than 2^30 bytes: places and expressions have 32 bits.
pub fn tokens(source: &[u8]) -> Result<Vec<Token>, Problem> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(Problem::new(0, format!("the source has more than {SOURCE_BYTES_MAX} bytes")));
    }
    let mut lexer = Lexer {
        source,
        at: 0,
        tokens: Vec::with_capacity(source.len() / 3),
        modes: vec![Mode::Plain(0)],
        no_path_before: 0,
        no_uri_before: 0,
    };
    while let Some(mode) = lexer.modes.last().copied() {
        match mode {
            Mode::Plain(open) => {
                lexer.skip()?;
                if lexer.at >= source.len() {
                    break;
                }
                lexer.plain(open)?;
            }
            Mode::String => lexer.string()?,
            Mode::Indented => lexer.indented()?,
            Mode::Path => lexer.path_part()?,
        }
    }
    lexer.push(Kind::End, source.len());
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s [u8],
    at: usize,
    tokens: Vec<Token>,
    modes: Vec<Mode>,
    /// No path and no URI begins before these: so a long run of bytes that could begin one is looked at once.
    no_path_before: usize,
    no_uri_before: usize,
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'' | b'-')
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
}

fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn is_uri(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"%/?:@&=+$,-_.!~*'".contains(&byte)
}

fn keyword(name: &[u8]) -> Kind {
    match name {
        b"if" => Kind::If,
        b"then" => Kind::Then,
        b"else" => Kind::Else,
        b"assert" => Kind::Assert,
        b"with" => Kind::With,
        b"let" => Kind::Let,
        b"in" => Kind::In,
        b"rec" => Kind::Rec,
        b"inherit" => Kind::Inherit,
        b"or" => Kind::Or,
        _ => Kind::Name,
    }
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn has(&self, ahead: usize) -> bool {
        self.at + ahead < self.source.len()
    }

    /// Ends a token that begins where the lexer is.
    fn push(&mut self, kind: Kind, end: usize) {
        self.tokens.push(Token { kind, start: self.at as u32, end: end as u32 });
        self.at = end;
    }

    /// How many bytes from there on are such.
    fn run(&self, from: usize, is: impl Fn(u8) -> bool) -> usize {
        self.source[from.min(self.source.len())..].iter().take_while(|byte| is(**byte)).count()
    }

    fn skip(&mut self) -> Result<(), Problem> {
        while self.has(0) {
            match (self.peek(0), self.peek(1)) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.at += 1,
                (b'#', _) => self.at += self.run(self.at, |byte| !matches!(byte, b'\n' | b'\r')),
                (b'/', b'*') => {
                    let start = self.at;
                    let end = self.source[start + 2..].windows(2).position(|pair| pair == b"*/");
                    let Some(end) = end else { return Err(Problem::new(start, "this comment does not end: `*/`")) };
                    self.at = start + end + 4;
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn plain(&mut self, open: u32) -> Result<(), Problem> {
        let first = self.peek(0);
        let path = self.path_length();
        if is_name_start(first) {
            let name = self.run(self.at, is_name);
            let uri = self.uri_length();
            if uri > name && uri > path {
                self.push(Kind::Uri, self.at + uri);
            } else if path > name {
                self.begin_path(path);
            } else {
                let kind = keyword(&self.source[self.at..self.at + name]);
                self.push(kind, self.at + name);
            }
            return Ok(());
        }
        let (int, float) = (self.run(self.at, |byte| byte.is_ascii_digit()), self.float_length());
        if path > int.max(float) {
            self.begin_path(path);
            return Ok(());
        }
        if int.max(float) > 0 {
            let kind = if float > int { Kind::Float } else { Kind::Int };
            self.push(kind, self.at + int.max(float));
            return Ok(());
        }
        self.punctuation(first, open)
    }

    fn punctuation(&mut self, first: u8, open: u32) -> Result<(), Problem> {
        let set = |modes: &mut Vec<Mode>, open| {
            if let Some(mode) = modes.last_mut() {
                *mode = Mode::Plain(open);
            }
        };
        let (kind, length) = match (first, self.peek(1), self.peek(2)) {
            (b'"', ..) => {
                self.modes.push(Mode::String);
                (Kind::StringStart, 1)
            }
            (b'\'', b'\'', _) => {
                self.modes.push(Mode::Indented);
                // Blanks up to the end of the first line belong to the opening.
                let blanks = self.run(self.at + 2, |byte| byte == b' ');
                let line = self.peek(2 + blanks) == b'\n' && self.has(2 + blanks);
                (Kind::IndentedStart, if line { 3 + blanks } else { 2 })
            }
            (b'$', b'{', _) => {
                self.modes.push(Mode::Plain(0));
                (Kind::Interpolation, 2)
            }
            (b'{', ..) => {
                set(&mut self.modes, open + 1);
                (Kind::OpenBrace, 1)
            }
            (b'}', ..) => {
                if open > 0 {
                    set(&mut self.modes, open - 1);
                } else if self.modes.len() > 1 {
                    self.modes.pop();
                }
                (Kind::CloseBrace, 1)
            }
            (b'.', b'.', b'.') => (Kind::Ellipsis, 3),
            (b'=', b'=', _) => (Kind::Equal, 2),
            (b'!', b'=', _) => (Kind::NotEqual, 2),
            (b'<', b'=', _) => (Kind::LessEqual, 2),
            (b'<', b'|', _) => (Kind::PipeFrom, 2),
            (b'>', b'=', _) => (Kind::GreaterEqual, 2),
            (b'&', b'&', _) => (Kind::And, 2),
            (b'|', b'|', _) => (Kind::OrElse, 2),
            (b'|', b'>', _) => (Kind::PipeInto, 2),
            (b'-', b'>', _) => (Kind::Implies, 2),
            (b'/', b'/', _) => (Kind::Update, 2),
            (b'+', b'+', _) => (Kind::Concat, 2),
            (b'<', ..) => match self.lookup_length() {
                0 => (Kind::Less, 1),
                length => (Kind::Lookup, length),
            },
            (b'=', ..) => (Kind::Assign, 1),
            (b'>', ..) => (Kind::Greater, 1),
            (b'+', ..) => (Kind::Plus, 1),
            (b'-', ..) => (Kind::Minus, 1),
            (b'*', ..) => (Kind::Times, 1),
            (b'/', ..) => (Kind::Divide, 1),
            (b'!', ..) => (Kind::Not, 1),
            (b'?', ..) => (Kind::Question, 1),
            (b'.', ..) => (Kind::Dot, 1),
            (b',', ..) => (Kind::Comma, 1),
            (b':', ..) => (Kind::Colon, 1),
            (b';', ..) => (Kind::Semicolon, 1),
            (b'@', ..) => (Kind::At, 1),
            (b'(', ..) => (Kind::Open, 1),
            (b')', ..) => (Kind::Close, 1),
            (b'[', ..) => (Kind::OpenBracket, 1),
            (b']', ..) => (Kind::CloseBracket, 1),
            _ => {
                let shown = String::from_utf8_lossy(&self.source[self.at..(self.at + 4).min(self.source.len())]);
                let shown: String = shown.chars().take(1).collect();
                return Err(Problem::new(self.at, format!("syntax error, unexpected invalid token {shown:?}")));
            }
        };
        self.push(kind, self.at + length);
        Ok(())
    }

    /// `[1-9][0-9]*.[0-9]*` or `0?.[0-9]+`, with an exponent.
    fn float_length(&self) -> usize {
        let digit = |byte: u8| byte.is_ascii_digit();
        let whole = self.run(self.at, digit);
        if self.peek(whole) != b'.' {
            return 0;
        }
        let rest = self.run(self.at + whole + 1, digit);
        let leads = whole > 0 && self.peek(0) != b'0';
        if !leads && (whole > 1 || (whole == 1 && self.peek(0) != b'0') || rest == 0) {
            return 0;
        }
        let mantissa = whole + 1 + rest;
        if !matches!(self.peek(mantissa), b'e' | b'E') {
            return mantissa;
        }
        let sign = usize::from(matches!(self.peek(mantissa + 1), b'+' | b'-'));
        match self.run(self.at + mantissa + 1 + sign, digit) {
            0 => mantissa,
            digits => mantissa + 1 + sign + digits,
        }
    }

    fn uri_length(&mut self) -> usize {
        if self.at < self.no_uri_before || !self.peek(0).is_ascii_alphabetic() {
            return 0;
        }
        let scheme = self.run(self.at, is_scheme);
        let rest = if self.peek(scheme) == b':' { self.run(self.at + scheme + 1, is_uri) } else { 0 };
        if rest == 0 {
            self.no_uri_before = self.at + scheme;
            return 0;
        }
        scheme + 1 + rest
    }

    /// `<a/b>`
    fn lookup_length(&self) -> usize {
        let mut at = self.at + 1;
        loop {
            match self.run(at, is_path) {
                0 => return 0,
                part => at += part,
            }
            match self.source.get(at) {
                Some(b'/') => at += 1,
                Some(b'>') => return at + 1 - self.at,
                _ => return 0,
            }
        }
    }

    /// A path: names after slashes, or a slash before `${`.
    fn path_length(&mut self) -> usize {
        if self.at < self.no_path_before {
            return 0;
        }
        let first = if self.peek(0) == b'~' { self.at + 1 } else { self.at + self.run(self.at, is_path) };
        let length = self.slashes(first);
        if length == 0 {
            self.no_path_before = first;
        }
        length
    }

    /// The length of a path whose first slash is there, if it is one.
    fn slashes(&self, mut at: usize) -> usize {
        let mut length = 0;
        while self.source.get(at) == Some(&b'/') {
            let part = self.run(at + 1, is_path);
            if part == 0 {
                let interpolates = self.source[at + 1..].starts_with(b"${");
                // A slash at the end is part of the token, for the message about it.
                return if interpolates || length > 0 { at + 1 - self.at } else { 0 };
            }
            at += 1 + part;
            length = at - self.at;
        }
        length
    }

    fn begin_path(&mut self, length: usize) {
        self.push(Kind::Path, self.at + length);
        if self.peek(0) == b'$' && self.peek(1) == b'{' {
            self.modes.push(Mode::Path);
        }
    }

    fn path_part(&mut self) -> Result<(), Problem> {
        if self.peek(0) == b'$' && self.peek(1) == b'{' {
            self.modes.push(Mode::Plain(0));
            self.push(Kind::Interpolation, self.at + 2);
            return Ok(());
        }
        let part = self.run(self.at, |byte| is_path(byte) || byte == b'/');
        if part > 0 {
            self.push(Kind::PathPart, self.at + part);
            return Ok(());
        }
        if self.source[self.at - 1] == b'/' {
            return Err(Problem::new(self.at - 1, "path has a trailing slash"));
        }
        self.modes.pop();
        self.push(Kind::PathEnd, self.at);
        Ok(())
    }

    fn unfinished(&self) -> Problem {
        let starts = [Kind::StringStart, Kind::IndentedStart];
        let start = self.tokens.iter().rev().find(|token| starts.contains(&token.kind));
        Problem::new(start.map_or(self.at, |token| token.start as usize), "this string does not end")
    }

    fn string(&mut self) -> Result<(), Problem> {
        let mut end = self.at;
        loop {
            match (self.source.get(end), self.source.get(end + 1)) {
                (None, _) | (Some(b'\\'), None) => return Err(self.unfinished()),
                (Some(b'"'), _) => break,
                (Some(b'$'), Some(b'{')) => break,
                (Some(b'\\'), Some(_)) => end += 2,
                // `$$` is two characters, so that `$${` begins nothing.
                (Some(b'$'), Some(next)) if !matches!(next, b'"' | b'\\') => end += 2,
                (Some(0), _) => return Err(Problem::new(end, "input string contains a NUL byte")),
                (Some(_), _) => end += 1,
            }
        }
        if end > self.at {
            self.push(Kind::StringPart, end);
        }
        if self.peek(0) == b'"' {
            self.modes.pop();
            self.push(Kind::StringEnd, self.at + 1);
        } else {
            self.modes.push(Mode::Plain(0));
            self.push(Kind::Interpolation, self.at + 2);
        }
        Ok(())
    }

    fn indented(&mut self) -> Result<(), Problem> {
        let text = self.source;
        let mut end = self.at;
        loop {
            match (text.get(end), text.get(end + 1)) {
                (None, _) => return Err(self.unfinished()),
                (Some(b'\''), Some(b'\'')) | (Some(b'$'), Some(b'{')) => break,
                (Some(b'\''), Some(b'$')) => end += 1,
                (Some(b'\''), Some(_)) => end += 2,
                (Some(b'$'), Some(next)) if *next != b'\'' => end += 2,
                (Some(0), _) => return Err(Problem::new(end, "input string contains a NUL byte")),
                (Some(_), _) => end += 1,
            }
        }
        if end > self.at {
            self.push(Kind::IndentedPart, end);
        }
        match (self.peek(0), self.peek(2)) {
            (b'$', _) => {
                self.modes.push(Mode::Plain(0));
                self.push(Kind::Interpolation, self.at + 2);
            }
            (_, b'\'' | b'$') => self.push(Kind::IndentedEscape, self.at + 3),
            (_, b'\\') if self.has(3) => self.push(Kind::IndentedEscape, self.at + 4),
            _ => {
                self.modes.pop();
                self.push(Kind::IndentedEnd, self.at + 2);
            }
        }
        Ok(())
    }
}
