//! The outside world: what can be answered at once is; what waits for a disk, a terminal or a socket waits on threads of its own (tokio), so that no
//! core does.

use crate::files;
use crate::host::Host;
use crate::ids::ProcessId;
use crate::net::{Handles, send_request};
use crate::scheduler::Options;
use crate::system::{Answer, Ask, Plain, Trouble};
use qualm_store::{Kind, Store};
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio::task::AbortHandle;

/// Threads that wait for disks and terminals.
const BLOCKING_THREADS_MAX: usize = 64;

/// How an answer goes back to who asked. Nothing: no request waits any more, so whoever has nothing to do should look again whether anything can
/// still happen.
pub(crate) type Deliver = Arc<dyn Fn(Option<(ProcessId, u32, Answer)>) + Send + Sync>;

/// The world of one program.
pub(crate) struct World {
    pub(crate) host: Arc<Host>,
    handles: Arc<Handles>,
    deliver: Deliver,
    runtime: Mutex<Option<Runtime>>,
    waiting: Arc<Waiting>,
    values: Values,
}

/// Where values are kept by hash.
#[derive(Clone)]
pub(crate) enum Values {
    /// As long as the program runs.
    Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>),
    /// In a store.
    Store(Arc<Store>),
}

impl Values {
    /// Keeps bytes; gives their hash.
    fn put(&self, bytes: Vec<u8>) -> Result<String, Trouble> {
        match self {
            Self::Memory(values) => {
                let hash = blake3::hash(&bytes).to_hex().to_string();
                values.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.clone(), bytes);
                Ok(hash)
            }
            Self::Store(store) => {
                let kept = store.put(Kind::Value, &bytes, &[], None).and_then(|written| {
                    store.pin(written.hash, true)?;
                    Ok(written.hash)
                });
                kept.map(|hash| hash.to_string()).map_err(|error| Trouble::Failed(error.to_string()))
            }
        }
    }

    fn get(&self, hash: &str) -> Option<Vec<u8>> {
        match self {
            Self::Memory(values) => values.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned(),
            Self::Store(store) => hash.parse().ok().and_then(|hash| store.get(hash).ok().flatten()),
        }
    }
}

/// Requests that are not yet answered.
#[derive(Default)]
struct Waiting {
    count: AtomicUsize,
    tasks: Mutex<BTreeMap<(ProcessId, u32), AbortHandle>>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(ProcessId, u32), AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// So many are answered; whether they were the last.
    fn less(&self, by: usize) -> bool {
        by > 0 && self.count.fetch_sub(by, Ordering::AcqRel) == by
    }
}

impl World {
    pub(crate) fn new(options: &Options, deliver: Deliver) -> Self {
        let memory = || Values::Memory(Arc::new(Mutex::new(options.values.clone())));
        Self {
            host: Arc::new(Host::new(options.streams.clone())),
            handles: Arc::default(),
            deliver,
            runtime: Mutex::new(None),
            waiting: Arc::default(),
            values: options.store.clone().map_or_else(memory, Values::Store),
        }
    }

    /// Requests that wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.count.load(Ordering::Acquire)
    }

    /// A process ended: nobody waits for what it asked, and what it holds is closed.
    pub(crate) fn gone(&self, id: ProcessId) {
        let mut tasks = self.waiting.lock();
        let waits: Vec<_> = tasks.range((id, 0)..=(id, u32::MAX)).map(|(wait, _)| *wait).collect();
        for wait in waits.iter().filter_map(|wait| tasks.remove(wait)) {
            wait.abort();
        }
        drop(tasks);
        if self.waiting.less(waits.len()) {
            (self.deliver)(None);
        }
        self.handles.close_all(id);
    }

    /// Answers at once, or later through the function that delivers. `alone`: nobody else could do anything in the meantime, or order matters more.
    pub(crate) fn ask(&self, id: ProcessId, token: u32, ask: Ask, alone: bool) -> Option<Answer> {
        let handles = self.handles.clone();
        let result = |outcome| Some(Answer::Result(outcome));
        match ask {
            Ask::Env(name) => {
                let known = !name.is_empty() && !name.contains(['=', '\0']);
                Some(Answer::MaybeText(if known { std::env::var(name).ok() } else { None }))
            }
            Ask::WriteError(text) => {
                self.host.write_error(&text);
                Some(Answer::Unit)
            }
            Ask::ReadLine(most) => {
                let host = self.host.clone();
                self.blocking(id, token, alone, move || match host.read_line(most) {
                    Ok(line) => Answer::MaybeText(line),
                    Err(why) => Answer::Result(Err(Trouble::Failed(why))),
                })
            }
            Ask::File(what, path, reach) => {
                self.blocking(id, token, alone, move || Answer::Result(files::answer(what, &path, reach.as_deref())))
            }
            Ask::Store(bytes) => self.keep(id, token, alone, bytes, Answer::Text),
            Ask::Checkpoint(bytes) => self.keep(id, token, alone, bytes, |hash| Answer::MaybeText(Some(hash))),
            Ask::Load(hash) => Some(Answer::Stored(self.values.get(&hash))),
            Ask::Respawn(hash) => Some(Answer::Process(self.values.get(&hash))),
            Ask::Http(request) => self.blocking(id, token, false, move || Answer::Result(send_request(request))),
            Ask::HttpAnswer(handle, response) => result(handles.answer(handle, response)),
            Ask::Address(handle) => result(handles.address(handle)),
            Ask::Give(handle, to) => result(handles.give(handle, to)),
            Ask::Close(handle) => {
                handles.close(handle);
                result(Ok(Plain::Unit))
            }
            Ask::HttpAccept(handle) => {
                match handles.next_request_now(id, handle) {
                    Some(request) => result(Ok(request)),
                    None => self.later(id, token, async move {
                        handles.while_open(handle, handles.next_request(id, handle)).await
                    }),
                }
            }
            Ask::HttpListen(address) => self.later(id, token, async move { handles.serve(id, &address).await }),
            Ask::TcpListen(address) => self.later(id, token, async move { handles.listen(id, &address).await }),
            Ask::TcpConnect(address) => self.later(id, token, async move { handles.connect(id, &address).await }),
            Ask::TcpAccept(handle) => {
                self.later(id, token, async move { handles.while_open(handle, handles.accept(id, handle)).await })
            }
            Ask::TcpRead(handle, most) => {
                self.later(id, token, async move { handles.while_open(handle, handles.read(handle, most)).await })
            }
            Ask::TcpWrite(handle, text) => {
                self.later(id, token, async move { handles.while_open(handle, handles.write(handle, &text)).await })
            }
        }
    }

    fn keep(
        &self,
        id: ProcessId,
        token: u32,
        alone: bool,
        bytes: Vec<u8>,
        answer: impl FnOnce(String) -> Answer + Send + 'static,
    ) -> Option<Answer> {
        let values = self.values.clone();
        let keep = move || values.put(bytes).map_or_else(|trouble| Answer::Result(Err(trouble)), answer);
        match &self.values {
            Values::Memory(_) => Some(keep()),
            Values::Store(_) => self.blocking(id, token, alone, keep),
        }
    }

    /// The threads of the world; made when they are first needed.
    fn runtime(&self) -> Handle {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let made = runtime.get_or_insert_with(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .max_blocking_threads(BLOCKING_THREADS_MAX)
                .thread_name("world")
                .enable_all()
                .build()
                .expect("the operating system gives a thread")
        });
        made.handle().clone()
    }

    fn blocking(
        &self,
        id: ProcessId,
        token: u32,
        alone: bool,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> Option<Answer> {
        if alone {
            return Some(work());
        }
        let interrupted = || Answer::Result(Err(Trouble::Failed("interrupted".to_owned())));
        let task = tokio::task::spawn_blocking;
        let runtime = self.runtime();
        let _inside = runtime.enter();
        let work = task(work);
        self.spawn(&runtime, id, token, async move { work.await.unwrap_or_else(|_| interrupted()) });
        None
    }

    fn later(
        &self,
        id: ProcessId,
        token: u32,
        work: impl Future<Output = Result<Plain, Trouble>> + Send + 'static,
    ) -> Option<Answer> {
        self.spawn(&self.runtime(), id, token, async move { Answer::Result(work.await) });
        None
    }

    fn spawn(&self, runtime: &Handle, id: ProcessId, token: u32, work: impl Future<Output = Answer> + Send + 'static) {
        let (deliver, waiting) = (self.deliver.clone(), self.waiting.clone());
        self.waiting.count.fetch_add(1, Ordering::AcqRel);
        // Held until the task is in the table, so that it cannot be done before.
        let mut tasks = self.waiting.lock();
        let task = runtime.spawn(async move {
            let answer = work.await;
            if waiting.lock().remove(&(id, token)).is_some() {
                deliver(Some((id, token, answer)));
                if waiting.less(1) {
                    deliver(None);
                }
            }
        });
        tasks.insert((id, token), task.abort_handle());
    }

    /// Gives requests a moment to be answered.
    pub(crate) fn wait(&self, moment: Duration) {
        let end = Instant::now() + moment;
        while self.waiting() > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The values that are kept as long as the program runs.
    pub(crate) fn values(&self) -> BTreeMap<String, Vec<u8>> {
        match &self.values {
            Values::Memory(values) => values.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Values::Store(_) => BTreeMap::new(),
        }
    }

    /// The waits for which no answer has come.
    pub(crate) fn pending(&self) -> HashSet<(ProcessId, u32)> {
        self.waiting.lock().keys().copied().collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A thread that waits for a terminal cannot be stopped; nobody waits for it.
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}
