//! Programs in the store.

use super::Node;
use super::programs::{Beginning, Given, Hosted, decode_module};
use crate::driver::lock;
use crate::ending::{Ending, STOPPED};
use crate::protocol::Tell;
use qualm_ir::wire::{Reader, WireError, Writer};
use qualm_store::{Hash, Kind, StoreError};
use qualm_vm::load::load_with;
use qualm_vm::snapshot::Decoder;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What names of saved programs begin with.
const SAVED: &str = "program/";

/// The name in the store under which a program is kept until it ends.
pub(super) fn saved_name(number: u64) -> String {
    format!("{SAVED}{number}")
}

impl Node {
    /// Saves a program while it goes on; what is saved stays until it is unpinned.
    pub(super) fn snapshot(&self, number: u64) -> Result<Tell, String> {
        let hosted = self.hosted(number)?;
        let state = hosted.running.save(false).ok_or_else(|| format!("program {number} is over"))?;
        let hash = self.keep(&hosted, &state, None)?;
        Ok(Tell::Text(format!("{hash}\n")))
    }

    /// Puts a state into the store; gives the hash of what can be restored.
    fn keep(&self, hosted: &Hosted, state: &[u8], name: Option<&str>) -> Result<Hash, String> {
        let keep = || {
            let code = self.store.put_code(hosted.program().module(), None)?.hash;
            let state = self.store.put(Kind::State, state, &[code], None)?.hash;
            let manifest = write_manifest(hosted, state, code);
            let hash = self.store.put(Kind::Value, &manifest, &[state, code], name)?.hash;
            if name.is_none() {
                self.store.pin(hash, true)?;
            }
            Ok(hash)
        };
        keep().map_err(|error: StoreError| error.to_string())
    }

    /// Goes on with what was saved, as a new program.
    pub(super) fn restore(self: &Arc<Self>, hash: &str, allow: Vec<String>) -> Result<Tell, String> {
        let number = self.go_on(hash.parse()?, Some(allow), None)?;
        Ok(Tell::Started(number))
    }

    fn go_on(self: &Arc<Self>, hash: Hash, allow: Option<Vec<String>>, number: Option<u64>) -> Result<u64, String> {
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
        let module = decode_module(&get(code)?)?;
        let symbols = Decoder::symbols(&state).map_err(|error| error.to_string())?;
        let beginning = Beginning {
            name,
            program: Arc::new(load_with(module, &symbols)),
            state: Some(&state),
            given,
            args: Vec::new(),
            fuel: None,
            number,
            session: false,
        };
        self.host(beginning, |_| None).map(|(number, _)| number)
    }

    /// Goes on with all programs that were saved; how many, and what is wrong with the others. Those stay in the store.
    pub(super) fn restore_all(self: &Arc<Self>) -> (usize, Vec<String>) {
        let names = self.store.names().unwrap_or_default();
        let number = |name: &str| name.strip_prefix(SAVED).and_then(|number| number.parse::<u64>().ok());
        let mut saved: Vec<_> = names.iter().filter_map(|(name, hash)| Some((number(name)?, *hash))).collect();
        saved.sort_unstable_by_key(|(number, _)| *number);
        lock(&self.programs).last = saved.last().map_or(0, |(number, _)| *number);
        let count = saved.len();
        let go_on = |(number, hash)| {
            let why = self.go_on(hash, None, Some(number)).err()?;
            Some(format!("program {number} cannot go on: {why}; what was saved of it stays: {hash}"))
        };
        let troubles: Vec<_> = saved.into_iter().filter_map(go_on).collect();
        (count - troubles.len(), troubles)
    }

    /// Saves all programs whose client does not wait for them, again and again, so that little is lost if the node is killed.
    pub(super) fn save_regularly(&self, pause: Duration) {
        loop {
            std::thread::sleep(pause);
            for (number, hosted) in self.all() {
                if self.stopping.load(Ordering::Acquire) {
                    return;
                }
                if lock(&hosted.output).is_attached() {
                    continue;
                }
                let Some(state) = hosted.running.save(false) else { continue };
                let _ = self.keep(&hosted, &state, Some(&saved_name(number)));
                // It may have ended in the meantime.
                if self.hosted(number).is_err() {
                    let _ = self.store.unname(&saved_name(number));
                }
            }
            let _ = self.store.collect();
        }
    }

    /// Saves all programs and ends them.
    pub(super) fn stop(&self) -> Tell {
        self.stopping.store(true, Ordering::Release);
        let (mut saved, mut troubles) = (0, String::new());
        for (number, hosted) in self.all() {
            let attached = lock(&hosted.output).is_attached();
            match hosted.running.save(true) {
                // A client that waits for its program would wait for ever.
                Some(_) if attached => {
                    let message = "stopped: the node stops\n".to_owned();
                    lock(&hosted.output).end(Ending { status: STOPPED, message, value: None });
                }
                Some(state) => match self.keep(&hosted, &state, Some(&saved_name(number))) {
                    Ok(_) => saved += 1,
                    Err(why) => troubles += &format!("program {number} could not be saved: {why}\n"),
                },
                None => {}
            }
            hosted.settle();
        }
        let _ = self.store.collect();
        Tell::Text(format!("{troubles}{saved} programs saved\n"))
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
