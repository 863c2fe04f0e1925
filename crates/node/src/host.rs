//! The streams of a program.

use std::fmt;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Output that is not yet written is at most this many bytes.
const OUTPUT_BUFFER_BYTES: usize = 1 << 16;

/// Output that is kept instead of written is cut after this many bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Takes output as it comes.
#[derive(Clone)]
pub struct Sink(pub Arc<Take>);

/// Takes bytes.
pub type Take = dyn Fn(&[u8]) + Send + Sync;

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// Where the streams of a program lead.
#[derive(Clone, Default, Debug)]
pub enum Streams {
    /// To those of the operating system's process.
    #[default]
    Process,
    /// Output is kept for the report, at most a MiB of it; there is no input.
    Kept,
    /// Output goes there, that for standard error too; there is no input.
    To(Sink),
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
        let line_by_line = matches!(streams, Streams::Process) && std::io::stdout().is_terminal();
        Self { output: Mutex::new(Vec::new()), line_by_line, streams }
    }

    /// What was written and kept.
    pub fn kept(&self) -> String {
        let buffer = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.streams, Streams::Kept) {
            String::from_utf8_lossy(&buffer).into_owned()
        } else {
            String::new()
        }
    }

    /// Writes what is buffered.
    pub fn flush(&self) {
        if matches!(self.streams, Streams::Process) {
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
        if let Streams::To(Sink(sink)) = &self.streams {
            return sink(text);
        }
        let mut buffer = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.streams, Streams::Kept) {
            let room = KEPT_BYTES_MAX.saturating_sub(buffer.len());
            buffer.extend_from_slice(&text[..text.len().min(room)]);
            return;
        }
        buffer.extend_from_slice(text);
        if buffer.len() >= OUTPUT_BUFFER_BYTES || (self.line_by_line && text.contains(&b'\n')) {
            Self::write_out(&mut buffer);
        }
    }

    /// Takes what is for standard error; output before it is written first.
    pub fn write_error(&self, text: &str) {
        if !matches!(self.streams, Streams::Process) {
            return self.write(text.as_bytes());
        }
        self.flush();
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// The next line of standard input, nothing at its end; blocks.
    ///
    /// # Errors
    /// If it is longer than so many bytes; what follows is read as the next line.
    pub fn read_line(&self, most: usize) -> Result<Option<String>, String> {
        if !matches!(self.streams, Streams::Process) {
            return Ok(None);
        }
        self.flush();
        let mut line = Vec::new();
        let read = std::io::stdin().lock().take(most as u64).read_until(b'\n', &mut line).unwrap_or(0);
        if read == 0 {
            return Ok(None);
        }
        if read == most && line.last() != Some(&b'\n') {
            return Err(format!("a line of more than the {most} bytes that the process may use"));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}
