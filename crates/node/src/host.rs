//! The outside world of a program: streams, clock, randomness, environment, files.

use qualm_vm::heap::Heap;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Output that is not yet written is at most this many bytes.
const OUTPUT_BUFFER_BYTES: usize = 1 << 16;

/// Output that is kept instead of written is cut after this many bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Where the streams of a program lead.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Streams {
    /// To those of the operating system's process.
    #[default]
    Process,
    /// Output is kept for the report, at most a MiB of it; there is no input.
    Kept,
}

/// The streams and arguments of a program.
#[derive(Debug)]
pub struct Host {
    args: Vec<String>,
    output: Mutex<Vec<u8>>,
    line_by_line: bool,
    streams: Streams,
}

/// What an answer is: a value, or an error to raise.
pub type Answer = Result<Value, Value>;

impl Host {
    /// A host for a program with these arguments.
    pub fn new(args: Vec<String>, streams: Streams) -> Self {
        let line_by_line = streams == Streams::Process && std::io::stdout().is_terminal();
        Self { args, output: Mutex::new(Vec::new()), line_by_line, streams }
    }

    /// What was written and kept.
    pub fn kept(&self) -> String {
        let buffer = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.streams == Streams::Kept { String::from_utf8_lossy(&buffer).into_owned() } else { String::new() }
    }

    /// Writes what is buffered.
    pub fn flush(&self) {
        if self.streams == Streams::Process {
            let mut buffer = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Self::write_out(&mut buffer);
        }
    }

    /// A reader that went away (a closed pipe) ends the program quietly, as it does for other tools.
    fn write_out(buffer: &mut Vec<u8>) {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(buffer).and_then(|()| stdout.flush());
        buffer.clear();
        if written.is_err() {
            std::process::exit(0);
        }
    }

    fn write(&self, text: &str) {
        let mut buffer = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.streams == Streams::Kept {
            let room = KEPT_BYTES_MAX.saturating_sub(buffer.len());
            buffer.extend_from_slice(&text.as_bytes()[..text.len().min(room)]);
            return;
        }
        buffer.extend_from_slice(text.as_bytes());
        if buffer.len() >= OUTPUT_BUFFER_BYTES || (self.line_by_line && text.contains('\n')) {
            Self::write_out(&mut buffer);
        }
    }

    /// Answers a request of the outside world; nothing if it is none.
    pub fn answer(&self, heap: &mut Heap, request: &str, payload: Value) -> Option<Answer> {
        Some(match request {
            "Write" => match heap.as_text(payload) {
                Some(text) => {
                    self.write(text);
                    Ok(Value::UNIT)
                }
                None => Err(wrong(heap, "Write needs a String", payload)),
            },
            "ReadLine" => Ok(self.read_line(heap)),
            "Clock" => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
                Ok(heap.int(now as i64))
            }
            "Random" => random(heap, payload),
            "Args" => {
                let args: Vec<Value> = self.args.iter().map(|arg| heap.text(arg)).collect();
                Ok(heap.list(&args))
            }
            "Env" => match heap.as_text(payload).map(str::to_owned) {
                Some(name) => {
                    let found =
                        if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var(name).ok() };
                    let found = found.map(|found| heap.text(&found));
                    Ok(option(heap, found))
                }
                None => Err(wrong(heap, "Env needs a String", payload)),
            },
            "ReadFile" => match path(heap, payload) {
                Some(path) => {
                    let read = std::fs::read_to_string(&path).map(|text| heap.text(&text));
                    Ok(result(heap, &path, read))
                }
                None => Err(wrong(heap, "ReadFile needs a path", payload)),
            },
            "WriteFile" => match heap.fields_of_tuple(payload).as_deref() {
                Some([first, second]) => match (path(heap, *first), heap.as_text(*second).map(str::to_owned)) {
                    (Some(path), Some(text)) => {
                        let written = std::fs::write(&path, text).map(|()| Value::UNIT);
                        Ok(result(heap, &path, written))
                    }
                    _ => Err(wrong(heap, "WriteFile needs a path and a String", payload)),
                },
                _ => Err(wrong(heap, "WriteFile needs a path and a String", payload)),
            },
            "ListDir" => match path(heap, payload) {
                Some(path) => {
                    let listed = list_dir(heap, &path);
                    Ok(result(heap, &path, listed))
                }
                None => Err(wrong(heap, "ListDir needs a path", payload)),
            },
            _ => return None,
        })
    }

    fn read_line(&self, heap: &mut Heap) -> Value {
        if self.streams == Streams::Kept {
            return option(heap, None);
        }
        self.flush();
        let mut line = Vec::new();
        let read = std::io::stdin().lock().read_until(b'\n', &mut line).unwrap_or(0);
        if read == 0 {
            return option(heap, None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        let text = heap.text(&String::from_utf8_lossy(&line));
        option(heap, Some(text))
    }
}

fn path(heap: &Heap, value: Value) -> Option<String> {
    heap.as_text(value).map(str::to_owned)
}

fn list_dir(heap: &mut Heap, path: &str) -> std::io::Result<Value> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let items: Vec<Value> = names.iter().map(|name| heap.text(name)).collect();
    Ok(heap.list(&items))
}

fn random(heap: &mut Heap, payload: Value) -> Answer {
    if payload == Value::UNIT {
        return Ok(heap.float(fastrand::f64()));
    }
    match heap.as_int(payload) {
        Some(bound) if bound > 0 => Ok(heap.int(fastrand::i64(0..bound))),
        Some(_) => Err(error(heap, Known::Domain, "Random needs a bound of at least 1")),
        None => Err(wrong(heap, "Random needs an Integer", payload)),
    }
}

/// `Some` value or `None`.
pub(crate) fn option(heap: &mut Heap, value: Option<Value>) -> Value {
    match value {
        Some(value) => heap.label(Known::Some.number(), value),
        None => Value::symbol(Known::None.number()),
    }
}

/// `Ok` value, or `Error` of what the file system said.
fn result(heap: &mut Heap, path: &str, outcome: std::io::Result<Value>) -> Value {
    match outcome {
        Ok(value) => heap.label(Known::Ok.number(), value),
        Err(failure) => {
            let (kind, text) = match failure.kind() {
                std::io::ErrorKind::NotFound => (Known::NotFound, path.to_owned()),
                std::io::ErrorKind::PermissionDenied => (Known::Denied, path.to_owned()),
                _ => (Known::Failed, failure.to_string()),
            };
            let inner = error(heap, kind, &text);
            heap.label(Known::Error.number(), inner)
        }
    }
}

/// An error value: a label and a message.
pub(crate) fn error(heap: &mut Heap, kind: Known, message: &str) -> Value {
    let text = heap.text(message);
    heap.label(kind.number(), text)
}

pub(crate) fn wrong(heap: &mut Heap, what: &str, value: Value) -> Value {
    let message = format!("{what}, found {}", heap.repr(value));
    error(heap, Known::Type, &message)
}
