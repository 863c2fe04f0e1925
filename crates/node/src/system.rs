//! What the outside world is asked, and what it says: plain data that can cross threads, made of values and made into values.

use crate::capability::Scope;
use crate::ids::ProcessId;
use qualm_ir::wire::WireError;
use qualm_vm::code::Program;
use qualm_vm::heap::Heap;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::snapshot::Decoder;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;

/// A request that leaves the core. What the process may reach was checked, but for paths, which only the file system can follow.
#[derive(Debug)]
pub enum Ask {
    /// The next line of standard input.
    ReadLine(usize),
    /// Writes to standard error.
    WriteError(String),
    /// A variable of the environment.
    Env(String),
    /// Does something with what is at a path, below these directories (nothing: anywhere).
    File(FileAsk, String, Option<Vec<Scope>>),
    /// Keeps the bytes of a value.
    Store(Vec<u8>),
    /// The bytes that were kept under a hash.
    Load(String),
    /// Keeps the bytes of a process.
    Checkpoint(Vec<u8>),
    /// The bytes of a process that were kept under a hash.
    Respawn(String),
    /// Sends an HTTP request and waits for the response.
    Http(HttpRequest),
    /// Accepts HTTP requests at an address.
    HttpListen(String),
    /// The next HTTP request of a server.
    HttpAccept(i64),
    /// Answers an HTTP request.
    HttpAnswer(i64, HttpResponse),
    /// Accepts connections at an address.
    TcpListen(String),
    /// The next connection of a listener.
    TcpAccept(i64),
    /// Connects to an address.
    TcpConnect(String),
    /// What arrives on a connection next, at most so many bytes of it.
    TcpRead(i64, usize),
    /// Writes to a connection.
    TcpWrite(i64, String),
    /// The address of a listener or server.
    Address(i64),
    /// Closes what a handle stands for.
    Close(i64),
    /// Makes another process the owner of what a handle stands for: it is closed when its owner ends.
    Give(i64, ProcessId),
}

/// What to do with a file or directory.
#[derive(Debug)]
pub enum FileAsk {
    /// Its text, of at most so many bytes.
    Read(usize),
    /// Gives it a text.
    Write(String),
    /// Puts text at its end.
    Append(String),
    /// The names in it.
    List,
    /// Removes it; a directory must be empty.
    Remove,
    /// Makes a directory, and those above it.
    MakeDir,
    /// Size and kind.
    Info,
}

/// An HTTP request, of a program or to one.
#[derive(Debug)]
pub struct HttpRequest {
    /// Who answers it; 0 for one that a program sends.
    pub handle: i64,
    /// `GET`, `POST`, ...
    pub method: String,
    /// The whole URL, or path and query of a request to a program.
    pub url: String,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: String,
}

/// An HTTP response.
#[derive(Debug)]
pub struct HttpResponse {
    /// 200, 404, ...
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: String,
}

/// What the world says.
#[derive(Debug)]
pub enum Answer {
    /// `()`
    Unit,
    /// A string.
    Text(String),
    /// The bytes of a value, or none; the core makes a value of them.
    Stored(Option<Vec<u8>>),
    /// The bytes of a process that were kept, if they were.
    Process(Option<Vec<u8>>),
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
    /// A handle.
    Handle(i64),
    /// Bytes, and whether it is a directory.
    Info(u64, bool),
    /// A request to a program.
    Request(HttpRequest),
    /// A response to a program.
    Response(HttpResponse),
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
            Self::Unit | Self::Stored(_) | Self::Process(_) => Value::UNIT,
            Self::Text(text) => heap.text(&text),
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
            Self::Handle(handle) => heap.int(handle),
            Self::Info(size, is_dir) => {
                let size = heap.int(i64::try_from(size).unwrap_or(i64::MAX));
                record(heap, &[("is_dir", Value::bool(is_dir)), ("size", size)])
            }
            Self::Request(request) => {
                let [method, url, body] = [request.method, request.url, request.body].map(|text| heap.text(&text));
                let headers = headers_value(heap, &request.headers);
                let handle = heap.int(request.handle);
                let fields =
                    [("body", body), ("handle", handle), ("headers", headers), ("method", method), ("url", url)];
                record(heap, &fields)
            }
            Self::Response(response) => {
                let body = heap.text(&response.body);
                let headers = headers_value(heap, &response.headers);
                let status = heap.int(i64::from(response.status));
                record(heap, &[("body", body), ("headers", headers), ("status", status)])
            }
        }
    }
}

/// A record. Its names are symbols of every program that can ask for it.
fn record(heap: &mut Heap, fields: &[(&str, Value)]) -> Value {
    let statics = heap.statics().clone();
    let fields = fields.iter().filter_map(|(name, value)| Some((statics.find_symbol(name)?, *value)));
    heap.record(fields.collect())
}

fn headers_value(heap: &mut Heap, headers: &[(String, String)]) -> Value {
    let pairs: Vec<Value> = headers
        .iter()
        .map(|(name, value)| {
            let pair = [heap.text(name), heap.text(value)];
            heap.tuple(&pair)
        })
        .collect();
    heap.list(&pairs)
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

/// The value whose canonical bytes a program stored; what it needs of functions and labels must be this program's. Processes in it are nobody.
///
/// # Errors
/// If the bytes are none, or of another program.
pub(crate) fn stored(bytes: &[u8], program: &Program) -> Result<Parcel, WireError> {
    let mut input = Decoder::new(bytes, program, |_| Some(u64::MAX >> 8))?;
    let parcel = input.parcel()?;
    input.finish()?;
    Ok(parcel)
}
