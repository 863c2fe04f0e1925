//! A whole program: the main file, the files it uses, the prelude.

use crate::infer::{Inferred, infer};
use crate::layout::layout;
use crate::lexer::lex;
use crate::lower::{File, lower};
use crate::names::{Names, resolve};
use crate::parser::macros::Macro;
use crate::parser::scope::{Declared, Scope};
use crate::parser::{Loader, Parser, Result, Shared};
use crate::prelude;
use crate::standard;
use crate::tree::{Expr, ExprKind};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::module::Module;
use qualm_ir::source::{SourceId, SourceMap, Span};
use std::rc::Rc;
use std::sync::Arc;

/// Where module files come from.
pub trait Files {
    /// The path and text of the file that `from`, a path given by the caller or by this trait, reaches by these names, and how many of
    /// them that took; nothing if there is no such file.
    fn find(&mut self, from: &str, names: &[Arc<str>]) -> Option<(String, String, usize)>;
}

/// No module files at all.
#[derive(Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn find(&mut self, _from: &str, _names: &[Arc<str>]) -> Option<(String, String, usize)> {
        None
    }
}

/// The outcome of a compilation.
#[derive(Debug)]
pub struct Compiled {
    /// Every file that was read; the prelude is the first.
    pub sources: SourceMap,
    /// The module, not yet verified, or what is wrong.
    pub module: std::result::Result<Module, Vec<Diagnostic>>,
}

/// What static checks found.
#[derive(Debug)]
pub struct Checked {
    /// Every file that was read; the prelude is the first.
    pub sources: SourceMap,
    /// Types and what is wrong with them, or why the program does not compile.
    pub inferred: std::result::Result<Inferred, Vec<Diagnostic>>,
}

/// Compiles a program.
///
/// Deeply nested text uses native stack in proportion to its nesting, which the parser limits; give the calling thread 256 MiB.
pub fn compile(path: &str, text: &str, files: &mut dyn Files) -> Compiled {
    compile_with(path, text, files, Lowering::default())
}

/// How a program becomes code; what it does is the same.
#[derive(Clone, Copy, Default, Debug)]
pub struct Lowering {
    /// Calls in tail position of functions named `test_…` keep a frame, so that traces show the last line of a test too.
    pub test_frames: bool,
    /// No numbers in typed registers: what every other way of compiling is compared with.
    pub boxed: bool,
}

/// As [`compile`], with a choice.
pub fn compile_with(path: &str, text: &str, files: &mut dyn Files, lowering: Lowering) -> Compiled {
    let mut sources = SourceMap::default();
    let front = Front::read(&mut sources, path, text, files);
    let module = front.and_then(|front| lower(&front, &sources, lowering));
    Compiled { sources, module }
}

/// Compiles a program and infers its types; needs as much native stack as [`compile`].
pub fn check(path: &str, text: &str, files: &mut dyn Files) -> Checked {
    let mut sources = SourceMap::default();
    let inferred = Front::read(&mut sources, path, text, files).and_then(|front| {
        lower(&front, &sources, Lowering::default())?;
        Ok(infer(&front.names, &front.files, &front.main))
    });
    Checked { sources, inferred }
}

/// A program whose names have meanings.
pub(crate) struct Front {
    pub(crate) names: Names,
    pub(crate) prelude: File,
    pub(crate) files: Vec<File>,
    pub(crate) main: File,
}

impl Front {
    fn read(
        sources: &mut SourceMap,
        path: &str,
        text: &str,
        files: &mut dyn Files,
    ) -> std::result::Result<Self, Vec<Diagnostic>> {
        let mut names = Names::default();
        let prelude_id = sources.add("prelude", prelude::SOURCE);
        let mut program = Program::new(sources, files);
        let (prelude, _) = program.parse(prelude_id, true).map_err(|error| vec![error])?;
        resolve(&mut names, &prelude.statements, prelude.function, false, true)?;

        let main_id = program.sources.add(path, text);
        program.open.push(path.to_owned());
        let parsed_main = program.parse(main_id, false);
        let mut problems = program.shared.take_problems();
        let (main, _) = match parsed_main {
            Ok(main) if problems.is_empty() => main,
            outcome => {
                problems.extend(outcome.err());
                problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span));
                return Err(problems);
            }
        };
        let loaded = std::mem::take(&mut program.loaded);
        let mut front = Self::resolved(names, prelude, loaded, main, &mut program.shared)?;
        front.names.finish();
        Ok(front)
    }

    /// Gives the names of parsed files a meaning; captures are still to be computed.
    pub(crate) fn resolved(
        mut names: Names,
        prelude: File,
        loaded: Vec<Loaded>,
        main: File,
        shared: &mut Shared,
    ) -> std::result::Result<Self, Vec<Diagnostic>> {
        let mut parsed: Vec<File> = Vec::new();
        for file in loaded {
            let holder = shared.name();
            names.add_file(&Arc::from(file.path.as_str()), main.function, holder, file.file.function);
            parsed.push(file.file);
        }
        let mut errors = Vec::new();
        for (file, is_module) in parsed.iter().map(|file| (file, true)).chain([(&main, false)]) {
            let found = resolve(&mut names, &file.statements, file.function, is_module, false);
            errors.extend(found.err().into_iter().flatten());
        }
        if !errors.is_empty() {
            errors.sort_by_key(|error| error.labels.first().map(|label| label.span));
            return Err(errors);
        }
        Ok(Self { names, prelude, files: parsed, main })
    }
}

pub(crate) struct Loaded {
    path: String,
    file: File,
    /// What it declares at its top level.
    scope: Scope,
}

/// The files of a program while they are read.
pub(crate) struct Program<'a> {
    pub(crate) sources: &'a mut SourceMap,
    files: &'a mut dyn Files,
    pub(crate) shared: Shared,
    pub(crate) loaded: Vec<Loaded>,
    /// Files being parsed, outermost first.
    pub(crate) open: Vec<String>,
}

impl<'a> Program<'a> {
    pub(crate) fn new(sources: &'a mut SourceMap, files: &'a mut dyn Files) -> Self {
        Program { sources, files, shared: Shared::default(), loaded: Vec::new(), open: Vec::new() }
    }

    /// A file and what its top level declares.
    pub(crate) fn parse(&mut self, source: SourceId, trusted: bool) -> Result<(File, Scope)> {
        let function = self.shared.function();
        let mut scopes = vec![Scope::default()];
        let statements = self.parse_in(source, trusted, &mut scopes)?;
        Ok((File { statements, function }, scopes.swap_remove(0)))
    }

    /// The statements of a file, in scopes that are open already.
    pub(crate) fn parse_in(&mut self, source: SourceId, trusted: bool, scopes: &mut Vec<Scope>) -> Result<Vec<Expr>> {
        let text = self.sources.get(source).map(|source| source.text.clone()).unwrap_or_default();
        let tokens = match lex(source, &text) {
            Ok(tokens) => layout(tokens)?,
            Err(mut problems) => {
                let last = problems.pop().expect("it failed for a reason");
                self.shared.add_problems(problems);
                return Err(last);
            }
        };
        let mut shared = std::mem::take(&mut self.shared);
        let parsed = Parser::file(&tokens, source, text.len() as u32, &mut shared, self, scopes, trusted);
        // A nested file took numbers from what the parsers share, which the parser gave back before it asked.
        self.shared = shared;
        parsed
    }
}

impl Loader for Program<'_> {
    fn load(&mut self, path: &[Arc<str>], span: Span, shared: &mut Shared) -> Result<(usize, usize)> {
        let from = self.open.last().cloned().unwrap_or_default();
        let file = if standard::is_standard(&from) { None } else { self.files.find(&from, path) };
        let own = || standard::text(&path[0]).map(|text| (standard::path(&path[0]), text.to_owned(), 1));
        let Some((found, text, used)) = file.or_else(own) else {
            let name = path.iter().map(|name| &**name).collect::<Vec<_>>().join("::");
            return Err(Diagnostic::syntax("P0060", span, format!("no module `{name}`")));
        };
        if self.open.contains(&found) {
            let cycle = self.open.iter().skip_while(|open| **open != found).cloned().collect::<Vec<_>>().join(" uses ");
            return Err(Diagnostic::syntax("P0061", span, format!("modules use each other: {cycle} uses {found}")));
        }
        if let Some(at) = self.loaded.iter().position(|loaded| loaded.path == found) {
            return Ok((at, used));
        }
        let source = self.sources.add(found.as_str(), text);
        self.open.push(found.clone());
        std::mem::swap(&mut self.shared, shared);
        let parsed = self.parse(source, false);
        std::mem::swap(&mut self.shared, shared);
        self.open.pop();
        let (file, scope) = parsed?;
        self.loaded.push(Loaded { path: found, file, scope });
        Ok((self.loaded.len() - 1, used))
    }

    fn exports(&self, file: usize) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let statements: &[Expr] = self.loaded.get(file).map_or(&[], |loaded| &loaded.file.statements);
        for statement in statements {
            let mut add = |name: &crate::tree::Name| {
                if name.mark == 0 && seen.insert(name.text.clone()) {
                    names.push(name.text.clone());
                }
            };
            match &statement.kind {
                ExprKind::Assign { pattern, .. } => pattern.for_each_binder(&mut add),
                ExprKind::Use(used) => {
                    for pattern in used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole) {
                        pattern.for_each_binder(&mut add);
                    }
                }
                _ => {}
            }
        }
        names
    }

    fn label(&self, name: &str) -> Option<Declared> {
        self.loaded.iter().rev().find_map(|loaded| loaded.scope.labels.get(name).copied())
    }

    fn macros(&self, file: usize) -> Vec<Rc<Macro>> {
        self.loaded.get(file).map_or(Vec::new(), |loaded| loaded.scope.macros.clone())
    }
}
