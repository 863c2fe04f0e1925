//! A conversation: inputs that come one after another and see what the earlier ones defined.
//!
//! Each input is compiled as a module of its own, whose function takes the variables of the session (a list of their cells) and gives the value and all
//! cells, those of new variables at the end. Functions of earlier inputs hold the same cells, so whoever assigns a variable, all see it. Declarations
//! (types, effects, macros) are kept as text and read again with each input; they define nothing that could be done twice.

use crate::infer::Inferred;
use crate::lexer::lex;
use crate::lower::{File, for_each_bound, lower_session};
use crate::modules::{Files, Front, Program, check};
use crate::names::{Names, resolve};
use crate::parser::scope::Scope;
use crate::prelude;
use crate::tree::{Expr, ExprKind};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::module::Module;
use qualm_ir::source::SourceMap;
use qualm_ir::types::FunctionIndex;
use std::sync::Arc;

/// What earlier inputs defined.
#[derive(Clone, Default, Debug)]
pub struct Session {
    /// Variables, in the order of their cells.
    variables: Vec<Arc<str>>,
    declarations: Vec<Declaration>,
    /// The inputs that were accepted.
    inputs: Vec<String>,
}

#[derive(Clone, PartialEq, Debug)]
struct Declaration {
    /// What another declaration replaces it by: a type or effect by its name, a macro by its pattern.
    key: String,
    text: String,
}

/// A compiled input.
#[derive(Debug)]
pub struct Step {
    /// The files that places refer to.
    pub sources: SourceMap,
    /// The module and the function of it to run, or what is wrong. The function takes the list of cells of the session, or nothing if it has no
    /// variables, and gives a pair of the value and the list of all cells.
    pub code: Result<(Module, FunctionIndex), Vec<Diagnostic>>,
    text: String,
    variables: Vec<Arc<str>>,
    declarations: Vec<Declaration>,
}

impl Step {
    /// How many cells the function gives.
    pub fn cells(&self) -> usize {
        self.variables.len()
    }
}

impl Session {
    /// Compiles an input; `name` is the path that places in it have. Needs as much native stack as [`compile`](crate::compile).
    pub fn step(&self, name: &str, text: &str, files: &mut dyn Files) -> Step {
        let mut step = Step {
            sources: SourceMap::default(),
            code: Err(Vec::new()),
            text: text.to_owned(),
            variables: self.variables.clone(),
            declarations: Vec::new(),
        };
        step.code = self.compile(&mut step, name, files);
        step
    }

    fn compile(
        &self,
        step: &mut Step,
        name: &str,
        files: &mut dyn Files,
    ) -> Result<(Module, FunctionIndex), Vec<Diagnostic>> {
        let mut names = Names::default();
        let mut sources = SourceMap::default();
        let prelude_id = sources.add("prelude", prelude::SOURCE);
        let mut program = Program::new(&mut sources, files);
        let (prelude, _) = program.parse(prelude_id, true).map_err(|error| vec![error])?;
        resolve(&mut names, &prelude.statements, prelude.function, false, true)?;

        let function = program.shared.function();
        let mut scopes = vec![Scope::default()];
        let mut statements = Vec::new();
        let variables = self.variables.iter().map(|name| format!("{name} = ()\n"));
        let earlier: String = variables.chain(self.declarations.iter().map(|one| one.text.clone() + "\n")).collect();
        let mut known = 0;
        for (path, text) in [("session", earlier.as_str()), (name, step.text.as_str())] {
            known = statements.len();
            let id = program.sources.add(path, text);
            program.open.push(path.to_owned());
            let parsed = program.parse_in(id, false, &mut scopes);
            program.open.pop();
            let mut problems = program.shared.take_problems();
            match parsed {
                Ok(more) if problems.is_empty() => statements.extend(more),
                outcome => {
                    problems.extend(outcome.err());
                    step.sources = sources;
                    return Err(problems);
                }
            }
        }
        let main = File { statements, function };
        let loaded = std::mem::take(&mut program.loaded);
        let front = Front::resolved(names, prelude, loaded, main, &mut program.shared);
        step.sources = sources;
        let mut front = front?;
        for statement in &front.main.statements {
            let names = &mut front.names;
            for_each_bound(statement, &mut |name| {
                if let Some(var) = names.meaning(name.id)
                    && name.mark == 0
                {
                    names.keep(var);
                    if !step.variables.contains(&name.text) {
                        step.variables.push(name.text.clone());
                    }
                }
            });
        }
        front.names.finish();
        step.declarations = declarations(&front.main.statements[known..], &step.text);
        lower_session(&front, &front.main.statements[known..], &self.variables, &step.variables, &step.sources)
    }

    /// Goes on with what an input defined.
    pub fn accept(&mut self, step: Step) {
        self.variables = step.variables;
        for declaration in step.declarations {
            self.declarations.retain(|other| other.key != declaration.key);
            self.declarations.push(declaration);
        }
        self.inputs.push(step.text);
    }

    /// What inference says of an input: its type, and problems in it.
    ///
    /// # Errors
    /// Why it does not compile.
    pub fn infer(
        &self,
        name: &str,
        text: &str,
        files: &mut dyn Files,
    ) -> (SourceMap, Result<Inferred, Vec<Diagnostic>>) {
        let earlier = self.text();
        let start = earlier.len() as u32;
        let checked = check(name, &(earlier + text), files);
        // Places are shown in the input alone.
        let mut sources = SourceMap::default();
        let mut input = None;
        for source in checked.sources.iter() {
            let is_input = &*source.path == name;
            let id = sources.add(source.path.clone(), if is_input { Arc::from(text) } else { source.text.clone() });
            input = if is_input { Some(id) } else { input };
        }
        let moved = |mut problem: Diagnostic| {
            problem.labels.retain(|label| Some(label.span.source) != input || label.span.start >= start);
            for label in problem.labels.iter_mut().filter(|label| Some(label.span.source) == input) {
                label.span.start -= start;
                label.span.end -= start;
            }
            problem
        };
        let inferred = match checked.inferred {
            Ok(mut inferred) => {
                // What earlier inputs did is past; what is defined again may have another type.
                inferred.problems.retain(|problem| problem.labels.iter().all(|label| label.span.start >= start));
                inferred.problems = inferred.problems.into_iter().map(moved).collect();
                Ok(inferred)
            }
            Err(problems) => Err(problems.into_iter().map(moved).collect()),
        };
        (sources, inferred)
    }

    /// Takes back the text of the last input, if it was this one; what it defined stays.
    pub fn forget_last(&mut self, input: &str) {
        if self.inputs.last().is_some_and(|last| last == input) {
            self.inputs.pop();
        }
    }

    /// Everything that was accepted, as one program.
    pub fn text(&self) -> String {
        self.inputs.iter().map(|input| input.clone() + "\n").collect()
    }

    /// The variables, in the order in which they were first bound.
    pub fn variables(&self) -> &[Arc<str>] {
        &self.variables
    }
}

fn declarations(statements: &[Expr], text: &str) -> Vec<Declaration> {
    let mut found = Vec::new();
    for statement in statements {
        let own = text.get(statement.span.start as usize..statement.span.end as usize).unwrap_or_default().to_owned();
        let key = match &statement.kind {
            ExprKind::Type(declaration) => declaration.name.text.to_string(),
            ExprKind::Effect(declaration) => declaration.name.text.to_string(),
            ExprKind::Syntax(_) => own.split('{').next().unwrap_or_default().split_whitespace().collect(),
            ExprKind::Use(_) if own.split_whitespace().nth(1) == Some("syntax") => own.clone(),
            _ => continue,
        };
        found.push(Declaration { key, text: own });
    }
    found
}

/// Whether an input goes on after its last line: a bracket or string is open, or it ends in an operator.
pub fn is_unfinished(text: &str) -> bool {
    let mut sources = SourceMap::default();
    let id = sources.add("input", text);
    match lex(id, text) {
        Err(problems) => problems.iter().any(|problem| matches!(problem.code, "P0006" | "P0007" | "P0010")),
        Ok(tokens) => crate::layout::ends_open(&tokens),
    }
}
