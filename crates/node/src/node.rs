//! A long-running node: programs of several clients side by side, which survive a restart of the node.
//!
//! Each program runs on threads of its own, under the capabilities it was given. When the node is told to stop it saves all programs to its store
//! (`program/NUMBER`: what it was given, its state, its code) and goes on with them, under the same numbers, when it starts again. A name goes when
//! its program ends, so a node that is killed goes on with what was saved last.

mod fibers;
mod metrics;
mod programs;
mod saved;
mod session;

use crate::address::{Address, Connection, new_token};
use crate::driver::lock;
use crate::protocol::{Ask, HELLO_BYTES_MAX, Tell, VERSION, receive, receive_at_most, send};
use crate::scheduler::Stats;
use programs::Hosted;
use qualm_store::Store;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a client may take to say who it is.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// Calls whose innermost name is shown.
type Hide = fn(&str) -> bool;

/// How a node runs.
#[derive(Debug)]
pub struct NodeOptions {
    /// The folder of its store.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: Address,
    /// Where its numbers can be read over HTTP, as Prometheus does it.
    pub metrics: Option<String>,
    /// How often it saves its programs while they run; never if nothing.
    pub checkpoint: Option<Duration>,
    /// Threads for each program.
    pub workers: usize,
    /// Which sources are not the user's.
    pub hide: Hide,
}

struct Node {
    options: NodeOptions,
    store: Arc<Store>,
    token: String,
    programs: Mutex<Programs>,
    /// What programs that are over did.
    past: Mutex<Stats>,
    stopping: AtomicBool,
    began: Instant,
}

/// The programs that run, and the highest number one has had.
#[derive(Default)]
struct Programs {
    last: u64,
    running: BTreeMap<u64, Arc<Hosted>>,
}

/// Runs a node until a client tells it to stop. `ready` is called once it listens, with lines for people.
///
/// # Errors
/// If its store cannot be opened or nobody can listen there.
pub fn serve(options: NodeOptions, ready: impl FnOnce(&str)) -> Result<(), String> {
    let store = Arc::new(Store::open(&options.folder).map_err(|error| error.to_string())?);
    let token = new_token(&options.folder).map_err(|error| format!("{}: {error}", options.folder.display()))?;
    let listener = options.listen.listen().map_err(|error| format!("{}: {error}", options.listen))?;
    let node = Arc::new(Node {
        options,
        store,
        token,
        programs: Mutex::default(),
        past: Mutex::default(),
        stopping: AtomicBool::new(false),
        began: Instant::now(),
    });
    if let Some(address) = &node.options.metrics {
        let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
        let node = node.clone();
        std::thread::spawn(move || node.tell_metrics(&listener));
    }
    let (restored, troubles) = node.restore_all();
    let troubles: String = troubles.iter().map(|trouble| format!("\n{trouble}")).collect();
    ready(&format!("listening at {}, {restored} programs restored{troubles}", node.options.listen));
    if let Some(pause) = node.options.checkpoint {
        let node = node.clone();
        std::thread::spawn(move || node.save_regularly(pause));
    }
    loop {
        let Ok(connection) = listener.accept() else { continue };
        if node.stopping.load(Ordering::Acquire) {
            break;
        }
        let node = node.clone();
        std::thread::spawn(move || node.attend(connection));
    }
    if let Address::Unix(path) = &node.options.listen {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

impl Node {
    /// Serves a client until it leaves.
    fn attend(self: &Arc<Self>, mut connection: Connection) {
        let _ = connection.set_patience(Some(HELLO_PATIENCE));
        let hello = receive_at_most::<Ask>(&mut connection, HELLO_BYTES_MAX);
        let answer = match hello {
            Ok(Some(Ask::Hello(VERSION, token)))
                if blake3::hash(token.as_bytes()) == blake3::hash(self.token.as_bytes()) =>
            {
                Tell::Welcome
            }
            Ok(Some(Ask::Hello(VERSION, _))) => {
                Tell::Refused("the token is not that of this node; is this another user's, or an old one?".to_owned())
            }
            Ok(Some(Ask::Hello(version, _))) => {
                Tell::Refused(format!("the node speaks version {VERSION} of the protocol, the client {version}"))
            }
            _ => return,
        };
        let welcome = answer == Tell::Welcome;
        if send(&mut connection, &answer).is_err() || !welcome {
            return;
        }
        let _ = connection.set_patience(None);
        while let Ok(Some(ask)) = receive::<Ask>(&mut connection) {
            let told = match ask {
                Ask::Run(run) => match self.run(*run, &mut connection) {
                    Ok(()) => continue,
                    Err(why) => Err(why),
                },
                Ask::Hello(..) => Err("the client has said hello already".to_owned()),
                Ask::List => Ok(Tell::Table(self.list())),
                Ask::Show(fiber) => self.show(&fiber),
                Ask::Steer(steer, fiber) => self.steer(steer, &fiber),
                Ask::Snapshot(program) => self.snapshot(program),
                Ask::Restore(hash, allow) => self.restore(&hash, allow),
                Ask::Send(fiber, hash) => self.send(&fiber, &hash),
                Ask::Open(open) => match self.converse(open, &mut connection) {
                    Ok(()) => return,
                    Err(why) => Err(why),
                },
                Ask::Evaluate(_) | Ask::Interrupt | Ask::Detach => Err("this connection has no session".to_owned()),
                Ask::Metrics => Ok(Tell::Text(self.metrics())),
                Ask::Stop => {
                    let told = self.stop();
                    let _ = send(&mut connection, &told);
                    // The loop that accepts looks whether it should end when someone comes.
                    let _ = self.options.listen.connect();
                    return;
                }
            };
            let told = told.unwrap_or_else(Tell::Refused);
            if send(&mut connection, &told).is_err() {
                return;
            }
        }
    }

    fn hosted(&self, number: u64) -> Result<Arc<Hosted>, String> {
        lock(&self.programs).running.get(&number).cloned().ok_or_else(|| format!("no program has the number {number}"))
    }

    fn all(&self) -> Vec<(u64, Arc<Hosted>)> {
        lock(&self.programs).running.iter().map(|(number, hosted)| (*number, hosted.clone())).collect()
    }
}
