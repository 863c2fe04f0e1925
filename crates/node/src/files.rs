//! Files and directories, anywhere or below granted directories only.
//!
//! A path is made absolute and `.` and `..` are taken out of its text before it is compared with what was granted. What is then opened below a
//! granted directory is opened from that directory (`cap-std`, `openat2` on Linux), so that a symbolic link on the way cannot lead out, not even one
//! that is put there in the meantime.

use crate::capability::Scope;
use crate::system::{FileAsk, Plain, Trouble};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

/// A path without `.` and `..`, from the root.
pub(crate) fn normal(path: &str) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let mut normal = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// Does what a process asks for.
pub(crate) fn answer(ask: FileAsk, path: &str, reach: Option<&[Scope]>) -> Result<Plain, Trouble> {
    let trouble = |error: std::io::Error| Trouble::of(path, &error);
    if path.is_empty() || path.contains('\0') {
        return Err(Trouble::NotFound(path.to_owned()));
    }
    match reach {
        // From the root everything is reached; this is the same code for both.
        None => {
            let whole = std::path::absolute(path).map_err(trouble)?;
            free(ask, &whole).map_err(trouble)
        }
        Some(scopes) => {
            let path = normal(path);
            let scope = scopes.iter().find(|scope| scope.last().is_some_and(|last| path.starts_with(last)));
            let Some(scope) = scope else { return Err(Trouble::Denied(path.to_string_lossy().into_owned())) };
            confined(ask, scope, &path).map_err(trouble)
        }
    }
}

fn free(ask: FileAsk, path: &Path) -> std::io::Result<Plain> {
    Ok(match ask {
        FileAsk::Read(most) => Plain::Text(read_text(std::fs::File::open(path)?, most)?),
        FileAsk::Write(text) => unit(std::fs::write(path, text)?),
        FileAsk::Append(text) => {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
            unit(file.write_all(text.as_bytes())?)
        }
        FileAsk::List => {
            let names: std::io::Result<Vec<_>> =
                std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
            sorted(names?)
        }
        FileAsk::Remove if path.is_dir() && !path.is_symlink() => unit(std::fs::remove_dir(path)?),
        FileAsk::Remove => unit(std::fs::remove_file(path)?),
        FileAsk::MakeDir => unit(std::fs::create_dir_all(path)?),
        FileAsk::Info => {
            let found = std::fs::metadata(path)?;
            Plain::Info(found.len(), found.is_dir())
        }
    })
}

fn confined(ask: FileAsk, scope: &Scope, path: &Path) -> std::io::Result<Plain> {
    let mut at = Path::new(&scope[0]);
    let mut dir = Dir::open_ambient_dir(at, ambient_authority())?;
    for next in &scope[1..] {
        dir = dir.open_dir(Path::new(next).strip_prefix(at).unwrap_or(Path::new(".")))?;
        at = Path::new(next);
    }
    let rest = path.strip_prefix(at).unwrap_or(Path::new(""));
    let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
    Ok(match ask {
        FileAsk::Read(most) => Plain::Text(read_text(dir.open(rest)?, most)?),
        FileAsk::Write(text) => unit(dir.write(rest, text)?),
        FileAsk::Append(text) => {
            let mut file = dir.open_with(rest, OpenOptions::new().append(true).create(true))?;
            unit(file.write_all(text.as_bytes())?)
        }
        FileAsk::List => {
            let names: std::io::Result<Vec<_>> =
                dir.read_dir(rest)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
            sorted(names?)
        }
        FileAsk::Remove if dir.symlink_metadata(rest)?.is_dir() => unit(dir.remove_dir(rest)?),
        FileAsk::Remove => unit(dir.remove_file(rest)?),
        FileAsk::MakeDir => unit(dir.create_dir_all(rest)?),
        FileAsk::Info => {
            let found = dir.metadata(rest)?;
            Plain::Info(found.len(), found.is_dir())
        }
    })
}

/// The text of a file, unless it is longer than it may be; devices have no end.
fn read_text(file: impl Read, most: usize) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let message = format!("it has more than the {most} bytes that the process may use");
        return Err(Error::new(ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::InvalidData, format!("byte {at} is not UTF-8"))
    })
}

fn unit((): ()) -> Plain {
    Plain::Unit
}

fn sorted(mut names: Vec<String>) -> Plain {
    names.sort();
    Plain::Texts(names)
}
