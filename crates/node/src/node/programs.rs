//! Programs side by side: how they begin, where their output goes, how they end.

use super::Node;
use super::saved::saved_name;
use crate::address::Connection;
use crate::capability::Capabilities;
use crate::driver::lock;
use crate::ending::Ending;
use crate::host::{Sink, Streams};
use crate::protocol::{Ask, Run, Tell, receive, send};
use crate::scheduler::{End, Options, Running};
use qualm_ir::binary;
use qualm_ir::module::Module;
use qualm_ir::verify::{Verified, verify};
use qualm_vm::code::Program;
use qualm_vm::fiber::Limits;
use qualm_vm::load::load_with;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A program that runs.
pub(super) struct Hosted {
    pub(super) name: String,
    /// What it runs; that of a session grows.
    pub(super) program: Mutex<Arc<Program>>,
    pub(super) running: Running,
    pub(super) given: Given,
    /// Where its output goes.
    pub(super) output: Arc<Mutex<Output>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

/// What a program was given; needed to go on with it.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) allow: Vec<String>,
    pub(super) memory_words: usize,
}

impl Given {
    /// These capabilities, and so much memory for each process, or the usual amount.
    pub(super) fn new(allow: Vec<String>, memory_words: Option<u64>) -> Self {
        let usual = Limits::default().memory_words;
        Self { allow, memory_words: memory_words.map_or(usual, |words| words as usize) }
    }
}

/// How a program begins, or goes on.
pub(super) struct Beginning<'s> {
    pub(super) name: String,
    pub(super) program: Arc<Program>,
    pub(super) state: Option<&'s [u8]>,
    pub(super) given: Given,
    pub(super) args: Vec<String>,
    pub(super) fuel: Option<u64>,
    /// The number it had; nothing for a new one.
    pub(super) number: Option<u64>,
    /// Whether it waits for inputs.
    pub(super) session: bool,
}

impl Beginning<'_> {
    /// A new program that is given nothing else.
    pub(super) fn new(name: String, module: Verified<Module>, given: Given) -> Self {
        let program = Arc::new(load_with(module, &[]));
        Self { name, program, state: None, given, args: Vec::new(), fuel: None, number: None, session: false }
    }
}

/// Where the output of a program goes: to a client as long as it listens, else to a file.
#[derive(Default)]
pub(super) struct Output {
    client: Option<Connection>,
    log: Option<File>,
}

impl Output {
    pub(super) fn is_attached(&self) -> bool {
        self.client.is_some()
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(client) = &mut self.client
            && send(client, &Tell::Output(bytes.to_vec())).is_err()
        {
            self.client = None;
        }
        if self.client.is_none()
            && let Some(log) = &mut self.log
        {
            let _ = log.write_all(bytes);
        }
    }

    /// What it writes from now on is not for a client.
    pub(super) fn detach(&mut self) {
        self.client = None;
    }

    /// Tells the client, if there is one, that the program is over.
    pub(super) fn end(&mut self, ending: Ending) {
        match &mut self.client {
            Some(client) => {
                let _ = send(client, &Tell::Ended(ending.status, ending.message, ending.value));
                client.close();
            }
            None => self.write(ending.message.as_bytes()),
        }
    }
}

impl Hosted {
    pub(super) fn program(&self) -> Arc<Program> {
        lock(&self.program).clone()
    }

    /// Tells the client something, if there is one.
    pub(super) fn tell(&self, tell: &Tell) {
        if let Some(client) = &mut lock(&self.output).client {
            let _ = send(client, tell);
        }
    }

    /// Waits until everything that its end leads to is done.
    pub(super) fn settle(&self) {
        let watcher = lock(&self.watcher).take();
        if let Some(watcher) = watcher {
            let _ = watcher.join();
        }
    }
}

/// The verified module that bytes say.
pub(super) fn decode_module(bytes: &[u8]) -> Result<Verified<Module>, String> {
    let module = binary::decode(bytes).map_err(|error| format!("the module: {error}"))?;
    verify(module).map_err(|errors| errors[0].to_string())
}

impl Node {
    /// Runs a program for a client; if it waits for the end, until then.
    pub(super) fn run(self: &Arc<Self>, run: Run, connection: &mut Connection) -> Result<(), String> {
        let module = decode_module(&run.module)?;
        if module.get().entry.is_none() {
            return Err("the module has no entry to run".to_owned());
        }
        let given = Given::new(run.allow, run.memory_words);
        let beginning = Beginning { args: run.args, fuel: run.fuel, ..Beginning::new(run.name, module, given) };
        let client = connection.try_clone().map_err(|error| error.to_string())?;
        let attached = (!run.detach).then_some(client);
        let (_, hosted) = self.host(beginning, |number| {
            let _ = send(connection, &Tell::Started(number));
            attached
        })?;
        if run.detach {
            return Ok(());
        }
        // A client that waits says nothing; when it leaves, its program ends.
        if !matches!(receive::<Ask>(connection), Ok(Some(_))) {
            hosted.running.stop();
        }
        Err("a client whose program runs waits for its end".to_owned())
    }

    /// Starts a program. `started` is told its number before it writes anything, and says whose it is.
    pub(super) fn host(
        self: &Arc<Self>,
        beginning: Beginning<'_>,
        started: impl FnOnce(u64) -> Option<Connection>,
    ) -> Result<(u64, Arc<Hosted>), String> {
        let Beginning { name, program, state, given, args, fuel, number: had, session } = beginning;
        let mut capabilities = Capabilities::none();
        for name in &given.allow {
            capabilities.grant(name)?;
        }
        let number = had.unwrap_or_else(|| {
            let mut programs = lock(&self.programs);
            programs.last += 1;
            programs.last
        });
        let output = Arc::new(Mutex::new(Output::default()));
        // Taken until the program is in the table: what it writes meanwhile waits.
        let mut held = lock(&output);
        let sink = output.clone();
        let options = Options {
            workers: self.options.workers,
            fuel,
            limits: Limits { memory_words: given.memory_words },
            capabilities,
            args,
            session,
            store: Some(self.store.clone()),
            streams: Streams::To(Sink(Arc::new(move |bytes: &[u8]| lock(&sink).write(bytes)))),
            ..Options::default()
        };
        let running = Running::start(&program, state, options).map_err(|error| format!("the state: {error}"))?;
        held.log = self.log(number, had.is_some()).ok();
        held.client = started(number);
        let (program, output) = (Mutex::new(program), output.clone());
        let hosted = Arc::new(Hosted { name, program, running, given, output, watcher: Mutex::default() });
        lock(&self.programs).running.insert(number, hosted.clone());
        let (node, watched) = (self.clone(), hosted.clone());
        *lock(&hosted.watcher) = Some(std::thread::spawn(move || node.watch(number, &watched)));
        drop(held);
        Ok((number, hosted))
    }

    /// The file with what a program writes when nobody listens; one that goes on goes on with its file.
    fn log(&self, number: u64, goes_on: bool) -> std::io::Result<File> {
        let folder: PathBuf = self.options.folder.join("logs");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{number}.log"));
        if goes_on { File::options().append(true).create(true).open(path) } else { File::create(path) }
    }

    /// Waits for the end of a program, and tells its client.
    fn watch(&self, number: u64, hosted: &Hosted) {
        let Some(report) = hosted.running.wait() else { return };
        lock(&self.past).add(&report.stats);
        if self.stopping.load(Ordering::Acquire) && matches!(report.end, End::Stopped) {
            return;
        }
        lock(&self.programs).running.remove(&number);
        let _ = self.store.unname(&saved_name(number));
        let ending = Ending::of(hosted.program().module(), report.end, &self.options.hide);
        lock(&hosted.output).end(ending);
    }
}
