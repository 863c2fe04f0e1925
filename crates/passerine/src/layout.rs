//! Which newlines separate (reference, section 3).

use crate::lexer::{Token, TokenKind};
use qualm_ir::diagnostic::Diagnostic;

/// A newline after one of these is white space.
const CONTINUES_AFTER: &[&str] =
    &["|>", "->", "=>", "==", "!=", "<=", ">=", "**", "::", ".", ",", "=", "<", ">", "+", "-", "*", "/", "%", ":", "|"];
/// A newline before one of these is white space; `-` only with a space after it.
const CONTINUES_BEFORE: &[&str] =
    &["|>", "->", "=>", "==", "!=", "<=", ">=", "**", "::", ".", ",", "=", "<", ">", "+", "*", "/", "%", "|"];

/// Turns newlines into separators or drops them.
///
/// # Errors
/// A `;` inside parentheses or square brackets.
pub fn layout(tokens: Vec<Token>) -> Result<Vec<Token>, Diagnostic> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut open = vec!['{'];
    let mut pending: Option<Token> = None;
    for token in tokens {
        if matches!(token.kind, TokenKind::Newline | TokenKind::Separator) {
            if open.last() == Some(&'{') {
                let replace = pending.as_ref().is_none_or(|_| token.kind == TokenKind::Separator);
                if replace {
                    pending = Some(token);
                }
            } else if token.kind == TokenKind::Separator {
                let message = "a `;` separates only inside braces and at the top";
                return Err(Diagnostic::syntax("P0020", token.span, message));
            }
            continue;
        }
        if let Some(separator) = pending.take()
            && !is_dropped(&separator, out.last(), &token)
        {
            out.push(Token { kind: TokenKind::Separator, ..separator });
        }
        match token.kind {
            TokenKind::Open(c) => open.push(c),
            TokenKind::Close(_) => {
                open.pop();
            }
            _ => {}
        }
        out.push(token);
    }
    Ok(out)
}

/// Whether a text that ends here goes on in the next line.
pub(crate) fn ends_open(tokens: &[Token]) -> bool {
    let last = tokens.iter().rev().find(|token| token.kind != TokenKind::Newline);
    last.is_some_and(|token| matches!(token.kind, TokenKind::Op(op) if CONTINUES_AFTER.contains(&op)))
}

fn is_dropped(separator: &Token, before: Option<&Token>, after: &Token) -> bool {
    let Some(before) = before else { return true };
    if matches!(before.kind, TokenKind::Open(_)) || matches!(after.kind, TokenKind::Close(_)) {
        return true;
    }
    if separator.kind == TokenKind::Separator {
        return false;
    }
    let continued = matches!(before.kind, TokenKind::Op(op) if CONTINUES_AFTER.contains(&op));
    let continues = match &after.kind {
        TokenKind::Op("-") => after.space_after,
        TokenKind::Op(op) => CONTINUES_BEFORE.contains(op),
        TokenKind::Ident(name) => matches!(&**name, "and" | "or" | "is"),
        _ => false,
    };
    continued || continues
}
