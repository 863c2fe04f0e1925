//! A long-running node: programs of several clients side by side, which survive a restart of the node.
//!
//! Each program runs on threads of its own, under the capabilities it was given. When the node is told to stop it saves all programs to its store
//! (`program/NUMBER`: what it was given, its state, its code) and goes on with them when it starts again.

use crate::address::{Address, Connection, new_token};
use crate::capability::Capabilities;
use crate::core::inspect::{Info, Inspect};
use crate::driver::lock;
use crate::host::{Sink, Streams};
use crate::ids::ProcessId;
use crate::protocol::{Ask, Run, Steer, Tell, VERSION, receive, send};
use crate::scheduler::{End, Options, Report, Running, Stats};
use crate::trace::{innermost, trace_text};
use qualm_ir::binary;
use qualm_ir::verify::verify;
use qualm_ir::wire::{Reader, WireError, Writer};
use qualm_store::{Hash, Kind, Store};
use qualm_vm::code::Program;
use qualm_vm::fiber::Limits;
use qualm_vm::load::load_with;
use qualm_vm::snapshot::Decoder;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Columns of a list of fibers.
const COLUMNS: &[&str] = &["FIBER", "PROGRAM", "STATE", "MESSAGES", "KIB", "ENTRIES", "AT"];
/// Fibers in a list, at most.
const LISTED_MAX: usize = 10_000;
/// How long a reader of numbers may take, and how much it may ask.
const METRICS_PATIENCE: Duration = Duration::from_secs(2);
const METRICS_REQUEST_MAX: u64 = 1 << 14;
/// What names of saved programs begin with.
const SAVED: &str = "program/";
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
    /// Threads for each program.
    pub workers: usize,
    /// Which sources are not the user's.
    pub hide: Hide,
}

struct Hosted {
    name: String,
    program: Arc<Program>,
    running: Running,
    given: Given,
    /// Where its output goes.
    output: Arc<Mutex<Output>>,
}

/// What a program was given; needed to go on with it.
#[derive(Clone)]
struct Given {
    allow: Vec<String>,
    memory_words: usize,
}

#[derive(Default)]
struct Output {
    client: Option<Connection>,
    log: Option<std::fs::File>,
}

impl Output {
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
}

struct Node {
    options: NodeOptions,
    store: Arc<Store>,
    token: String,
    programs: Mutex<(u64, BTreeMap<u64, Arc<Hosted>>)>,
    /// What programs that are over did.
    past: Mutex<Stats>,
    stopping: AtomicBool,
    began: Instant,
}

/// Runs a node until a client tells it to stop. `ready` is called once it listens, with a line for people.
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
    let restored = node.restore_all();
    ready(&format!("listening at {}, {restored} programs restored", node.options.listen));
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
    // ---- clients

    fn attend(self: &Arc<Self>, mut connection: Connection) {
        let hello = receive::<Ask>(&mut connection);
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

    // ---- programs

    fn run(self: &Arc<Self>, run: Run, connection: &mut Connection) -> Result<(), String> {
        let module = binary::decode(&run.module).map_err(|error| format!("the module: {error}"))?;
        let module = verify(module).map_err(|errors| errors[0].to_string())?;
        if module.get().entry.is_none() {
            return Err("the module has no entry to run".to_owned());
        }
        let program = Arc::new(load_with(module, &[]));
        let words = run.memory_words.map_or(Limits::default().memory_words, |words| words as usize);
        let given = Given { allow: run.allow, memory_words: words };
        let client = connection.try_clone().map_err(|error| error.to_string())?;
        let attached = (!run.detach).then_some(client);
        let hosted = self.host(run.name, program, None, given, run.args, run.fuel, |number| {
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

    #[expect(clippy::too_many_arguments, reason = "a program is given many things")]
    fn host(
        self: &Arc<Self>,
        name: String,
        program: Arc<Program>,
        state: Option<&[u8]>,
        given: Given,
        args: Vec<String>,
        fuel: Option<u64>,
        started: impl FnOnce(u64) -> Option<Connection>,
    ) -> Result<Arc<Hosted>, String> {
        let mut capabilities = Capabilities::none();
        for name in &given.allow {
            capabilities.grant(name)?;
        }
        let number = {
            let mut programs = lock(&self.programs);
            programs.0 += 1;
            programs.0
        };
        let output = Arc::new(Mutex::new(Output::default()));
        {
            let mut output = lock(&output);
            let logs = self.options.folder.join("logs");
            let _ = std::fs::create_dir_all(&logs);
            output.log = std::fs::File::create(logs.join(format!("{number}.log"))).ok();
            output.client = started(number);
        }
        let sink = output.clone();
        let options = Options {
            workers: self.options.workers,
            fuel,
            limits: Limits { memory_words: given.memory_words },
            capabilities,
            args,
            store: Some(self.store.clone()),
            streams: Streams::To(Sink(Arc::new(move |bytes: &[u8]| lock(&sink).write(bytes)))),
            ..Options::default()
        };
        let running = Running::start(&program, state, options).map_err(|error| format!("the state: {error}"))?;
        let hosted = Arc::new(Hosted { name, program, running, given, output });
        lock(&self.programs).1.insert(number, hosted.clone());
        let (node, watched) = (self.clone(), hosted.clone());
        std::thread::spawn(move || node.watch(number, &watched));
        Ok(hosted)
    }

    /// Waits for the end of a program, and tells its client.
    fn watch(&self, number: u64, hosted: &Hosted) {
        let Some(report) = hosted.running.wait() else { return };
        lock(&self.past).add(&report.stats);
        if self.stopping.load(Ordering::Acquire) {
            return;
        }
        lock(&self.programs).1.remove(&number);
        let _ = self.store.unname(&format!("{SAVED}{number}"));
        let (status, message, value) = self.describe(hosted, &report);
        let mut output = lock(&hosted.output);
        match &mut output.client {
            Some(client) => {
                let _ = send(client, &Tell::Ended(status, message, value));
                client.close();
            }
            None => output.write(message.as_bytes()),
        }
    }

    /// Exit status, message, value.
    fn describe(&self, hosted: &Hosted, report: &Report) -> (u8, String, Option<String>) {
        match &report.end {
            End::Value(value) => (0, String::new(), Some(value.clone())),
            End::Error { message, trace, left_out, .. } => {
                let calls = trace_text(hosted.program.module(), trace, *left_out, &self.options.hide);
                let status = if message.starts_with("Denied error") { 3 } else { 1 };
                (status, format!("Trace, latest call last:\n{calls}{message}\n"), None)
            }
            End::OutOfFuel => (3, "stopped: the fuel is used up\n".to_owned(), None),
            End::OutOfMemory => (3, "stopped: the program needs more memory than it may use\n".to_owned(), None),
            End::Stopped => (3, "stopped\n".to_owned(), None),
        }
    }

    fn hosted(&self, number: u64) -> Result<Arc<Hosted>, String> {
        lock(&self.programs).1.get(&number).cloned().ok_or_else(|| format!("no program has the number {number}"))
    }

    fn all(&self) -> Vec<(u64, Arc<Hosted>)> {
        lock(&self.programs).1.iter().map(|(number, hosted)| (*number, hosted.clone())).collect()
    }

    // ---- fibers

    /// The program and process of `PROGRAM/FIBER`; of `PROGRAM` the main one.
    fn fiber(&self, text: &str) -> Result<(Arc<Hosted>, ProcessId), String> {
        let (program, fiber) = text.split_once('/').unwrap_or((text, "0.0.0"));
        match (program.parse(), ProcessId::parse(fiber)) {
            (Ok(number), Some(id)) => Ok((self.hosted(number)?, id)),
            _ => Err(format!("`{text}` is no fiber: PROGRAM/FIBER as `qualm fibers ls` shows them")),
        }
    }

    fn row(&self, number: u64, hosted: &Hosted, info: &Info) -> Vec<String> {
        vec![
            format!("{number}/{}", info.id),
            hosted.name.clone(),
            info.state.clone(),
            info.messages.to_string(),
            info.words.div_ceil(128).to_string(),
            info.fuel.to_string(),
            innermost(hosted.program.module(), &info.trace.0, &self.options.hide),
        ]
    }

    fn list(&self) -> Vec<Vec<String>> {
        let mut rows = vec![COLUMNS.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>()];
        for (number, hosted) in self.all() {
            let mut infos = hosted.running.inspect(Inspect::List);
            infos.sort_by_key(|info| info.id);
            let room = LISTED_MAX.saturating_sub(rows.len());
            rows.extend(infos.iter().take(room).map(|info| self.row(number, &hosted, info)));
        }
        rows
    }

    fn show(&self, fiber: &str) -> Result<Tell, String> {
        let (hosted, id) = self.fiber(fiber)?;
        let found =
            hosted.running.inspect(Inspect::Show(id)).pop().ok_or_else(|| format!("there is no fiber {fiber}"))?;
        let calls = trace_text(hosted.program.module(), &found.trace.0, found.trace.1, &self.options.hide);
        Ok(Tell::Text(format!(
            "fiber     {fiber}\nprogram   {}\nparent    {}\nstate     {}\nmessages  {}\nmemory    {} bytes\nentries   {}\ncalls, latest last:\n{calls}",
            hosted.name,
            found.parent,
            found.state,
            found.messages,
            found.words * 8,
            found.fuel,
        )))
    }

    fn steer(&self, steer: Steer, fiber: &str) -> Result<Tell, String> {
        let (hosted, id) = self.fiber(fiber)?;
        let (what, done) = match steer {
            Steer::Suspend => (Inspect::Suspend(id), "suspended"),
            Steer::Resume => (Inspect::Resume(id), "goes on"),
            Steer::Kill => (Inspect::Kill(id), "killed"),
        };
        match hosted.running.inspect(what).is_empty() {
            true => Err(format!("there is no fiber {fiber}")),
            false => Ok(Tell::Text(format!("{fiber} {done}\n"))),
        }
    }

    // ---- the store

    fn snapshot(&self, number: u64) -> Result<Tell, String> {
        let hosted = self.hosted(number)?;
        let state = hosted.running.save(false).ok_or_else(|| format!("program {number} is over"))?;
        let hash = self.keep(&hosted, &state, None)?;
        Ok(Tell::Text(format!("{hash}\n")))
    }

    /// Puts a state into the store; gives the hash of what can be restored.
    fn keep(&self, hosted: &Hosted, state: &[u8], name: Option<&str>) -> Result<Hash, String> {
        let keep = || {
            let code = self.store.put_code(hosted.program.module(), None)?.hash;
            let state = self.store.put(Kind::State, state, &[code], None)?.hash;
            let manifest = write_manifest(hosted, state, code);
            let hash = self.store.put(Kind::Value, &manifest, &[state, code], name)?.hash;
            if name.is_none() {
                self.store.pin(hash, true)?;
            }
            Ok(hash)
        };
        keep().map_err(|error: qualm_store::StoreError| error.to_string())
    }

    fn restore(self: &Arc<Self>, hash: &str, allow: Vec<String>) -> Result<Tell, String> {
        let hash: Hash = hash.parse()?;
        let number = self.go_on(hash, Some(allow))?;
        Ok(Tell::Started(number))
    }

    fn go_on(self: &Arc<Self>, hash: Hash, allow: Option<Vec<String>>) -> Result<u64, String> {
        let get = |hash: Hash| match self.store.get(hash) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(format!("{hash} is not in the store")),
            Err(error) => Err(error.to_string()),
        };
        let manifest = get(hash)?;
        let (name, mut given, state, code) =
            read_manifest(&manifest).map_err(|error| format!("{hash} is no saved program: {error}"))?;
        if let Some(allow) = allow {
            given.allow = allow;
        }
        let state = get(state)?;
        let module = binary::decode(&get(code)?).map_err(|error| error.to_string())?;
        let module = verify(module).map_err(|errors| errors[0].to_string())?;
        let symbols = Decoder::symbols(&state).map_err(|error| error.to_string())?;
        let program = Arc::new(load_with(module, &symbols));
        let mut number = 0;
        self.host(name, program, Some(&state), given, Vec::new(), None, |given| {
            number = given;
            None
        })?;
        Ok(number)
    }

    fn restore_all(self: &Arc<Self>) -> usize {
        let names = self.store.names().unwrap_or_default();
        let mut restored = 0;
        for (name, hash) in names.into_iter().filter(|(name, _)| name.starts_with(SAVED)) {
            // Its number may be another one now; it is saved under that when the node stops.
            if self.go_on(hash, None).is_ok() {
                restored += 1;
            }
            let _ = self.store.unname(&name);
        }
        restored
    }

    fn stop(&self) -> Tell {
        self.stopping.store(true, Ordering::Release);
        let mut saved = 0;
        for (number, hosted) in self.all() {
            let attached = lock(&hosted.output).client.is_some();
            match hosted.running.save(true) {
                // A client that waits for its program would wait for ever.
                Some(_) if attached => {
                    if let Some(client) = &mut lock(&hosted.output).client {
                        let _ = send(client, &Tell::Ended(3, "stopped: the node stops\n".to_owned(), None));
                        client.close();
                    }
                }
                Some(state) => {
                    saved += u64::from(self.keep(&hosted, &state, Some(&format!("{SAVED}{number}"))).is_ok());
                }
                None => {}
            }
        }
        let _ = self.store.collect();
        Tell::Text(format!("{saved} programs saved\n"))
    }

    // ---- numbers

    /// Answers every HTTP request with the numbers; one at a time is enough for who looks every few seconds.
    fn tell_metrics(&self, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(METRICS_PATIENCE));
            let _ = stream.set_write_timeout(Some(METRICS_PATIENCE));
            let mut lines = BufReader::new(Read::take(&stream, METRICS_REQUEST_MAX)).lines();
            let whole = lines.any(|line| !line.is_ok_and(|line| !line.is_empty()));
            let text = self.metrics();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            );
            if whole {
                let _ = (&stream).write_all((head + &text).as_bytes());
            }
        }
    }

    fn metrics(&self) -> String {
        let programs = self.all();
        let (mut fibers, mut messages, mut words) = (0, 0, 0);
        let mut entries = lock(&self.past).fuel;
        for (_, hosted) in &programs {
            for info in hosted.running.inspect(Inspect::List) {
                fibers += 1;
                messages += info.messages;
                words += info.words;
                entries += info.fuel;
            }
        }
        let resident = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let resident = resident.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096;
        let gauges = [
            ("qualm_uptime_seconds", "gauge", "Seconds since the node started.", self.began.elapsed().as_secs()),
            ("qualm_programs", "gauge", "Programs that run.", programs.len() as u64),
            ("qualm_fibers", "gauge", "Fibers of all programs.", fibers),
            ("qualm_messages", "gauge", "Messages that wait in mailboxes.", messages as u64),
            ("qualm_fiber_bytes", "gauge", "Bytes of frames and objects of all fibers.", words as u64 * 8),
            (
                "qualm_function_entries_total",
                "counter",
                "Function entries of fibers that live and of programs that are over.",
                entries,
            ),
            ("process_resident_memory_bytes", "gauge", "Memory of the node as the system counts it.", resident),
        ];
        let lines = gauges
            .iter()
            .map(|(name, kind, help, value)| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"));
        lines.collect()
    }
}

fn write_manifest(hosted: &Hosted, state: Hash, code: Hash) -> Vec<u8> {
    let mut out = Writer::default();
    out.unsigned(1);
    out.bytes(hosted.name.as_bytes());
    out.length(hosted.given.allow.len());
    hosted.given.allow.iter().for_each(|name| out.bytes(name.as_bytes()));
    out.unsigned(hosted.given.memory_words as u64);
    out.raw(&state.0);
    out.raw(&code.0);
    out.into_bytes()
}

fn read_manifest(bytes: &[u8]) -> Result<(String, Given, Hash, Hash), WireError> {
    const TEXT_MAX: usize = 1 << 20;
    let mut input = Reader::new(bytes);
    if input.unsigned()? != 1 {
        return input.error("another version");
    }
    let name = input.text(TEXT_MAX, "a name")?.to_owned();
    let count = input.count(TEXT_MAX, "the number of capabilities")?;
    let allow: Result<Vec<_>, _> =
        (0..count).map(|_| input.text(TEXT_MAX, "a capability").map(str::to_owned)).collect();
    let memory_words = input.at_most(usize::MAX >> 1, "memory")?;
    let mut hash = || input.raw(32).map(|raw| Hash(raw.try_into().expect("32 bytes were read")));
    let (state, code) = (hash()?, hash()?);
    if input.remaining() > 0 {
        return input.error("more follows");
    }
    Ok((name, Given { allow: allow?, memory_words }, state, code))
}
