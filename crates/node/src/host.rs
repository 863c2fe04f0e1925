//! The outside world of a program: streams, environment, files. Everything here may block.

use crate::system::{Answer, Ask, Plain, Trouble};
use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

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

/// The streams of a program.
#[derive(Debug)]
pub struct Host {
    output: Mutex<Vec<u8>>,
    line_by_line: bool,
    streams: Streams,
}

impl Host {
    /// A host whose streams lead there.
    pub fn new(streams: Streams) -> Self {
        let line_by_line = streams == Streams::Process && std::io::stdout().is_terminal();
        Self { output: Mutex::new(Vec::new()), line_by_line, streams }
    }

    /// What was written and kept.
    pub fn kept(&self) -> String {
        let buffer = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if self.streams == Streams::Kept { String::from_utf8_lossy(&buffer).into_owned() } else { String::new() }
    }

    /// Writes what is buffered.
    pub fn flush(&self) {
        if self.streams == Streams::Process {
            let mut buffer = self.output.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Takes output.
    pub fn write(&self, text: &[u8]) {
        let mut buffer = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if self.streams == Streams::Kept {
            let room = KEPT_BYTES_MAX.saturating_sub(buffer.len());
            buffer.extend_from_slice(&text[..text.len().min(room)]);
            return;
        }
        buffer.extend_from_slice(text);
        if buffer.len() >= OUTPUT_BUFFER_BYTES || (self.line_by_line && text.contains(&b'\n')) {
            Self::write_out(&mut buffer);
        }
    }

    /// Answers a request.
    pub fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::ReadLine => Answer::MaybeText(self.read_line()),
            Ask::Env(name) => {
                let known = !name.is_empty() && !name.contains(['=', '\0']);
                Answer::MaybeText(if known { std::env::var(name).ok() } else { None })
            }
            Ask::ReadFile(path) => result(&path, std::fs::read_to_string(&path).map(Plain::Text)),
            Ask::WriteFile(path, text) => result(&path, std::fs::write(&path, text).map(|()| Plain::Unit)),
            Ask::ListDir(path) => result(&path, list_dir(&path).map(Plain::Texts)),
        }
    }

    fn read_line(&self) -> Option<String> {
        if self.streams == Streams::Kept {
            return None;
        }
        self.flush();
        let mut line = Vec::new();
        let read = std::io::stdin().lock().read_until(b'\n', &mut line).unwrap_or(0);
        if read == 0 {
            return None;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}

fn list_dir(path: &str) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn result(path: &str, outcome: std::io::Result<Plain>) -> Answer {
    Answer::Result(outcome.map_err(|error| Trouble::of(path, &error)))
}
