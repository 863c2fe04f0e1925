//! Reads text assembly into a module.

use super::lexer::{Token, TokenKind, lex};
use crate::builder::{FunctionBuilder, Label, ModuleBuilder};
use crate::diagnostic::Diagnostic;
use crate::limits::{OPERANDS_MAX, PARAMS_MAX};
use crate::module::Module;
use crate::natives::Native;
use crate::op::{Field, FieldKind, Op, OpInfo, ResultKind};
use crate::source::{SourceId, Span};
use crate::types::{Case, Float64, FunctionIndex, Reg, Signature, Target, Text, Type};
use std::collections::HashMap;

/// The module a text spells.
///
/// # Errors
/// What the first mistake is and where. Types are left to the verifier.
pub fn parse(source: SourceId, text: &str) -> Result<Module> {
    let tokens = lex(source, text)?;
    let mut parser = Parser { tokens, at: 0, module: ModuleBuilder::default(), functions: HashMap::new() };
    parser.headers()?;
    parser.at = 0;
    parser.bodies()?;
    Ok(parser.module.finish())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    module: ModuleBuilder,
    functions: HashMap<String, FunctionIndex>,
}

/// Names of the function being read.
struct Body {
    builder: FunctionBuilder,
    registers: HashMap<String, Reg>,
    blocks: HashMap<String, (Label, bool)>,
}

type Result<T> = std::result::Result<T, Diagnostic>;

impl Parser {
    fn kind(&self) -> &TokenKind {
        &self.tokens[self.at].kind
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    fn next(&mut self) -> TokenKind {
        let kind = self.tokens[self.at].kind.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        let message = format!("{what} expected, found {}", self.kind().describe());
        Err(Diagnostic::syntax("A0010", self.span(), message))
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(self.kind(), TokenKind::Mark(found) if *found == mark)
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        if found {
            self.next();
        }
        found
    }

    fn mark(&mut self, mark: &str) -> Result<()> {
        if self.take_mark(mark) { Ok(()) } else { self.expected(&format!("`{mark}`")) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), TokenKind::Word(found) if found == word)
    }

    fn word(&mut self, what: &str) -> Result<String> {
        match self.kind() {
            TokenKind::Word(_) => match self.next() {
                TokenKind::Word(word) => Ok(word),
                _ => unreachable!("the token was looked at"),
            },
            _ => self.expected(what),
        }
    }

    fn function_name(&mut self) -> Result<String> {
        match self.kind().clone() {
            TokenKind::Function(name) => {
                self.next();
                Ok(name)
            }
            _ => self.expected("a function (`@name`)"),
        }
    }

    fn register_name(&mut self) -> Result<String> {
        match self.kind().clone() {
            TokenKind::Register(name) => {
                self.next();
                Ok(name)
            }
            _ => self.expected("a register (`%name`)"),
        }
    }

    fn type_(&mut self) -> Result<Type> {
        let at = self.at;
        let word = self.word("a type (int, float, val)")?;
        match Type::from_name(&word) {
            Some(ty) => Ok(ty),
            None => {
                self.at = at;
                self.expected("a type (int, float, val)")
            }
        }
    }

    fn params(&mut self) -> Result<Vec<(String, Type)>> {
        self.mark("(")?;
        let mut params = Vec::new();
        while !self.take_mark(")") {
            if !params.is_empty() {
                self.mark(",")?;
            }
            if params.len() == PARAMS_MAX {
                return Err(Diagnostic::syntax("A0011", self.span(), format!("at most {PARAMS_MAX} parameters")));
            }
            let name = self.register_name()?;
            self.mark(":")?;
            params.push((name, self.type_()?));
        }
        Ok(params)
    }

    /// First pass: declares every function, skipping bodies.
    fn headers(&mut self) -> Result<()> {
        loop {
            if self.is_word("fn") {
                self.next();
                let span = self.span();
                let name = self.function_name()?;
                let params = self.params()?.into_iter().map(|(_, ty)| ty).collect();
                self.mark("->")?;
                let result = self.type_()?;
                let index = self.module.declare(Signature { params, result });
                if self.functions.insert(name.clone(), index).is_some() {
                    return Err(Diagnostic::syntax("A0012", span, format!("`@{name}` is defined twice")));
                }
                self.skip_body()?;
            } else if self.is_word("entry") {
                self.next();
                self.function_name()?;
            } else if *self.kind() == TokenKind::End {
                return Ok(());
            } else {
                return self.expected("`fn` or `entry`");
            }
        }
    }

    fn skip_body(&mut self) -> Result<()> {
        self.mark("{")?;
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                TokenKind::Mark("{") => depth += 1,
                TokenKind::Mark("}") => depth -= 1,
                TokenKind::End => return self.expected("`}`"),
                _ => {}
            }
        }
        Ok(())
    }

    fn bodies(&mut self) -> Result<()> {
        let mut has_entry = false;
        loop {
            match self.next() {
                TokenKind::Word(word) if word == "fn" => self.function()?,
                TokenKind::Word(_) => {
                    let span = self.span();
                    let index = self.function_ref()?;
                    if has_entry {
                        return Err(Diagnostic::syntax("A0013", span, "a module has one entry"));
                    }
                    has_entry = true;
                    self.module.set_entry(index);
                }
                _ => return Ok(()),
            }
        }
    }

    fn function_ref(&mut self) -> Result<FunctionIndex> {
        let span = self.span();
        let name = self.function_name()?;
        let found = self.functions.get(&name).copied();
        found.ok_or_else(|| Diagnostic::syntax("A0014", span, format!("no function is called `@{name}`")))
    }

    fn function(&mut self) -> Result<()> {
        let name = self.function_name()?;
        let index = self.functions[&name];
        let params = self.params()?;
        self.mark("->")?;
        self.type_()?;
        self.mark("{")?;
        let signature = self.module.signature(index).clone();
        let mut body =
            Body { builder: FunctionBuilder::new(signature, name), registers: HashMap::new(), blocks: HashMap::new() };
        for (at, (param, _)) in params.into_iter().enumerate() {
            self.define(&mut body, param, Reg(at as u32))?;
        }
        while !self.is_mark("}") {
            self.line(&mut body)?;
        }
        if !body.builder.is_terminated() {
            return self.expected("a terminator (such as `return`)");
        }
        if let Some((name, _)) = body.blocks.iter().find(|(_, (_, placed))| !placed) {
            return Err(Diagnostic::syntax("A0015", self.span(), format!("no block is called `{name}`")));
        }
        self.mark("}")?;
        self.module.define_exactly(index, body.builder);
        Ok(())
    }

    fn define(&self, body: &mut Body, name: String, reg: Reg) -> Result<()> {
        if body.registers.insert(name.clone(), reg).is_some() {
            let span = self.tokens[self.at.saturating_sub(1)].span;
            return Err(Diagnostic::syntax("A0016", span, format!("`%{name}` is defined twice")));
        }
        Ok(())
    }

    fn line(&mut self, body: &mut Body) -> Result<()> {
        let starts_block = matches!(self.kind(), TokenKind::Word(_)) && {
            let next = &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind;
            matches!(next, TokenKind::Mark(":" | "("))
        };
        if starts_block {
            return self.block(body);
        }
        if body.builder.is_terminated() {
            return self.expected("a block (`name:`) or `}` after a terminator");
        }
        body.builder.set_span(Some(self.span()));
        if let TokenKind::Register(name) = self.kind().clone() {
            self.next();
            self.mark("=")?;
            let span = self.span();
            let op = self.op(body)?;
            if op.info().result == ResultKind::None {
                return Err(Diagnostic::syntax("A0017", span, format!("`{}` defines nothing", op.info().mnemonic)));
            }
            let reg = body.builder.push(op);
            return self.define(body, name, reg);
        }
        let op = self.op(body)?;
        if op.info().end {
            body.builder.end(op);
        } else {
            body.builder.push(op);
        }
        Ok(())
    }

    fn block(&mut self, body: &mut Body) -> Result<()> {
        let span = self.span();
        let name = self.word("a block")?;
        if !body.builder.is_terminated() {
            let message = format!("the block before `{name}` has no terminator (such as `jump {name}`)");
            return Err(Diagnostic::syntax("A0018", span, message));
        }
        let params = if self.is_mark("(") { self.params()? } else { Vec::new() };
        self.mark(":")?;
        let types: Vec<Type> = params.iter().map(|(_, ty)| *ty).collect();
        let label = match body.blocks.get_mut(&name) {
            Some((_, true)) => {
                return Err(Diagnostic::syntax("A0019", span, format!("block `{name}` is there twice")));
            }
            Some((label, placed)) => {
                *placed = true;
                *label
            }
            None => {
                let label = body.builder.label(&[]);
                body.blocks.insert(name, (label, true));
                label
            }
        };
        let registers = body.builder.place_with(label, types);
        for ((param, _), reg) in params.into_iter().zip(registers) {
            self.define(body, param, reg)?;
        }
        Ok(())
    }

    fn op(&mut self, body: &mut Body) -> Result<Op> {
        let span = self.span();
        let mnemonic = self.word("an instruction")?;
        let Some(info) = OpInfo::of_mnemonic(&mnemonic) else {
            return Err(Diagnostic::syntax("A0020", span, format!("no instruction is called `{mnemonic}`")));
        };
        let mut fields = Vec::with_capacity(info.fields.len());
        for (at, (_, kind)) in info.fields.iter().enumerate() {
            if at > 0 {
                self.mark(",")?;
            }
            fields.push(self.field(body, *kind)?);
        }
        Ok(Op::from_fields(info.opcode, fields).expect("fields were read in the order and kinds of the row"))
    }

    fn field(&mut self, body: &mut Body, kind: FieldKind) -> Result<Field> {
        Ok(match kind {
            FieldKind::Int => Field::Int(self.register(body)?),
            FieldKind::Float => Field::Float(self.register(body)?),
            FieldKind::Val => Field::Val(self.register(body)?),
            FieldKind::Ret => Field::Ret(self.register(body)?),
            FieldKind::Vals => Field::Vals(self.registers(body, "[", "]")?),
            FieldKind::Args => Field::Args(self.registers(body, "(", ")")?),
            FieldKind::Imm => Field::Imm(self.integer()?),
            FieldKind::Number => Field::Number(self.number()?),
            FieldKind::Text => match self.kind().clone() {
                TokenKind::Text(text) => {
                    self.next();
                    Field::Text(text.into())
                }
                _ => return self.expected("a string"),
            },
            FieldKind::Symbol => Field::Symbol(self.symbol()?),
            FieldKind::Symbols => {
                self.mark("{")?;
                Field::Symbols(self.separated("}", Self::symbol)?)
            }
            FieldKind::Func => Field::Func(self.function_ref()?),
            FieldKind::Native => {
                let span = self.span();
                let name = self.word("the name of a built-in")?;
                let found = Native::from_name(&name);
                let missing = || Diagnostic::syntax("A0021", span, format!("no built-in is called `{name}`"));
                Field::Native(found.ok_or_else(missing)?)
            }
            FieldKind::Target => Field::Target(self.target(body)?),
            FieldKind::Cases => {
                self.mark("[")?;
                Field::Cases(self.separated("]", |parser| {
                    let value = parser.integer()?;
                    parser.mark(":")?;
                    Ok(Case { value, target: parser.target(body)? })
                })?)
            }
        })
    }

    fn separated<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.take_mark(close) {
            if !items.is_empty() {
                self.mark(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn registers(&mut self, body: &mut Body, open: &str, close: &str) -> Result<Vec<Reg>> {
        let span = self.span();
        self.mark(open)?;
        let regs = self.separated(close, |parser| parser.register(body))?;
        if regs.len() > OPERANDS_MAX {
            return Err(Diagnostic::syntax("A0022", span, format!("at most {OPERANDS_MAX} operands")));
        }
        Ok(regs)
    }

    fn register(&mut self, body: &Body) -> Result<Reg> {
        let span = self.span();
        let name = self.register_name()?;
        let found = body.registers.get(&name).copied();
        found.ok_or_else(|| Diagnostic::syntax("A0023", span, format!("`%{name}` is not defined above")))
    }

    fn integer(&mut self) -> Result<i64> {
        match *self.kind() {
            TokenKind::Integer(value) => {
                self.next();
                Ok(value)
            }
            _ => self.expected("an integer"),
        }
    }

    fn number(&mut self) -> Result<Float64> {
        let value = match self.kind() {
            TokenKind::Integer(value) => *value as f64,
            TokenKind::Float(value) => *value,
            TokenKind::Word(word) if word == "inf" => f64::INFINITY,
            _ => return self.expected("a number"),
        };
        self.next();
        Ok(Float64::new(value).expect("the lexer gives no NaN"))
    }

    fn symbol(&mut self) -> Result<Text> {
        match self.kind().clone() {
            TokenKind::Symbol(name) => {
                self.next();
                Ok(name.into())
            }
            _ => self.expected("a symbol (`'name`)"),
        }
    }

    fn target(&mut self, body: &mut Body) -> Result<Target> {
        let span = self.span();
        let name = self.word("a block")?;
        let label = match body.blocks.get(&name) {
            Some((_, true)) => {
                let message = format!("block `{name}` is above; control only goes forward, a loop is a tail call");
                return Err(Diagnostic::syntax("A0024", span, message));
            }
            Some((label, false)) => *label,
            None => {
                let label = body.builder.label(&[]);
                body.blocks.insert(name, (label, false));
                label
            }
        };
        let args = if self.is_mark("(") { self.registers(body, "(", ")")? } else { Vec::new() };
        Ok(body.builder.target(label, args))
    }
}
