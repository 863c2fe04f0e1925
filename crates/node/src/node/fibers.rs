//! Lists of fibers, one fiber, and steering it.

use super::Node;
use super::programs::Hosted;
use crate::core::inspect::{Info, Inspect};
use crate::ids::ProcessId;
use crate::protocol::{Steer, Tell};
use crate::system::stored;
use crate::trace::{innermost, trace_text};
use std::sync::Arc;

/// Columns of a list of fibers.
const COLUMNS: &[&str] = &["FIBER", "PROGRAM", "STATE", "MESSAGES", "KIB", "ENTRIES", "AT"];
/// Fibers in a list, at most.
const LISTED_MAX: usize = 10_000;

impl Node {
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
            innermost(hosted.program().module(), &info.trace.0, &self.options.hide),
        ]
    }

    pub(super) fn list(&self) -> Vec<Vec<String>> {
        let mut rows = vec![COLUMNS.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>()];
        for (number, hosted) in self.all() {
            let mut infos = hosted.running.inspect(Inspect::List);
            infos.sort_by_key(|info| info.id);
            let room = LISTED_MAX.saturating_sub(rows.len());
            rows.extend(infos.iter().take(room).map(|info| self.row(number, &hosted, info)));
        }
        rows
    }

    pub(super) fn show(&self, fiber: &str) -> Result<Tell, String> {
        let (hosted, id) = self.fiber(fiber)?;
        let found =
            hosted.running.inspect(Inspect::Show(id)).pop().ok_or_else(|| format!("there is no fiber {fiber}"))?;
        let calls = trace_text(hosted.program().module(), &found.trace.0, found.trace.1, &self.options.hide);
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

    pub(super) fn steer(&self, steer: Steer, fiber: &str) -> Result<Tell, String> {
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

    /// Sends a fiber the value that the store has under a hash.
    pub(super) fn send(&self, fiber: &str, hash: &str) -> Result<Tell, String> {
        let (hosted, id) = self.fiber(fiber)?;
        let bytes = self.store.get(hash.parse()?).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("{hash} is not in the store"))?;
        let message =
            stored(&bytes, &hosted.program()).map_err(|error| format!("{fiber} does not know it: {error}"))?;
        match hosted.running.inspect(Inspect::Send(id, message)).is_empty() {
            true => Err(format!("there is no fiber {fiber}")),
            false => Ok(Tell::Text(String::new())),
        }
    }
}
