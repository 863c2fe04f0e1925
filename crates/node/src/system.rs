//! What the outside world is asked, and what it says: plain data that can cross threads, made of values and made into values.

use qualm_vm::heap::Heap;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;

/// A request that leaves the core.
#[derive(Debug)]
pub enum Ask {
    /// The next line of standard input.
    ReadLine,
    /// A variable of the environment.
    Env(String),
    /// A file's text.
    ReadFile(String),
    /// The path and the new text of a file.
    WriteFile(String, String),
    /// The names in a directory.
    ListDir(String),
}

/// What the world says.
#[derive(Debug)]
pub enum Answer {
    /// A string, or none: as an option.
    MaybeText(Option<String>),
    /// How an operation that may fail went.
    Result(Result<Plain, Trouble>),
}

/// A value of the world.
#[derive(Debug)]
pub enum Plain {
    /// `()`
    Unit,
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
}

/// Why an operation failed.
#[derive(Debug)]
pub enum Trouble {
    /// What was named is not there.
    NotFound(String),
    /// It may not be done.
    Denied(String),
    /// Anything else, in words.
    Failed(String),
}

impl Trouble {
    /// What an error of the operating system means for what was named.
    pub fn of(what: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound(what.to_owned()),
            std::io::ErrorKind::PermissionDenied => Self::Denied(what.to_owned()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Answer {
    /// The answer as a value of a heap.
    pub(crate) fn value(self, heap: &mut Heap) -> Value {
        match self {
            Self::MaybeText(text) => {
                let text = text.map(|text| heap.text(&text));
                option(heap, text)
            }
            Self::Result(Ok(plain)) => {
                let value = plain.value(heap);
                heap.label(Known::Ok.number(), value)
            }
            Self::Result(Err(trouble)) => {
                let (kind, text) = match trouble {
                    Trouble::NotFound(text) => (Known::NotFound, text),
                    Trouble::Denied(text) => (Known::Denied, text),
                    Trouble::Failed(text) => (Known::Failed, text),
                };
                let inner = error(heap, kind, &text);
                heap.label(Known::Error.number(), inner)
            }
        }
    }
}

impl Plain {
    fn value(self, heap: &mut Heap) -> Value {
        match self {
            Self::Unit => Value::UNIT,
            Self::Text(text) => heap.text(&text),
            Self::Texts(texts) => {
                let items: Vec<Value> = texts.iter().map(|text| heap.text(text)).collect();
                heap.list(&items)
            }
        }
    }
}

/// `Some` value or `None`.
pub(crate) fn option(heap: &mut Heap, value: Option<Value>) -> Value {
    match value {
        Some(value) => heap.label(Known::Some.number(), value),
        None => Value::symbol(Known::None.number()),
    }
}

/// An error value: a label and a message.
pub(crate) fn error(heap: &mut Heap, kind: Known, message: &str) -> Value {
    let text = heap.text(message);
    heap.label(kind.number(), text)
}

/// The error value for an argument of the wrong kind.
pub(crate) fn wrong(heap: &mut Heap, what: &str, value: Value) -> Value {
    let message = format!("{what}, found {}", heap.repr(value));
    error(heap, Known::Type, &message)
}
