//! From tokens to a tree, without recursion: what is not finished yet is on a stack of frames.
//!
//! The parser either wants an expression or has one. One that it has is first extended (`.a`, arguments, operators), by what may follow where it
//! stands, and then given to the frame on top.

mod bindings;
mod operators;
mod strings;

use crate::lexer::tokens;
use crate::token::{Kind, Token};
use crate::tree::{AttrName, Expr, ExprId, Formal, Formals, Lambda, SetId, Symbol, Tree};
use crate::{Context, Problem};
use bindings::Bindings;
use operators::Pending;
use strings::Text;

/// What may stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    /// Any expression.
    Any,
    /// An operand of an operator.
    Operand,
    /// An item of a list, an argument: something without operators and arguments.
    Simple,
}

/// How an expression that is there may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rank {
    /// With `.`, arguments and operators.
    Primary,
    /// With arguments and operators.
    Selected,
    /// With operators.
    Applied,
    /// With nothing: its last part takes all that follows.
    Whole,
}

/// What to do next. What comes again and again in a source is a step of its own, so that many of them are not many calls.
enum Step {
    Want(Level),
    Have(ExprId, Rank),
    /// The next definition.
    Bindings(Box<Bindings>),
    /// The next name of a path of attributes.
    Path(PathFor, Vec<AttrName>, u32),
    /// The next name of a function's argument.
    Formals(u32, Option<Symbol>, Formals),
}

/// Who asked for a path of attributes.
enum PathFor {
    Select(ExprId),
    Has(ExprId),
    Binding(Box<Bindings>),
}

/// What is not finished yet.
enum Frame {
    Paren,
    List(u32, Vec<ExprId>),
    Call(u32, ExprId, Vec<ExprId>),
    Operator(Pending),
    /// `of.path or` …
    Default(ExprId, Vec<AttrName>, u32),
    /// `${` … in a path of attributes.
    PathName(PathFor, Vec<AttrName>, u32),
    /// A string with interpolations as a step of a path of attributes.
    PathText(PathFor, Vec<AttrName>, u32),
    Text(Text),
    If(u32),
    Then(u32, ExprId),
    Else(u32, ExprId, ExprId),
    Assert(u32),
    Asserted(u32, ExprId),
    With(u32),
    Within(u32, ExprId),
    Body(u32, Option<Symbol>, Option<Formals>),
    FormalDefault(u32, Option<Symbol>, Formals),
    Binding(Box<Bindings>, Vec<AttrName>, u32),
    InheritFrom(Box<Bindings>),
    LetBody(u32, SetId),
}

struct Parser<'s> {
    source: &'s [u8],
    context: &'s Context,
    tokens: Vec<Token>,
    at: usize,
    tree: Tree,
    frames: Vec<Frame>,
}

type Parsed<T> = Result<T, Problem>;

/// The tree of a source, and its root.
///
/// # Errors
/// If the source is none; the first problem.
pub fn parse(source: &[u8], context: &Context) -> Parsed<(Tree, ExprId)> {
    let tokens = tokens(source)?;
    let mut parser = Parser { source, context, tokens, at: 0, tree: Tree::default(), frames: Vec::new() };
    let root = parser.run()?;
    Ok((parser.tree, root))
}

/// Whether a token begins something that can be an argument.
fn begins_simple(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Name
            | Kind::Int
            | Kind::Float
            | Kind::Uri
            | Kind::Lookup
            | Kind::Path
            | Kind::StringStart
            | Kind::IndentedStart
            | Kind::Let
            | Kind::Rec
            | Kind::Open
            | Kind::OpenBracket
            | Kind::OpenBrace
    )
}

impl Parser<'_> {
    // ---- tokens

    fn kind(&self) -> Kind {
        self.kind_at(0)
    }

    fn kind_at(&self, ahead: usize) -> Kind {
        self.tokens.get(self.at + ahead).map_or(Kind::End, |token| token.kind)
    }

    fn token(&self) -> Token {
        self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.token();
        self.at += 1;
        token
    }

    fn bytes(&self, token: Token) -> &[u8] {
        &self.source[token.start as usize..token.end as usize]
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let token = self.token();
        let expecting = if expected.is_empty() { String::new() } else { format!(", expecting {expected}") };
        Problem::new(token.start as usize, format!("syntax error, unexpected {}{expecting}", token.kind.text()))
    }

    fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        if self.kind() == kind { Ok(self.next()) } else { Err(self.unexpected(kind.text())) }
    }

    fn accept(&mut self, kind: Kind) -> bool {
        let is = self.kind() == kind;
        self.at += usize::from(is);
        is
    }

    fn symbol_of(&mut self, token: Token) -> Symbol {
        let name = &self.source[token.start as usize..token.end as usize];
        self.tree.symbol(name)
    }

    fn variable(&mut self, name: &str, at: u32) -> ExprId {
        let symbol = self.tree.symbol(name.as_bytes());
        self.tree.add(Expr::Name(symbol), at)
    }

    // ---- the machine

    fn run(&mut self) -> Parsed<ExprId> {
        let mut step = Step::Want(Level::Any);
        loop {
            step = match step {
                Step::Want(level) => self.want(level)?,
                Step::Bindings(bindings) => self.bindings(bindings)?,
                Step::Path(owner, names, at) => self.path(owner, names, at)?,
                Step::Formals(at, argument, formals) => self.formals(at, argument, formals)?,
                Step::Have(expr, rank) => match self.extend(expr, rank)? {
                    Some(step) => step,
                    None => match self.frames.pop() {
                        None if self.kind() == Kind::End => return Ok(expr),
                        None => return Err(self.unexpected("end of file")),
                        Some(frame) => self.give(frame, expr)?,
                    },
                },
            };
        }
    }

    fn want(&mut self, level: Level) -> Parsed<Step> {
        let token = self.token();
        let at = token.start;
        if level == Level::Any
            && let Some(step) = self.whole(token)?
        {
            return Ok(step);
        }
        if level != Level::Simple
            && let Kind::Minus | Kind::Not = token.kind
        {
            self.next();
            self.frames.push(Frame::Operator(Pending::prefix(token)));
            return Ok(Step::Want(Level::Operand));
        }
        let expr = match token.kind {
            Kind::Name => {
                self.next();
                if self.bytes(token) == b"__curPos" { Expr::Position } else { Expr::Name(self.symbol_of(token)) }
            }
            Kind::Int => {
                self.next();
                let digits = String::from_utf8_lossy(self.bytes(token)).into_owned();
                let number = digits.parse();
                Expr::Int(number.map_err(|_| Problem::new(at as usize, format!("invalid integer '{digits}'")))?)
            }
            Kind::Float => {
                self.next();
                let digits = String::from_utf8_lossy(self.bytes(token)).into_owned();
                let number: f64 = digits.parse().unwrap_or(f64::INFINITY);
                if number.is_infinite() {
                    return Err(Problem::new(at as usize, format!("invalid float '{digits}'")));
                }
                Expr::Float(number)
            }
            Kind::Uri => {
                self.next();
                Expr::Text(self.bytes(token).into())
            }
            Kind::Lookup => {
                self.next();
                let bytes = self.bytes(token);
                let name = Expr::Text(bytes[1..bytes.len() - 1].into());
                let (find, path) = (self.variable("__findFile", at), self.variable("__nixPath", at));
                let name = self.tree.add(name, at);
                Expr::Call(find, vec![path, name])
            }
            Kind::Path => return self.begin_path(),
            Kind::StringStart | Kind::IndentedStart => return self.begin_text(),
            Kind::Open => {
                self.next();
                self.frames.push(Frame::Paren);
                return Ok(Step::Want(Level::Any));
            }
            Kind::OpenBracket => {
                self.next();
                return self.list(at, Vec::new());
            }
            Kind::OpenBrace => {
                self.next();
                return self.begin_set(at, false);
            }
            Kind::Rec => {
                self.next();
                self.expect(Kind::OpenBrace)?;
                return self.begin_set(at, true);
            }
            Kind::Let if self.kind_at(1) == Kind::OpenBrace => {
                self.at += 2;
                return self.begin_old_let(at);
            }
            _ => return Err(self.unexpected("")),
        };
        Ok(Step::Have(self.tree.add(expr, at), Rank::Primary))
    }

    /// What begins with a word or is a function, and takes all that follows.
    fn whole(&mut self, token: Token) -> Parsed<Option<Step>> {
        let at = token.start;
        let frame = match token.kind {
            Kind::If => Frame::If(at),
            Kind::Assert => Frame::Assert(at),
            Kind::With => Frame::With(at),
            Kind::Let if self.kind_at(1) != Kind::OpenBrace => {
                self.next();
                return self.begin_let(at).map(Some);
            }
            Kind::Name if self.kind_at(1) == Kind::Colon => {
                let name = self.symbol_of(token);
                self.next();
                Frame::Body(at, Some(name), None)
            }
            Kind::Name if self.kind_at(1) == Kind::At => {
                let name = self.symbol_of(token);
                self.at += 2;
                self.expect(Kind::OpenBrace)?;
                return self.formals(at, Some(name), Formals::default()).map(Some);
            }
            Kind::OpenBrace if self.is_function() => {
                self.next();
                return self.formals(at, None, Formals::default()).map(Some);
            }
            _ => return Ok(None),
        };
        self.next();
        self.frames.push(frame);
        Ok(Some(Step::Want(Level::Any)))
    }

    /// Whether `{` here begins the names of a function's argument.
    fn is_function(&self) -> bool {
        match (self.kind_at(1), self.kind_at(2)) {
            (Kind::Ellipsis, _) | (Kind::Name, Kind::Comma | Kind::Question) => true,
            (Kind::CloseBrace, Kind::Colon | Kind::At) => true,
            (Kind::Name, Kind::CloseBrace) => matches!(self.kind_at(3), Kind::Colon | Kind::At),
            _ => false,
        }
    }

    /// Takes an expression to the frame that wanted it.
    fn give(&mut self, frame: Frame, expr: ExprId) -> Parsed<Step> {
        let (expr, at, rank) = match frame {
            Frame::Paren => {
                self.expect(Kind::Close)?;
                return Ok(Step::Have(expr, Rank::Primary));
            }
            Frame::List(at, mut items) => {
                items.push(expr);
                return self.list(at, items);
            }
            Frame::Call(at, function, mut args) => {
                args.push(expr);
                if begins_simple(self.kind()) {
                    self.frames.push(Frame::Call(at, function, args));
                    return Ok(Step::Want(Level::Simple));
                }
                (Expr::Call(function, args), at, Rank::Applied)
            }
            Frame::Operator(pending) => return self.operate(pending, expr),
            Frame::Default(of, path, at) => (Expr::Select(of, path, Some(expr)), at, Rank::Selected),
            Frame::PathName(owner, mut names, at) => {
                self.expect(Kind::CloseBrace)?;
                names.push(AttrName::Dynamic(expr));
                return self.path_goes_on(owner, names, at);
            }
            Frame::PathText(owner, mut names, at) => {
                names.push(AttrName::Dynamic(expr));
                return self.path_goes_on(owner, names, at);
            }
            Frame::Text(text) => {
                self.expect(Kind::CloseBrace)?;
                return self.text_goes_on(text, Some(expr));
            }
            Frame::If(at) => {
                self.expect(Kind::Then)?;
                self.frames.push(Frame::Then(at, expr));
                return Ok(Step::Want(Level::Any));
            }
            Frame::Then(at, condition) => {
                self.expect(Kind::Else)?;
                self.frames.push(Frame::Else(at, condition, expr));
                return Ok(Step::Want(Level::Any));
            }
            Frame::Else(at, condition, then) => (Expr::If(condition, then, expr), at, Rank::Whole),
            Frame::Assert(at) => {
                self.expect(Kind::Semicolon)?;
                self.frames.push(Frame::Asserted(at, expr));
                return Ok(Step::Want(Level::Any));
            }
            Frame::Asserted(at, condition) => (Expr::Assert(condition, expr), at, Rank::Whole),
            Frame::With(at) => {
                self.expect(Kind::Semicolon)?;
                self.frames.push(Frame::Within(at, expr));
                return Ok(Step::Want(Level::Any));
            }
            Frame::Within(at, scope) => (Expr::With(scope, expr), at, Rank::Whole),
            Frame::Body(at, argument, formals) => {
                (Expr::Lambda(Box::new(Lambda { argument, formals, body: expr })), at, Rank::Whole)
            }
            Frame::FormalDefault(at, argument, mut formals) => {
                if let Some(last) = formals.names.last_mut() {
                    last.default = Some(expr);
                }
                return self.formals_go_on(at, argument, formals);
            }
            Frame::Binding(bindings, path, at) => {
                self.expect(Kind::Semicolon)?;
                self.define(&bindings, &path, at, expr)?;
                return self.bindings(bindings);
            }
            Frame::InheritFrom(bindings) => {
                self.expect(Kind::Close)?;
                return self.inherit(bindings, Some(expr));
            }
            Frame::LetBody(at, set) => (Expr::Let(set, expr), at, Rank::Whole),
        };
        Ok(Step::Have(self.tree.add(expr, at), rank))
    }

    fn list(&mut self, at: u32, items: Vec<ExprId>) -> Parsed<Step> {
        if self.accept(Kind::CloseBracket) {
            return Ok(Step::Have(self.tree.add(Expr::List(items), at), Rank::Primary));
        }
        if !begins_simple(self.kind()) {
            return Err(self.unexpected("']'"));
        }
        self.frames.push(Frame::List(at, items));
        Ok(Step::Want(Level::Simple))
    }

    // ---- arguments of functions

    /// After `{` or `,` in the names of a function's argument.
    fn formals(&mut self, at: u32, argument: Option<Symbol>, mut formals: Formals) -> Parsed<Step> {
        match self.kind() {
            Kind::CloseBrace if formals.names.is_empty() => return self.formals_end(at, argument, formals),
            Kind::Ellipsis => {
                self.next();
                formals.ellipsis = true;
                return self.formals_end(at, argument, formals);
            }
            Kind::Name => {}
            _ => return Err(self.unexpected("identifier")),
        }
        let token = self.next();
        let name = self.symbol_of(token);
        formals.names.push(Formal { name, at: token.start, default: None });
        if self.accept(Kind::Question) {
            self.frames.push(Frame::FormalDefault(at, argument, formals));
            return Ok(Step::Want(Level::Any));
        }
        self.formals_go_on(at, argument, formals)
    }

    fn formals_go_on(&mut self, at: u32, argument: Option<Symbol>, formals: Formals) -> Parsed<Step> {
        if self.accept(Kind::Comma) {
            // A comma may follow the last name.
            if self.kind() == Kind::CloseBrace {
                return self.formals_end(at, argument, formals);
            }
            return Ok(Step::Formals(at, argument, formals));
        }
        self.formals_end(at, argument, formals)
    }

    fn formals_end(&mut self, at: u32, mut argument: Option<Symbol>, formals: Formals) -> Parsed<Step> {
        self.expect(Kind::CloseBrace)?;
        if argument.is_none() && self.accept(Kind::At) {
            let token = self.expect(Kind::Name)?;
            let name = self.symbol_of(token);
            argument = Some(name);
        }
        self.expect(Kind::Colon)?;
        self.check_formals(at, argument, &formals)?;
        self.frames.push(Frame::Body(at, argument, Some(formals)));
        Ok(Step::Want(Level::Any))
    }

    /// No name may stand there twice.
    fn check_formals(&self, at: u32, argument: Option<Symbol>, formals: &Formals) -> Parsed<()> {
        let mut names: Vec<(Symbol, u32)> = formals.names.iter().map(|formal| (formal.name, formal.at)).collect();
        names.extend(argument.map(|name| (name, at)));
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => {
                let name = String::from_utf8_lossy(self.tree.name(pair[1].0)).into_owned();
                let message = format!("duplicate formal function argument '{name}'");
                Err(Problem::new(pair[1].1 as usize, message))
            }
            None => Ok(()),
        }
    }
}
