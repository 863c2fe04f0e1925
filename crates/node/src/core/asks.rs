//! Requests of the outside world: they are checked here, and answered elsewhere.

use super::process::Wait;
use super::signal::What;
use super::{Actions, Core, Flow};
use crate::capability::Request;
use crate::ids::ProcessId;
use crate::system::{Ask, FileAsk, HttpRequest, HttpResponse, stored};
use qualm_ir::wire::WireError;
use qualm_vm::snapshot::Encoder;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;

/// Bytes of a text that is read at once, whatever the process may use.
const READ_BYTES_MAX: usize = 1 << 31;

impl Core {
    pub(super) fn ask(&mut self, id: ProcessId, ask: Ask, actions: &mut Actions) -> Flow {
        let token = self.token(id);
        if let Some(body) = self.body(id) {
            body.holds = true;
        }
        actions.asks.push((id, token, ask));
        Flow::Wait(Wait::Reply)
    }

    pub(super) fn ask_with_text(
        &mut self,
        id: ProcessId,
        payload: Value,
        what: &str,
        ask: impl FnOnce(String) -> Ask,
        actions: &mut Actions,
    ) -> Flow {
        match self.fiber.heap.as_text(payload).map(str::to_owned) {
            Some(text) => self.ask(id, ask(text), actions),
            None => self.refuse(what, payload),
        }
    }

    /// Asks for something that a capability may be limited to.
    pub(super) fn ask_with_scope(
        &mut self,
        id: ProcessId,
        payload: Value,
        capability: &str,
        ask: impl FnOnce(String) -> Ask,
        actions: &mut Actions,
    ) -> Flow {
        let Some(resource) = self.fiber.heap.as_text(payload).map(str::to_owned) else {
            return self.refuse("the request needs a String", payload);
        };
        if !self.policy.capabilities.reaches(capability, &resource) {
            return self.raise(Known::Denied, &format!("{capability}={resource}"));
        }
        self.ask(id, ask(resource), actions)
    }

    /// Bytes of the longest text that is worth reading: a longer one is more than the process may use.
    pub(super) fn text_max(&self) -> usize {
        self.policy.limits.memory_words.saturating_mul(size_of::<u64>()).min(READ_BYTES_MAX)
    }

    pub(super) fn ask_file(
        &mut self,
        id: ProcessId,
        payload: Value,
        capability: &str,
        what: FileAsk,
        actions: &mut Actions,
    ) -> Flow {
        let reach = self.policy.capabilities.scopes(capability).cloned();
        match self.fiber.heap.as_text(payload).map(str::to_owned) {
            Some(path) => self.ask(id, Ask::File(what, path, reach), actions),
            None => self.refuse("a path is a String", payload),
        }
    }

    pub(super) fn write_file(
        &mut self,
        id: ProcessId,
        payload: Value,
        what: impl FnOnce(String) -> FileAsk,
        actions: &mut Actions,
    ) -> Flow {
        let needs = "a file is written with a path and a String";
        match self.pair(payload, needs) {
            Ok([path, text]) => match self.fiber.heap.as_text(text).map(str::to_owned) {
                Some(text) => self.ask_file(id, path, "write_file", what(text), actions),
                None => self.refuse(needs, payload),
            },
            Err(flow) => flow,
        }
    }

    pub(super) fn random(&mut self, payload: Value) -> Flow {
        let heap = &mut self.fiber.heap;
        if payload == Value::UNIT {
            return Flow::Answer(heap.float(self.rng.f64()));
        }
        match heap.as_int(payload) {
            Some(bound) if bound > 0 => Flow::Answer(heap.int(self.rng.i64(0..bound))),
            Some(_) => self.raise(Known::Domain, "Random needs a bound of at least 1"),
            None => self.refuse("Random needs an Integer", payload),
        }
    }

    pub(super) fn seed(&mut self, payload: Value) -> Flow {
        match self.fiber.heap.as_int(payload) {
            Some(seed) => {
                self.rng.seed(seed as u64);
                Flow::Answer(Value::UNIT)
            }
            None => self.refuse("Seed needs an Integer", payload),
        }
    }

    /// `Log (level, text)`: a line on standard error, with the time and who wrote it.
    pub(super) fn log(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let [level, text] = match self.pair(payload, "Log needs a level and a String") {
            Ok(pair) => pair,
            Err(flow) => return flow,
        };
        let heap = &self.fiber.heap;
        let text = heap.as_text(text).map_or_else(|| heap.repr(text), str::to_owned);
        let seconds = self.now.nanos as f64 / 1e9;
        let line = format!("{seconds:10.3} {id} {} {text}\n", heap.repr(level));
        self.ask(id, Ask::WriteError(line), actions)
    }

    // ---- values by hash

    /// Keeps a value under its hash: its canonical bytes, with functions by hash.
    pub(super) fn store_value(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let parcel = self.fiber.heap.pack(&self.program, payload);
        let program = self.program.clone();
        let nobody = std::collections::HashMap::new();
        let mut out = Encoder::new(&program, &nobody);
        out.parcel(&parcel);
        self.ask(id, Ask::Store(out.finish()), actions)
    }

    /// The value whose bytes were kept; it must be one of this program's functions and labels.
    pub(super) fn stored_value(&mut self, bytes: &[u8]) -> Result<Value, WireError> {
        let parcel = stored(bytes, &self.program)?;
        Ok(self.fiber.heap.unpack(&self.program, &parcel))
    }

    // ---- handles

    pub(super) fn ask_with_handle(
        &mut self,
        id: ProcessId,
        payload: Value,
        ask: impl FnOnce(i64) -> Ask,
        actions: &mut Actions,
    ) -> Flow {
        match self.fiber.heap.as_int(payload) {
            Some(handle) => self.ask(id, ask(handle), actions),
            None => self.refuse("a handle is what listening, accepting or connecting gave", payload),
        }
    }

    /// `TcpRead (handle, most)`, `TcpWrite (handle, text)`, `HttpAnswer (handle, response)`, `Give (handle, process)`
    pub(super) fn use_handle(&mut self, id: ProcessId, kind: Request, payload: Value, actions: &mut Actions) -> Flow {
        let [handle, what] = match self.pair(payload, "a handle and something else are needed") {
            Ok(pair) => pair,
            Err(flow) => return flow,
        };
        let heap = &self.fiber.heap;
        let Some(handle) = heap.as_int(handle) else {
            return self.refuse("a handle is what listening, accepting or connecting gave", handle);
        };
        let ask = match kind {
            Request::TcpRead => heap.as_int(what).map(|most| Ask::TcpRead(handle, most.clamp(0, 1 << 30) as usize)),
            Request::TcpWrite => heap.as_text(what).map(|text| Ask::TcpWrite(handle, text.to_owned())),
            Request::Give => ProcessId::of(what).map(|to| Ask::Give(handle, to)),
            _ => self.response(what).map(|response| Ask::HttpAnswer(handle, response)),
        };
        let Some(ask) = ask else {
            let needs = match kind {
                Request::TcpRead => "TcpRead needs a number of bytes",
                Request::TcpWrite => "TcpWrite needs a String",
                Request::Give => "Give needs a Process",
                _ => "HttpAnswer needs a record { status, headers, body }",
            };
            return self.refuse(needs, what);
        };
        if let Ask::Give(_, to) = &ask {
            self.send(*to, What::Holds, actions);
        }
        self.ask(id, ask, actions)
    }

    // ---- HTTP

    /// `Http { method, url, headers, body }`; all but the URL may be left out.
    pub(super) fn http(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let needs = "Http needs a record { method, url, headers, body }";
        let Some(fields) = self.fiber.heap.record_entries(payload) else {
            return self.refuse(needs, payload);
        };
        let text = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name)?;
            self.fiber.heap.as_text(found.1).map(str::to_owned)
        };
        let headers = fields.iter().find(|(field, _)| field == "headers").map(|(_, headers)| *headers);
        let headers = headers.map_or(Some(Vec::new()), |headers| self.headers(headers));
        let (Some(url), Some(headers)) = (text("url"), headers) else {
            return self.refuse(needs, payload);
        };
        let host = url.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.split(['/', '?', '#']).next().unwrap_or("").rsplit('@').next().unwrap_or("");
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let capabilities = &self.policy.capabilities;
        if !capabilities.reaches("http", host) && !capabilities.reaches("http", name) {
            let message = format!("http={host}");
            return self.raise(Known::Denied, &message);
        }
        let method = text("method").unwrap_or_else(|| "GET".to_owned());
        let body = text("body").unwrap_or_default();
        self.ask(id, Ask::Http(HttpRequest { handle: 0, method, url, headers, body }), actions)
    }

    /// `{ status, headers, body }`; all but the body may be left out. A String is a body.
    fn response(&self, value: Value) -> Option<HttpResponse> {
        let heap = &self.fiber.heap;
        let mut response = HttpResponse { status: 200, headers: Vec::new(), body: String::new() };
        if let Some(body) = heap.as_text(value) {
            body.clone_into(&mut response.body);
            return Some(response);
        }
        for (name, value) in heap.record_entries(value)? {
            match &*name {
                "status" => response.status = u16::try_from(heap.as_int(value)?).ok()?,
                "headers" => response.headers = self.headers(value)?,
                "body" => response.body = heap.as_text(value)?.to_owned(),
                _ => {}
            }
        }
        Some(response)
    }

    /// A list of pairs of strings.
    fn headers(&self, value: Value) -> Option<Vec<(String, String)>> {
        let heap = &self.fiber.heap;
        heap.list_items(value)?;
        let text = |value| heap.as_text(value).map(str::to_owned);
        let pairs = heap.list_values(value).into_iter().map(|pair| {
            let [name, value] = heap.pair(pair)?;
            Some((text(name)?, text(value)?))
        });
        pairs.collect()
    }
}
