//! What clients and a node say to each other on one machine: frames of a length (four bytes, least first) and canonical bytes.

use qualm_ir::wire::{Reader, WireError, Writer};
use std::io::{self, Read, Write};

/// The version of the protocol; a node refuses others.
pub const VERSION: u64 = 1;
/// Bytes of a frame.
const FRAME_BYTES_MAX: usize = 1 << 28;
/// Bytes of the first frame of a client, of whom nothing is known yet.
pub(crate) const HELLO_BYTES_MAX: usize = 1 << 10;
/// Bytes of one field.
const FIELD_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// What a client says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// First of all: the protocol's version and the token that proves that the node's folder can be read.
    Hello(u64, String),
    /// Run a program.
    Run(Box<Run>),
    /// All fibers.
    List,
    /// One fiber, with its active calls.
    Show(String),
    /// Suspend, resume or kill a fiber.
    Steer(Steer, String),
    /// Save a program to the store while it goes on.
    Snapshot(u64),
    /// Go on with what was saved, as a new program.
    Restore(String, Vec<String>),
    /// Numbers about the node, in the text format of Prometheus.
    Metrics,
    /// Save all programs and end.
    Stop,
    /// Send a fiber the value that the store has under a hash.
    Send(String, String),
    /// Begin a session: a program that runs one input after another. The connection is the session's from now on, and may say what follows.
    Open(Open),
    /// Run an input in the session.
    Evaluate(Box<Evaluate>),
    /// Give up the input that runs.
    Interrupt,
    /// Let the session's program go on without its client.
    Detach,
}

/// A session to begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// What its program is called in lists.
    pub name: String,
    /// Capabilities to grant.
    pub allow: Vec<String>,
    /// Words of memory of each process.
    pub memory_words: Option<u64>,
}

/// An input of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluate {
    /// A binary module; its functions are added to those of the inputs before.
    pub module: Vec<u8>,
    /// The function of this module that runs the input.
    pub function: u32,
    /// How many cells it leaves to the next input.
    pub cells: u32,
    /// Whether it takes as arguments what the last input left.
    pub goes_on: bool,
}

/// A program to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// What it is called in lists.
    pub name: String,
    /// A binary module.
    pub module: Vec<u8>,
    /// What it sees as its arguments.
    pub args: Vec<String>,
    /// Capabilities to grant.
    pub allow: Vec<String>,
    /// Words of memory of each process.
    pub memory_words: Option<u64>,
    /// Function entries.
    pub fuel: Option<u64>,
    /// Whether it goes on when the client leaves.
    pub detach: bool,
}

/// What to do with a fiber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Steer {
    /// It does not run until it may go on.
    Suspend,
    /// It may go on.
    Resume,
    /// It ends.
    Kill,
}

/// What a node says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tell {
    /// The client is who it should be.
    Welcome,
    /// It cannot or may not be.
    Refused(String),
    /// The program runs, and has this number.
    Started(u64),
    /// It wrote this.
    Output(Vec<u8>),
    /// It is over: exit status, message for standard error, value.
    Ended(u8, String, Option<String>),
    /// Rows, the first of which are headings.
    Table(Vec<Vec<String>>),
    /// Text for people.
    Text(String),
    /// An input of a session is over: whether it left something to the next one, message for standard error, value.
    Evaluated(bool, String, Option<String>),
}

fn optional(out: &mut Writer, value: Option<u64>) {
    match value {
        Some(value) => {
            out.byte(1);
            out.unsigned(value);
        }
        None => out.byte(0),
    }
}

fn texts(out: &mut Writer, all: &[String]) {
    out.length(all.len());
    all.iter().for_each(|text| out.bytes(text.as_bytes()));
}

fn read_optional(input: &mut Reader<'_>) -> Result<Option<u64>, WireError> {
    match input.at_most(1, "whether something follows")? {
        0 => Ok(None),
        _ => input.unsigned().map(Some),
    }
}

fn read_text(input: &mut Reader<'_>) -> Result<String, WireError> {
    input.text(FIELD_BYTES_MAX, "a text").map(str::to_owned)
}

fn read_texts(input: &mut Reader<'_>) -> Result<Vec<String>, WireError> {
    let count = input.count(FIELD_BYTES_MAX, "the number of texts")?;
    (0..count).map(|_| read_text(input)).collect()
}

fn read_value(input: &mut Reader<'_>) -> Result<Option<String>, WireError> {
    let mut value = read_texts(input)?;
    if value.len() > 1 {
        return input.error("a program has one value");
    }
    Ok(value.pop())
}

/// Something that is said in one frame.
pub trait Message: Sized {
    /// Its bytes.
    fn encode(&self) -> Vec<u8>;
    /// What bytes say.
    ///
    /// # Errors
    /// If they say nothing.
    fn decode(bytes: &[u8]) -> Result<Self, WireError>;
}

impl Message for Ask {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Hello(version, token) => {
                out.byte(0);
                out.unsigned(*version);
                out.bytes(token.as_bytes());
            }
            Self::Run(run) => {
                out.byte(1);
                out.bytes(run.name.as_bytes());
                out.bytes(&run.module);
                texts(&mut out, &run.args);
                texts(&mut out, &run.allow);
                optional(&mut out, run.memory_words);
                optional(&mut out, run.fuel);
                out.byte(u8::from(run.detach));
            }
            Self::List => out.byte(2),
            Self::Show(fiber) => {
                out.byte(3);
                out.bytes(fiber.as_bytes());
            }
            Self::Steer(steer, fiber) => {
                out.byte(4);
                out.byte(match steer {
                    Steer::Suspend => 0,
                    Steer::Resume => 1,
                    Steer::Kill => 2,
                });
                out.bytes(fiber.as_bytes());
            }
            Self::Snapshot(program) => {
                out.byte(5);
                out.unsigned(*program);
            }
            Self::Restore(hash, allow) => {
                out.byte(6);
                out.bytes(hash.as_bytes());
                texts(&mut out, allow);
            }
            Self::Metrics => out.byte(7),
            Self::Stop => out.byte(8),
            Self::Send(fiber, hash) => {
                out.byte(9);
                out.bytes(fiber.as_bytes());
                out.bytes(hash.as_bytes());
            }
            Self::Open(open) => {
                out.byte(10);
                out.bytes(open.name.as_bytes());
                texts(&mut out, &open.allow);
                optional(&mut out, open.memory_words);
            }
            Self::Evaluate(evaluate) => {
                out.byte(11);
                out.bytes(&evaluate.module);
                out.unsigned(u64::from(evaluate.function));
                out.unsigned(u64::from(evaluate.cells));
                out.byte(u8::from(evaluate.goes_on));
            }
            Self::Interrupt => out.byte(12),
            Self::Detach => out.byte(13),
        }
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        let ask = match input.byte()? {
            0 => Self::Hello(input.unsigned()?, read_text(&mut input)?),
            1 => Self::Run(Box::new(Run {
                name: read_text(&mut input)?,
                module: input.bytes(FIELD_BYTES_MAX, "a module")?.to_vec(),
                args: read_texts(&mut input)?,
                allow: read_texts(&mut input)?,
                memory_words: read_optional(&mut input)?,
                fuel: read_optional(&mut input)?,
                detach: input.at_most(1, "whether to detach")? == 1,
            })),
            2 => Self::List,
            3 => Self::Show(read_text(&mut input)?),
            4 => {
                let steer = match input.at_most(2, "what to do")? {
                    0 => Steer::Suspend,
                    1 => Steer::Resume,
                    _ => Steer::Kill,
                };
                Self::Steer(steer, read_text(&mut input)?)
            }
            5 => Self::Snapshot(input.unsigned()?),
            6 => Self::Restore(read_text(&mut input)?, read_texts(&mut input)?),
            7 => Self::Metrics,
            8 => Self::Stop,
            9 => Self::Send(read_text(&mut input)?, read_text(&mut input)?),
            10 => Self::Open(Open {
                name: read_text(&mut input)?,
                allow: read_texts(&mut input)?,
                memory_words: read_optional(&mut input)?,
            }),
            11 => Self::Evaluate(Box::new(Evaluate {
                module: input.bytes(FIELD_BYTES_MAX, "a module")?.to_vec(),
                function: input.at_most(u32::MAX as usize, "a function")? as u32,
                cells: input.at_most(u32::MAX as usize, "the number of cells")? as u32,
                goes_on: input.at_most(1, "whether it goes on")? == 1,
            })),
            12 => Self::Interrupt,
            13 => Self::Detach,
            other => return input.error(format!("{other} is no request")),
        };
        ended(&input)?;
        Ok(ask)
    }
}

impl Message for Tell {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Welcome => out.byte(0),
            Self::Refused(why) => {
                out.byte(1);
                out.bytes(why.as_bytes());
            }
            Self::Started(number) => {
                out.byte(2);
                out.unsigned(*number);
            }
            Self::Output(bytes) => {
                out.byte(3);
                out.bytes(bytes);
            }
            Self::Ended(status, message, value) => {
                out.byte(4);
                out.byte(*status);
                out.bytes(message.as_bytes());
                texts(&mut out, &value.iter().cloned().collect::<Vec<_>>());
            }
            Self::Table(rows) => {
                out.byte(5);
                out.length(rows.len());
                rows.iter().for_each(|row| texts(&mut out, row));
            }
            Self::Text(text) => {
                out.byte(6);
                out.bytes(text.as_bytes());
            }
            Self::Evaluated(left, message, value) => {
                out.byte(7);
                out.byte(u8::from(*left));
                out.bytes(message.as_bytes());
                texts(&mut out, &value.iter().cloned().collect::<Vec<_>>());
            }
        }
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        let tell = match input.byte()? {
            0 => Self::Welcome,
            1 => Self::Refused(read_text(&mut input)?),
            2 => Self::Started(input.unsigned()?),
            3 => Self::Output(input.bytes(FIELD_BYTES_MAX, "output")?.to_vec()),
            4 => {
                let (status, message) = (input.byte()?, read_text(&mut input)?);
                Self::Ended(status, message, read_value(&mut input)?)
            }
            5 => {
                let count = input.count(FIELD_BYTES_MAX, "the number of rows")?;
                let rows: Result<Vec<_>, _> = (0..count).map(|_| read_texts(&mut input)).collect();
                Self::Table(rows?)
            }
            6 => Self::Text(read_text(&mut input)?),
            7 => {
                let left = input.at_most(1, "whether something is left")? == 1;
                Self::Evaluated(left, read_text(&mut input)?, read_value(&mut input)?)
            }
            other => return input.error(format!("{other} is no answer")),
        };
        ended(&input)?;
        Ok(tell)
    }
}

fn ended(input: &Reader<'_>) -> Result<(), WireError> {
    if input.remaining() > 0 { input.error("the message should end here") } else { Ok(()) }
}

/// Sends a frame.
///
/// # Errors
/// If the other side is gone.
pub fn send(out: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let bytes = message.encode();
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&bytes)?;
    out.flush()
}

/// Receives a frame; nothing at the end.
///
/// # Errors
/// If the other side is gone, or says what nobody understands.
pub fn receive<M: Message>(input: &mut impl Read) -> io::Result<Option<M>> {
    receive_at_most(input, FRAME_BYTES_MAX)
}

/// Receives a frame of at most so many bytes.
pub(crate) fn receive_at_most<M: Message>(input: &mut impl Read, most: usize) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    if length > most {
        return Err(wrong(format!("a message of {length} bytes; at most {most} are allowed here")));
    }
    // Room is made as bytes arrive, not on the word of the length.
    let mut bytes = Vec::new();
    input.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(wrong("the message ends too early".to_owned()));
    }
    M::decode(&bytes).map(Some).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_round() {
        let run = Run {
            name: "n".into(),
            module: vec![1, 2],
            args: vec!["a".into()],
            allow: vec![],
            memory_words: Some(5),
            fuel: None,
            detach: true,
        };
        let asks = [
            Ask::Hello(1, "t".into()),
            Ask::Run(Box::new(run)),
            Ask::List,
            Ask::Show("1/0.0.0".into()),
            Ask::Steer(Steer::Kill, "1/0.0.0".into()),
            Ask::Snapshot(7),
            Ask::Restore("00".into(), vec!["write".into()]),
            Ask::Metrics,
            Ask::Stop,
            Ask::Send("1/0.0.0".into(), "00".into()),
            Ask::Open(Open { name: "repl".into(), allow: vec!["write".into()], memory_words: None }),
            Ask::Evaluate(Box::new(Evaluate { module: vec![3], function: 1, cells: 2, goes_on: true })),
            Ask::Interrupt,
            Ask::Detach,
        ];
        for ask in asks {
            assert_eq!(Ask::decode(&ask.encode()), Ok(ask));
        }
        let tells = [
            Tell::Welcome,
            Tell::Refused("no".into()),
            Tell::Started(3),
            Tell::Output(vec![0, 255]),
            Tell::Ended(1, "m".into(), Some("v".into())),
            Tell::Table(vec![vec!["a".into()], vec![]]),
            Tell::Text("t".into()),
            Tell::Evaluated(true, "m".into(), None),
        ];
        for tell in tells {
            let bytes = tell.encode();
            assert_eq!(Tell::decode(&bytes), Ok(tell));
            for end in 0..bytes.len() {
                assert!(Tell::decode(&bytes[..end]).is_err());
            }
        }
    }
}
