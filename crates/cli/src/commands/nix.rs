//! `qualm nix`: the Nix expression language.

use super::complain;
use crate::status;
use clap::{Args, Subcommand};
use qualm_nix::Context;
use qualm_nix::parser::parse;
use qualm_nix::print::print;
use qualm_nix::scope::check;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What `qualm nix` does.
#[derive(Subcommand, Debug)]
pub enum NixCommand {
    /// Print an expression as it is understood: all parentheses, sets merged and sorted (`nix-instantiate --parse`)
    Parse(ParseArgs),
}

/// Arguments of `qualm nix parse`.
#[derive(Args, Debug)]
pub struct ParseArgs {
    /// The file, or `-` for standard input
    file: Option<PathBuf>,
    /// An expression instead of a file
    #[arg(short = 'E', long, value_name = "TEXT", conflicts_with = "file")]
    expr: Option<String>,
    /// Language features that are not settled yet: pipe-operators
    #[arg(long, value_name = "LIST", value_delimiter = ' ')]
    extra_experimental_features: Vec<String>,
}

/// `qualm nix`
pub fn nix(command: NixCommand) -> u8 {
    match command {
        NixCommand::Parse(args) => parse_source(&args),
    }
}

/// The source, what messages call it, and the folder of its relative paths.
fn source(args: &ParseArgs) -> Result<(Vec<u8>, String, PathBuf), String> {
    let here = std::env::current_dir().map_err(|error| format!("the current folder: {error}"))?;
    if let Some(expr) = &args.expr {
        return Ok((expr.clone().into_bytes(), "«string»".to_owned(), here));
    }
    match args.file.as_deref().filter(|file| *file != Path::new("-")) {
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
            Ok((bytes, "«stdin»".to_owned(), here))
        }
        Some(file) => {
            let file = here.join(file);
            let file = if file.is_dir() { file.join("default.nix") } else { file };
            let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
            Ok((bytes, file.display().to_string(), folder))
        }
    }
}

fn parse_source(args: &ParseArgs) -> u8 {
    let (source, origin, folder) = match source(args) {
        Ok(source) => source,
        Err(problem) => {
            complain(&format!("error: {problem}\n"));
            return status::UNCAUGHT;
        }
    };
    let context = Context {
        origin,
        folder: folder.into_os_string().into_vec(),
        home: std::env::var_os("HOME").map(OsStringExt::into_vec),
        pipe_operators: args.extra_experimental_features.iter().any(|feature| feature == "pipe-operators"),
    };
    let parsed = parse(&source, &context).and_then(|(tree, root)| check(&tree, root).map(|()| (tree, root)));
    match parsed {
        Ok((tree, root)) => {
            let mut text = print(&tree, root);
            text.push(b'\n');
            let _ = std::io::stdout().lock().write_all(&text);
            status::OK
        }
        Err(problem) => {
            complain(&problem.render(&source, &context.origin));
            status::UNCAUGHT
        }
    }
}
