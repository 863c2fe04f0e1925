//! The parser: tokens to tree, one pass in text order (reference, section 4).
//!
//! The grammar is context dependent in three ways that all need the text order: soft words (`if`, `match`, `try`, ...) are ordinary names in
//! the scope of a variable of that name, so the parser keeps what names [mean](scope); in the head of `if`, `match`, `for` and their like a
//! brace cannot start an argument; and forms with a pseudokeyword belong to [macros].

mod declarations;
mod effects;
mod expand;
mod forms;
pub(crate) mod macros;
mod matching;
mod operands;
mod patterns;
pub(crate) mod scope;
mod types;
mod uses;

use crate::lexer::{PROBLEMS_MAX, Token, TokenKind};
use crate::tree::{BinaryOp, Expr, ExprKind, FunctionId, Literal, MacroId, Name, NameId};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::source::{SourceId, Span};
use scope::{Declared, Scope};
use std::rc::Rc;
use std::sync::Arc;

/// Expressions nest at most this deep.
pub const NESTING_MAX: usize = 1_000;
/// Operators of one level in a row, at most.
pub const CHAIN_MAX: usize = 5_000;

pub(crate) type Result<T> = std::result::Result<T, Diagnostic>;

/// What the parser asks for when it meets `use`.
pub(crate) trait Loader {
    /// The number of the file a path of names leads to, and how many of the names were used; an error message if there is none.
    fn load(&mut self, path: &[Arc<str>], span: Span, shared: &mut Shared) -> Result<(usize, usize)>;

    /// The names a loaded file declares at its top level.
    fn exports(&self, file: usize) -> Vec<Arc<str>>;

    /// What a label was declared to be at the top level of a loaded file.
    fn label(&self, name: &str) -> Option<Declared>;

    /// The macros a loaded file declares at its top level.
    fn macros(&self, file: usize) -> Vec<Rc<macros::Macro>>;
}

/// What the parsers of a program share: the numbers given out, and what was wrong.
#[derive(Default)]
pub(crate) struct Shared {
    names: u32,
    functions: u32,
    macros: u32,
    marks: u32,
    /// What is wrong with the statements that were skipped.
    problems: Vec<Diagnostic>,
}

impl Shared {
    pub(crate) fn name(&mut self) -> NameId {
        self.names += 1;
        NameId(self.names - 1)
    }

    fn macro_id(&mut self) -> MacroId {
        self.macros += 1;
        MacroId(self.macros)
    }

    /// A mark for the names that one expansion binds.
    fn mark(&mut self) -> u32 {
        self.marks += 1;
        self.marks
    }

    pub(crate) fn function(&mut self) -> FunctionId {
        self.functions += 1;
        FunctionId(self.functions - 1)
    }

    /// Keeps a problem after which the next statement can be read as if nothing had happened; gives it back where that is not so: what
    /// follows a macro that could not be read would only be reported for its absence.
    fn set_aside(&mut self, problem: Diagnostic) -> Result<()> {
        let about_macros = problem.code.starts_with("P008");
        if about_macros || problem.code == "P0032" || self.problems.len() + 1 >= PROBLEMS_MAX {
            return Err(problem);
        }
        // A macro may read the same tokens more than once.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        Ok(())
    }

    pub(crate) fn add_problems(&mut self, problems: Vec<Diagnostic>) {
        self.problems.extend(problems);
    }

    /// Everything that was wrong.
    pub(crate) fn take_problems(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.problems)
    }
}

pub(crate) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(super) source: SourceId,
    pub(super) end: u32,
    pub(super) shared: &'a mut Shared,
    pub(super) loader: &'a mut dyn Loader,
    pub(super) scopes: &'a mut Vec<Scope>,
    /// In a head: `{` starts no operand.
    pub(super) head: bool,
    /// Words that end an expression here: `in`, `with`.
    pub(super) stop: Option<&'static str>,
    pub(super) depth: usize,
    /// The prelude may name every built-in.
    pub(super) trusted: bool,
}

impl<'a> Parser<'a> {
    /// The statements of a whole file.
    pub(crate) fn file(
        tokens: &'a [Token],
        source: SourceId,
        end: u32,
        shared: &'a mut Shared,
        loader: &'a mut dyn Loader,
        scopes: &'a mut Vec<Scope>,
        trusted: bool,
    ) -> Result<Vec<Expr>> {
        let mut parser =
            Parser { tokens, at: 0, source, end, shared, loader, scopes, head: false, stop: None, depth: 0, trusted };
        parser.statements()
    }

    /// A parser of some of the tokens, in the same scopes.
    pub(super) fn part<'b>(&'b mut self, tokens: &'b [Token], end: u32) -> Parser<'b> {
        Parser {
            tokens,
            at: 0,
            source: self.source,
            end,
            shared: self.shared,
            loader: self.loader,
            scopes: self.scopes,
            head: false,
            stop: None,
            depth: self.depth,
            trusted: self.trusted,
        }
    }

    /// Parses the whole of some tokens as one expression.
    pub(super) fn whole(&mut self, tokens: &[Token], end: u32) -> Result<Expr> {
        let mut part = self.part(tokens, end);
        let parsed = part.expr()?;
        match part.kind() {
            None => Ok(parsed),
            Some(_) => part.error("P0031", format!("unexpected {}", part.describe())),
        }
    }

    // ---- tokens

    /// The place of the bracket that closes the one at `open`. The layout pass made sure that there is one.
    pub(super) fn close_of(&self, open: usize) -> usize {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                TokenKind::Open(_) => depth += 1,
                TokenKind::Close(_) => {
                    depth -= 1;
                    if depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    pub(super) fn kind(&self) -> Option<&'a TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn kind_at(&self, offset: usize) -> Option<&'a TokenKind> {
        self.tokens.get(self.at + offset).map(|token| &token.kind)
    }

    pub(super) fn span(&self) -> Span {
        match self.tokens.get(self.at) {
            Some(token) => token.span,
            None => Span { source: self.source, start: self.end, end: self.end + 1 },
        }
    }

    pub(super) fn last_span(&self) -> Span {
        self.tokens.get(self.at.wrapping_sub(1)).map_or_else(|| self.span(), |token| token.span)
    }

    pub(super) fn since(&self, start: Span) -> Span {
        start.to(self.last_span())
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.kind(), Some(TokenKind::Op(found)) if *found == op)
    }

    pub(super) fn take_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.at += usize::from(found);
        found
    }

    pub(super) fn is_open(&self, bracket: char) -> bool {
        matches!(self.kind(), Some(TokenKind::Open(found)) if *found == bracket)
    }

    pub(super) fn is_close(&self) -> bool {
        matches!(self.kind(), Some(TokenKind::Close(_)))
    }

    /// Whether the token is the identifier `word`.
    pub(super) fn is_ident(&self, word: &str) -> bool {
        matches!(self.kind(), Some(TokenKind::Ident(found)) if **found == *word)
    }

    pub(super) fn is_separator(&self) -> bool {
        self.kind() == Some(&TokenKind::Separator)
    }

    pub(super) fn error<T>(&self, code: &'static str, message: impl Into<String>) -> Result<T> {
        Err(Diagnostic::syntax(code, self.span(), message))
    }

    pub(super) fn describe(&self) -> String {
        match self.kind() {
            None => "the end of the file".into(),
            Some(TokenKind::Separator | TokenKind::Newline) => "the end of the line".into(),
            Some(TokenKind::Ident(name) | TokenKind::Label(name)) => format!("`{name}`"),
            Some(TokenKind::Word(name)) => format!("`'{name}`"),
            Some(TokenKind::Op(op)) => format!("`{op}`"),
            Some(TokenKind::Open(c) | TokenKind::Close(c)) => format!("`{c}`"),
            Some(TokenKind::Integer(_) | TokenKind::Float(_)) => "a number".into(),
            Some(TokenKind::Boolean(_)) => "a boolean".into(),
            Some(TokenKind::Text(_)) => "a string".into(),
        }
    }

    pub(super) fn expected<T>(&self, what: &str) -> Result<T> {
        self.error("P0030", format!("{what} expected, found {}", self.describe()))
    }

    pub(super) fn close(&mut self) -> Result<()> {
        if self.is_close() {
            self.at += 1;
            return Ok(());
        }
        self.error("P0031", format!("unexpected {}", self.describe()))
    }

    /// Parses what is in brackets: neither head nor stop word of the outside count.
    pub(super) fn fresh<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (head, stop) = (std::mem::replace(&mut self.head, false), self.stop.take());
        let parsed = parse(self);
        (self.head, self.stop) = (head, stop);
        parsed
    }

    pub(super) fn name(&mut self, text: &Arc<str>, span: Span) -> Name {
        Name { text: text.clone(), mark: 0, origin: MacroId(0), id: self.shared.name(), span, body: None }
    }

    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.error("P0032", format!("nested more than {NESTING_MAX} deep"));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    // ---- statements

    /// Statements up to a closing bracket or the end.
    pub(super) fn statements(&mut self) -> Result<Vec<Expr>> {
        let mut statements = Vec::new();
        loop {
            while self.is_separator() {
                self.at += 1;
            }
            if self.kind().is_none() || self.is_close() {
                return Ok(statements);
            }
            let Some(statement) = self.statement_or_skip()? else { continue };
            // What a macro became has no scope of its own.
            match statement.kind {
                ExprKind::Splice(spliced) if !spliced.is_empty() => statements.extend(spliced),
                _ => statements.push(statement),
            }
        }
    }

    /// A statement; nothing if it was wrong and is skipped.
    fn statement_or_skip(&mut self) -> Result<Option<Expr>> {
        let (start, depth, scopes) = (self.at, self.depth, self.scopes.len());
        let (head, stop) = (self.head, self.stop);
        let problem = match self.repeated_statement() {
            Ok(statement) if self.is_separator() || self.kind().is_none() || self.is_close() => {
                return Ok(Some(statement));
            }
            Ok(_) => Diagnostic::syntax("P0031", self.span(), format!("unexpected {}", self.describe())),
            Err(problem) => problem,
        };
        if matches!(self.tokens.get(start).map(|token| &token.kind), Some(TokenKind::Ident(word)) if &**word == "syntax")
        {
            return Err(problem);
        }
        self.shared.set_aside(problem)?;
        (self.depth, self.head, self.stop) = (depth, head, stop);
        self.scopes.truncate(scopes);
        self.at = self.end_of_statement(start);
        Ok(None)
    }

    /// Where the statement ends that starts with this token: at a separator or closing bracket outside brackets.
    fn end_of_statement(&self, start: usize) -> usize {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(start) {
            match token.kind {
                TokenKind::Open(_) => depth += 1,
                TokenKind::Close(_) if depth == 0 => return at,
                TokenKind::Close(_) => depth -= 1,
                TokenKind::Separator if depth == 0 => return at,
                _ => {}
            }
        }
        self.tokens.len()
    }

    fn repeated_statement(&mut self) -> Result<Expr> {
        let statement = self.statement()?;
        if !self.take_op("...") {
            return Ok(statement);
        }
        let span = statement.span;
        Ok(Expr { kind: ExprKind::Repeat(Box::new(statement)), span })
    }

    fn statement(&mut self) -> Result<Expr> {
        if let Some(TokenKind::Ident(word)) = self.kind() {
            match &**word {
                "use" => return self.use_statement(),
                "syntax" => return self.syntax_statement(),
                "type" => return self.type_statement(),
                "effect" => return self.effect_statement(),
                _ => {}
            }
        }
        self.expr()
    }

    /// An expression, an assignment included.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.deeper(|parser| {
            let start = parser.span();
            let left = parser.tuple()?;
            if !parser.is_op("=") {
                return Ok(left);
            }
            let operator = parser.span();
            parser.at += 1;
            let pattern = parser.assigned(left).map_err(|error| needs_pattern(error, operator, "assigned here"))?;
            let mut names = Vec::new();
            pattern.for_each_binder(&mut |name| names.push(name.text.clone()));
            names.iter().for_each(|name| parser.declare(name));
            let value = Box::new(parser.expr()?);
            let kind = ExprKind::Assign { pattern: Box::new(pattern), value };
            Ok(Expr { kind, span: parser.since(start) })
        })
    }

    pub(super) fn tuple(&mut self) -> Result<Expr> {
        let start = self.span();
        let first = self.lambda()?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take_op(",") {
            if self.kind().is_none() || self.is_close() || self.is_separator() || self.is_op("=") {
                break;
            }
            items.push(self.lambda()?);
        }
        Ok(Expr { kind: ExprKind::Tuple(items), span: self.since(start) })
    }

    pub(super) fn lambda(&mut self) -> Result<Expr> {
        self.deeper(|parser| {
            let start = parser.span();
            let mut left = parser.form()?;
            if parser.take_op(":") {
                let ty = parser.type_(false)?;
                left = Expr { kind: ExprKind::Annotated { value: Box::new(left), ty }, span: parser.since(start) };
            }
            if parser.take_op("|") {
                let guard = Box::new(parser.form()?);
                left = Expr { kind: ExprKind::Guarded { value: Box::new(left), guard }, span: parser.since(start) };
            }
            let operator = parser.span();
            if parser.take_op("->") {
                return parser
                    .lambda_from(left, start)
                    .map_err(|error| needs_pattern(error, operator, "what is before this is a parameter"));
            }
            Ok(left)
        })
    }

    /// A use of a macro, or an expression of operators.
    pub(super) fn form(&mut self) -> Result<Expr> {
        match self.macro_use()? {
            Some(expansion) => Ok(expansion),
            None => self.compose(),
        }
    }

    // ---- operators, loosest first

    pub(super) fn compose(&mut self) -> Result<Expr> {
        let start = self.span();
        let mut left = self.or()?;
        let mut count = 0;
        while self.is_op("|>") || self.is_op(".") {
            self.at += 1;
            let right = self.or()?;
            // `x . f` evaluates `x` first, as it is written.
            let kind = ExprKind::Call { function: Box::new(right), argument: Box::new(left) };
            left = Expr { kind, span: self.since(start) };
            self.count_chain(&mut count)?;
        }
        Ok(left)
    }

    fn count_chain(&self, count: &mut usize) -> Result<()> {
        *count += 1;
        if *count > CHAIN_MAX {
            self.error("P0032", format!("more than {CHAIN_MAX} operators in a row"))
        } else {
            Ok(())
        }
    }

    /// Whether the token is this soft word, not hidden by a variable.
    pub(super) fn is_soft(&self, word: &str) -> bool {
        self.is_ident(word) && !self.is_declared(word)
    }

    fn or(&mut self) -> Result<Expr> {
        let start = self.span();
        let mut left = self.and()?;
        let mut count = 0;
        while self.is_soft("or") {
            self.at += 1;
            let right = self.and()?;
            left = Expr { kind: ExprKind::Or(Box::new(left), Box::new(right)), span: self.since(start) };
            self.count_chain(&mut count)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let start = self.span();
        let mut left = self.not()?;
        let mut count = 0;
        while self.is_soft("and") {
            self.at += 1;
            let right = self.not()?;
            left = Expr { kind: ExprKind::And(Box::new(left), Box::new(right)), span: self.since(start) };
            self.count_chain(&mut count)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        if self.is_soft("not") && self.starts_operand(1) {
            let start = self.span();
            self.at += 1;
            let operand = self.deeper(Self::not)?;
            return Ok(Expr { kind: ExprKind::Not(Box::new(operand)), span: self.since(start) });
        }
        self.compare()
    }

    fn comparison(&self) -> Option<BinaryOp> {
        match self.kind() {
            Some(TokenKind::Op(op)) => match *op {
                "==" => Some(BinaryOp::Eq),
                "!=" => Some(BinaryOp::Ne),
                "<" => Some(BinaryOp::Lt),
                "<=" => Some(BinaryOp::Le),
                ">" => Some(BinaryOp::Gt),
                ">=" => Some(BinaryOp::Ge),
                _ => None,
            },
            _ => None,
        }
    }

    fn compare(&mut self) -> Result<Expr> {
        let start = self.span();
        let left = self.range()?;
        if let Some(op) = self.comparison() {
            self.at += 1;
            let right = self.range()?;
            if self.comparison().is_some() {
                let found: Result<Expr> = self.error("P0033", "comparisons do not chain");
                return found.map_err(|found| found.note("write `a < b and b < c`"));
            }
            let kind = ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) };
            return Ok(Expr { kind, span: self.since(start) });
        }
        if self.is_soft("is") {
            self.at += 1;
            let negated = self.is_ident("not");
            self.at += usize::from(negated);
            let ty = self.type_(false)?;
            let kind = ExprKind::Is { value: Box::new(left), ty, negated };
            return Ok(Expr { kind, span: self.since(start) });
        }
        Ok(left)
    }

    fn range(&mut self) -> Result<Expr> {
        let start = self.span();
        let left = self.sum()?;
        let through = self.is_op("..=");
        if !through && !self.is_op("..") {
            return Ok(left);
        }
        // `rest..` in a list pattern: nothing follows.
        if !through && matches!(self.kind_at(1), None | Some(TokenKind::Close(_) | TokenKind::Op(","))) {
            return Ok(left);
        }
        self.at += 1;
        let to = Box::new(self.sum()?);
        Ok(Expr { kind: ExprKind::Range { from: Box::new(left), to, through }, span: self.since(start) })
    }

    fn left_chain(&mut self, ops: &[(&str, BinaryOp)], operand: impl Fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let start = self.span();
        let mut left = operand(self)?;
        let mut count = 0;
        while let Some((_, op)) = ops.iter().find(|(text, _)| self.is_op(text)) {
            self.at += 1;
            let right = Box::new(operand(self)?);
            left = Expr { kind: ExprKind::Binary { op: *op, left: Box::new(left), right }, span: self.since(start) };
            self.count_chain(&mut count)?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr> {
        self.left_chain(&[("+", BinaryOp::Add), ("-", BinaryOp::Sub)], Self::product)
    }

    fn product(&mut self) -> Result<Expr> {
        self.left_chain(&[("*", BinaryOp::Mul), ("/", BinaryOp::Div), ("%", BinaryOp::Rem)], Self::unary)
    }

    pub(super) fn unary(&mut self) -> Result<Expr> {
        if !self.is_op("-") {
            return self.power();
        }
        let start = self.span();
        self.at += 1;
        if let Some(TokenKind::Integer(value)) = self.kind() {
            // A literal takes its sign at once, so that the smallest integer can be written; unless a power binds tighter.
            if !matches!(self.kind_at(1), Some(TokenKind::Op("**"))) && !self.is_access_at(1) {
                let negative = (*value as i64).wrapping_neg();
                self.at += 1;
                return Ok(Expr { kind: ExprKind::Literal(Literal::Integer(negative)), span: self.since(start) });
            }
        }
        let operand = self.deeper(Self::unary)?;
        let kind = match operand.kind {
            ExprKind::Literal(Literal::Float(value)) => ExprKind::Literal(Literal::Float(-value)),
            _ => ExprKind::Negate(Box::new(operand)),
        };
        Ok(Expr { kind, span: self.since(start) })
    }

    fn power(&mut self) -> Result<Expr> {
        let start = self.span();
        let base = self.call()?;
        if !self.take_op("**") {
            return Ok(base);
        }
        let exponent = Box::new(self.deeper(Self::unary)?);
        let kind = ExprKind::Binary { op: BinaryOp::Pow, left: Box::new(base), right: exponent };
        Ok(Expr { kind, span: self.since(start) })
    }
}

/// Says what makes a pattern of an expression that cannot be one.
fn needs_pattern(error: Diagnostic, operator: Span, note: &str) -> Diagnostic {
    let far = error.code == "P0040" && error.labels.len() == 1;
    if far { error.also(operator, note) } else { error }
}
