//! Where a node listens, and how a client proves that it may speak to it.

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a node listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A socket file.
    Unix(PathBuf),
    /// `HOST:PORT`
    Tcp(String),
}

impl Address {
    /// A path if it has a `/`, else host and port.
    pub fn parse(text: &str) -> Self {
        if text.contains('/') { Self::Unix(PathBuf::from(text)) } else { Self::Tcp(text.to_owned()) }
    }

    /// The socket file of a node with its store in a folder.
    pub fn of_store(folder: &Path) -> Self {
        Self::Unix(folder.join("node.sock"))
    }

    /// Connects to it.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn connect(&self) -> io::Result<Connection> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).map(Connection::Unix),
            Self::Tcp(address) => TcpStream::connect(address).map(Connection::Tcp),
        }
    }

    pub(crate) fn listen(&self) -> io::Result<Listener> {
        match self {
            Self::Unix(path) => {
                // A file that a killed node left behind is in the way; the store's lock tells that it does not run.
                let _ = std::fs::remove_file(path);
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
                Ok(Listener::Unix(listener))
            }
            Self::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Connection::Unix(stream)),
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Connection::Tcp(stream)),
        }
    }
}

/// A connection between a client and a node.
#[derive(Debug)]
pub enum Connection {
    /// Over a socket file.
    Unix(UnixStream),
    /// Over TCP.
    Tcp(TcpStream),
}

impl Connection {
    /// Another handle of the same connection.
    ///
    /// # Errors
    /// If the operating system has no more.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// How long a read waits for the other side; for ever if nothing.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(patience),
            Self::Tcp(stream) => stream.set_read_timeout(patience),
        }
    }

    /// Ends it for both handles.
    pub fn close(&self) {
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(std::net::Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Both),
        };
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(buffer),
            Self::Tcp(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
        }
    }
}

/// The file with the token; whoever may read it may speak to the node.
pub fn token_file(folder: &Path) -> PathBuf {
    folder.join("node.token")
}

/// Makes a new token, which only the owner of the folder can read.
pub(crate) fn new_token(folder: &Path) -> io::Result<String> {
    let mut random = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token = blake3::hash(&random).to_hex().to_string();
    let path = token_file(folder);
    let _ = std::fs::remove_file(&path);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(token.as_bytes())?;
    Ok(token)
}
