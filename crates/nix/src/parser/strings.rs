//! Strings, indented strings, paths.

use super::{Frame, Level, Parsed, Parser, Rank, Step};
use crate::Problem;
use crate::token::Kind;
use crate::tree::{Expr, ExprId, Symbol};

/// A piece of a string.
enum Piece {
    /// Text, and whether its blanks at the start of lines are indentation.
    Text(Vec<u8>, bool),
    Expr(ExprId),
}

/// A string or path that is not all there yet.
pub(super) struct Text {
    at: u32,
    kind: Kind,
    pieces: Vec<Piece>,
}

impl Parser<'_> {
    /// The name that a string without interpolations is; nothing, and the parser where it was, if there are some.
    pub(super) fn plain_string(&mut self) -> Option<Symbol> {
        let (text, length) = match (self.kind_at(1), self.kind_at(2)) {
            (Kind::StringEnd, _) => (Vec::new(), 2),
            (Kind::StringPart, Kind::StringEnd) => (unescape(self.bytes(self.tokens[self.at + 1])), 3),
            _ => return None,
        };
        self.at += length;
        Some(self.tree.symbol(&text))
    }

    pub(super) fn begin_text(&mut self) -> Parsed<Step> {
        let token = self.next();
        self.text_goes_on(Text { at: token.start, kind: token.kind, pieces: Vec::new() }, None)
    }

    pub(super) fn begin_path(&mut self) -> Parsed<Step> {
        let token = self.next();
        let bytes = self.bytes(token).to_vec();
        let interpolates = self.kind() == Kind::Interpolation && self.token().start == token.end;
        if bytes.ends_with(b"/") && !interpolates {
            return Err(Problem::new(token.end as usize - 1, "path has a trailing slash"));
        }
        let mut path = match (bytes.strip_prefix(b"~"), bytes.starts_with(b"/")) {
            (Some(below), _) => {
                let home = self.context.home.as_deref();
                let home = home.ok_or_else(|| Problem::new(token.start as usize, "there is no home directory"))?;
                [home, below].concat()
            }
            (None, true) => bytes.clone(),
            (None, false) => [&*self.context.folder, b"/", &bytes].concat(),
        };
        path = normal(&path);
        if interpolates && bytes.ends_with(b"/") && path.len() > 1 {
            path.push(b'/');
        }
        let path = self.tree.add(Expr::Path(path.into()), token.start);
        if !interpolates {
            return Ok(Step::Have(path, Rank::Primary));
        }
        let text = Text { at: token.start, kind: Kind::Path, pieces: vec![Piece::Expr(path)] };
        self.text_goes_on(text, None)
    }

    /// The next pieces of a string, after an interpolation.
    pub(super) fn text_goes_on(&mut self, mut text: Text, expr: Option<ExprId>) -> Parsed<Step> {
        text.pieces.extend(expr.map(Piece::Expr));
        loop {
            let token = self.token();
            let piece = match token.kind {
                Kind::StringPart => Piece::Text(unescape(self.bytes(token)), false),
                Kind::IndentedPart => Piece::Text(self.bytes(token).to_vec(), true),
                Kind::IndentedEscape => Piece::Text(unescape_indented(self.bytes(token)), false),
                Kind::PathPart => Piece::Text(self.bytes(token).to_vec(), false),
                Kind::Interpolation => {
                    self.next();
                    self.frames.push(Frame::Text(text));
                    return Ok(Step::Want(Level::Any));
                }
                Kind::StringEnd | Kind::IndentedEnd | Kind::PathEnd => {
                    self.next();
                    return Ok(Step::Have(self.finish_text(text), Rank::Primary));
                }
                _ => return Err(self.unexpected("")),
            };
            self.next();
            text.pieces.push(piece);
        }
    }

    fn finish_text(&mut self, text: Text) -> ExprId {
        let Text { at, kind, mut pieces } = text;
        if kind == Kind::IndentedStart {
            strip_indentation(&mut pieces);
        }
        match pieces.as_mut_slice() {
            [] => return self.tree.add(Expr::Text(Box::default()), at),
            [Piece::Text(text, _)] => {
                let text = std::mem::take(text).into();
                return self.tree.add(Expr::Text(text), at);
            }
            _ => {}
        }
        let parts = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text, _) => self.tree.add(Expr::Text(text.into()), at),
            Piece::Expr(expr) => expr,
        });
        let parts = parts.collect();
        self.tree.add(Expr::Join(kind != Kind::Path, parts), at)
    }
}

/// What an ordinary string says: escapes, and ends of lines as `\n`.
fn unescape(source: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len());
    let mut bytes = source.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b'r') => out.push(b'\r'),
                Some(b't') => out.push(b'\t'),
                Some(other) => out.push(other),
                None => {}
            },
            b'\r' => {
                out.push(b'\n');
                bytes.next_if_eq(&b'\n');
            }
            other => out.push(other),
        }
    }
    out
}

/// `'''`, `''$`, `''\x`
fn unescape_indented(escape: &[u8]) -> Vec<u8> {
    match escape[2] {
        b'\'' => b"''".to_vec(),
        b'$' => b"$".to_vec(),
        _ => unescape(&escape[2..]),
    }
}

/// Takes out the blanks that all lines begin with, and a last line of blanks.
fn strip_indentation(pieces: &mut Vec<Piece>) {
    let (mut least, mut current, mut at_start) = (usize::MAX, 0, true);
    for piece in pieces.iter() {
        let Piece::Text(text, true) = piece else {
            if std::mem::take(&mut at_start) {
                least = least.min(current);
            }
            continue;
        };
        for byte in text {
            match (at_start, byte) {
                (true, b' ') => current += 1,
                (_, b'\n') => (at_start, current) = (true, 0),
                (true, _) => {
                    at_start = false;
                    least = least.min(current);
                }
                (false, _) => {}
            }
        }
    }
    let (mut dropped, mut at_start) = (0, true);
    let last = pieces.len().saturating_sub(1);
    for (number, piece) in pieces.iter_mut().enumerate() {
        let Piece::Text(text, _) = piece else {
            (at_start, dropped) = (false, 0);
            continue;
        };
        text.retain(|byte| match (at_start, byte) {
            (true, b' ') => {
                dropped += 1;
                dropped > least
            }
            (_, b'\n') => {
                (at_start, dropped) = (true, 0);
                true
            }
            _ => {
                (at_start, dropped) = (false, 0);
                true
            }
        });
        if number == last
            && let Some(line) = text.iter().rposition(|byte| *byte == b'\n')
            && text[line + 1..].iter().all(|byte| *byte == b' ')
        {
            text.truncate(line + 1);
        }
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text(text, _) if text.is_empty()));
}

/// An absolute path without `.`, `..` and double slashes; links are not looked at.
pub(crate) fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for part in &parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}
