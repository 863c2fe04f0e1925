//! What processes ask for. Everything is checked here, before anything happens: that there is such a request, that the process may make it, that
//! it makes sense.

use super::process::{Ended, Group, Reply, Settled, Wait};
use super::signal::{Entry, What};
use super::table::Listener;
use super::{Actions, Clock, Core, Flow, MAILBOX_SOFT};
use crate::capability::{Capabilities, Request};
use crate::ids::ProcessId;
use crate::policy::{Policy, Quotas};
use crate::system::{Ask, FileAsk, error, wrong};
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::parked::Parked;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;
use std::sync::Arc;

/// A longer wait is as good as for ever, and does not overflow the clock.
const YEAR_MS: i64 = 365 * 24 * 3_600_000;
/// Messages to other cores after which a sender waits to hear that there is room for more.
const FAR_WINDOW: u8 = 64;
const NANOS_PER_MS: u64 = 1_000_000;

/// Whether a message between two processes that are both looked after by a core may go without the home of the receiver, to which it is
/// lent and where it has settled: nothing the sender sent earlier may still be on its way. What a sender that is at home here sent went
/// through here; what one of the same home sent from there went ahead of it.
fn may_meet(from: ProcessId, to: ProcessId, here: u8) -> bool {
    from.home() == here || from.home() == to.home()
}

impl Core {
    /// Answers a request of the process that is loaded.
    pub(super) fn request(&mut self, id: ProcessId, request: Value, actions: &mut Actions) -> Flow {
        let heap = &mut self.fiber.heap;
        let Some((symbol, payload)) = heap.as_label(request) else {
            return Flow::Raise(wrong(heap, "a request is a label", request));
        };
        let Some((kind, needs)) = self.requests.get(symbol) else {
            let message = format!("unknown request {}", heap.statics().symbol(symbol));
            return Flow::Raise(error(heap, Known::System, &message));
        };
        if !self.policy.capabilities.allow(needs) {
            let heap = &mut self.fiber.heap;
            let name = heap.statics().symbol(symbol).to_owned();
            return Flow::Raise(error(heap, Known::Denied, &name));
        }
        match kind {
            Request::Write => match self.fiber.heap.as_text(payload) {
                Some(text) => {
                    actions.output.extend_from_slice(text.as_bytes());
                    Flow::Answer(Value::UNIT)
                }
                None => self.refuse("Write needs a String", payload),
            },
            Request::Clock => Flow::Time(Clock::Wall),
            Request::Ticks => Flow::Time(Clock::Ticks),
            Request::Random => self.random(payload),
            Request::Args => {
                let heap = &mut self.fiber.heap;
                let args: Vec<Value> = self.settings.args.iter().map(|arg| heap.text(arg)).collect();
                Flow::Answer(heap.list(&args))
            }
            Request::Seed => self.seed(payload),
            Request::ReadLine => self.ask(id, Ask::ReadLine(self.text_max()), actions),
            Request::WriteError => {
                self.ask_with_text(id, payload, "WriteError needs a String", Ask::WriteError, actions)
            }
            Request::Log => self.log(id, payload, actions),
            Request::Env => self.ask_with_scope(id, payload, "env", Ask::Env, actions),
            Request::ReadFile => self.ask_file(id, payload, "read_file", FileAsk::Read(self.text_max()), actions),
            Request::ListDir => self.ask_file(id, payload, "read_file", FileAsk::List, actions),
            Request::FileInfo => self.ask_file(id, payload, "read_file", FileAsk::Info, actions),
            Request::RemoveFile => self.ask_file(id, payload, "write_file", FileAsk::Remove, actions),
            Request::MakeDir => self.ask_file(id, payload, "write_file", FileAsk::MakeDir, actions),
            Request::WriteFile => self.write_file(id, payload, FileAsk::Write, actions),
            Request::AppendFile => self.write_file(id, payload, FileAsk::Append, actions),
            Request::Http => self.http(id, payload, actions),
            Request::HttpListen => self.ask_with_scope(id, payload, "listen", Ask::HttpListen, actions),
            Request::TcpListen => self.ask_with_scope(id, payload, "listen", Ask::TcpListen, actions),
            Request::TcpConnect => self.ask_with_scope(id, payload, "connect", Ask::TcpConnect, actions),
            Request::HttpAccept => self.ask_with_handle(id, payload, Ask::HttpAccept, actions),
            Request::TcpAccept => self.ask_with_handle(id, payload, Ask::TcpAccept, actions),
            Request::Address => self.ask_with_handle(id, payload, Ask::Address, actions),
            Request::Close => self.ask_with_handle(id, payload, Ask::Close, actions),
            Request::HttpAnswer | Request::TcpRead | Request::TcpWrite | Request::Give => {
                self.use_handle(id, kind, payload, actions)
            }
            Request::Sleep => self.timed(id, payload, Wait::Timer),
            Request::Pause => Flow::After(Reply::Unit),
            Request::Spawn | Request::SpawnDetached => {
                let Some(policy) = self.body(id).map(|body| body.policy.clone()) else {
                    return Flow::After(Reply::GoOn);
                };
                self.spawn(id, payload, policy, kind == Request::SpawnDetached)
            }
            Request::SpawnWith => self.spawn_with(id, payload),
            Request::Parallel => self.parallel(id, payload),
            Request::Self_ => Flow::Answer(id.value()),
            Request::Parent => self.parent(id),
            Request::Children => self.children(id),
            Request::Send => self.send_message(id, payload, actions),
            Request::Receive => self.receive(id, 0, true, None, actions),
            Request::ReceiveWithin => self.timed(id, payload, Wait::Message { at: 0, take: true, timed: true }),
            Request::Peek | Request::PeekWithin | Request::Take => self.select(id, kind, payload, actions),
            Request::Mailbox => {
                let count = self.body(id).map_or(0, |body| body.mailbox.len());
                Flow::Answer(Value::index(count))
            }
            Request::Bound => self.bound(id, payload, actions),
            Request::Join => self.join(id, payload, actions),
            Request::Cancel => self.ask_cancel(payload, actions),
            Request::Link | Request::Unlink => self.link(id, payload, kind == Request::Link, actions),
            Request::Trap => self.trap(id, payload),
            Request::Monitor => self.monitor(id, payload, actions),
            Request::Demonitor => self.demonitor(id, payload, actions),
            Request::Register | Request::WhereIs | Request::JoinGroup | Request::LeaveGroup | Request::Members => {
                self.ask_registry(id, kind, payload, actions)
            }
            Request::Store => self.store_value(id, payload, actions),
            Request::Load => self.ask_with_text(id, payload, "Load needs the hash that Store gave", Ask::Load, actions),
            Request::Fork => self.fork(id),
            Request::Checkpoint => self.checkpoint(id, actions),
            Request::Respawn => {
                self.ask_with_text(id, payload, "Respawn needs the hash that Checkpoint gave", Ask::Respawn, actions)
            }
            Request::Snapshot | Request::Restore => {
                let heap = &mut self.fiber.heap;
                let answer = match kind {
                    Request::Snapshot => heap.snapshot(&self.program, payload),
                    _ => heap.restore(&self.program, payload),
                };
                match answer {
                    Ok(value) => Flow::Answer(value),
                    Err(failure) => Flow::Raise(failure.into_value(heap)),
                }
            }
        }
    }

    /// Refuses an argument.
    pub(super) fn refuse(&mut self, what: &str, value: Value) -> Flow {
        Flow::Raise(wrong(&mut self.fiber.heap, what, value))
    }

    pub(super) fn raise(&mut self, kind: Known, message: &str) -> Flow {
        Flow::Raise(error(&mut self.fiber.heap, kind, message))
    }

    /// The process that a value is a handle of.
    pub(super) fn process(&mut self, value: Value, what: &str) -> Result<ProcessId, Flow> {
        ProcessId::of(value).ok_or_else(|| self.refuse(what, value))
    }

    /// The two items of a pair.
    pub(super) fn pair(&mut self, value: Value, what: &str) -> Result<[Value; 2], Flow> {
        self.fiber.heap.pair(value).ok_or_else(|| self.refuse(what, value))
    }

    /// A number for the wait that begins.
    pub(super) fn token(&mut self, id: ProcessId) -> u32 {
        self.body(id).map_or(0, |body| {
            body.token = body.token.wrapping_add(1);
            body.token
        })
    }

    // ---- time and messages

    /// Waits for so many milliseconds, or for a message that comes earlier.
    fn timed(&mut self, id: ProcessId, payload: Value, wait: Wait) -> Flow {
        let Some(ms) = self.fiber.heap.as_int(payload) else {
            return self.refuse("a time is an Integer of milliseconds", payload);
        };
        if let Wait::Message { at, take, .. } = wait
            && let Some(message) = self.message(id, at, take)
        {
            let message = self.fiber.heap.unpack(&self.program, &message);
            return Flow::Answer(crate::system::option(&mut self.fiber.heap, Some(message)));
        }
        let token = self.token(id);
        let at = self.now.nanos + ms.clamp(0, YEAR_MS) as u64 * NANOS_PER_MS;
        self.timers.add(at, id, token);
        Flow::Wait(wait)
    }

    /// The message at a place of a mailbox.
    fn message(&mut self, id: ProcessId, at: u32, take: bool) -> Option<Parcel> {
        let body = self.body(id)?;
        if take { body.mailbox.take(at as usize) } else { body.mailbox.look()?.queue.get(at as usize).cloned() }
    }

    fn receive(&mut self, id: ProcessId, at: u32, take: bool, timed: Option<Value>, actions: &mut Actions) -> Flow {
        if let Some(ms) = timed {
            return self.timed(id, ms, Wait::Message { at, take, timed: true });
        }
        let Some(message) = self.message(id, at, take) else {
            self.token(id);
            return Flow::Wait(Wait::Message { at, take, timed: false });
        };
        if take {
            self.let_senders_go_on(id, actions);
        }
        Flow::Answer(self.fiber.heap.unpack(&self.program, &message))
    }

    fn let_senders_go_on(&mut self, id: ProcessId, actions: &mut Actions) {
        let released = self.body(id).map(|body| body.mailbox.released()).unwrap_or_default();
        for (sender, token) in released {
            self.send(sender, What::Reply(token, Reply::Unit), actions);
        }
    }

    /// `Peek place`, `PeekWithin (place, ms)`, `Take place`.
    fn select(&mut self, id: ProcessId, kind: Request, payload: Value, actions: &mut Actions) -> Flow {
        let (place, ms) = match kind {
            Request::PeekWithin => match self.pair(payload, "PeekWithin needs a place and a time") {
                Ok([place, ms]) => (place, Some(ms)),
                Err(flow) => return flow,
            },
            _ => (payload, None),
        };
        let Some(at) = self.fiber.heap.as_int(place).and_then(|at| u32::try_from(at).ok()) else {
            return self.refuse("a place in a mailbox is an Integer from 0", place);
        };
        let count = self.body(id).map_or(0, |body| body.mailbox.len());
        if at as usize > count || (kind == Request::Take && at as usize == count) {
            return self.raise(Known::Index, &format!("message {at} of a mailbox of {count}"));
        }
        self.receive(id, at, kind == Request::Take, ms, actions)
    }

    fn bound(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let Some(bound) = self.fiber.heap.as_int(payload).filter(|bound| *bound >= 0) else {
            return self.refuse("Bound needs a number of messages, or 0 for none", payload);
        };
        if let Some(body) = self.body(id) {
            body.mailbox.get().bound = usize::try_from(bound).ok().filter(|bound| *bound > 0);
        }
        self.let_senders_go_on(id, actions);
        Flow::Answer(Value::UNIT)
    }

    fn send_message(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let [to, message] = match self.pair(payload, "Send needs a process and a message") {
            Ok(pair) => pair,
            Err(flow) => return flow,
        };
        let to = match self.process(to, "Send needs a Process") {
            Ok(to) => to,
            Err(flow) => return flow,
        };
        let parcel = self.fiber.heap.pack(&self.program, message);
        let own = self.settings.number;
        let at_home = to.home() == own;
        let (mut is_near, mut asks) = (at_home, false);
        if !at_home
            && may_meet(id, to, own)
            && let Some(body) = self.body(to)
        {
            (is_near, asks) = (body.settled == Settled::Yes, body.settled == Settled::Unknown);
            if asks {
                body.settled = Settled::Asked;
            }
        }
        let Some(body) = self.body(to).filter(|_| is_near) else {
            if asks {
                self.send(to, What::Fence, actions);
            }
            return self.send_far(id, to, parcel, actions);
        };
        let count = body.mailbox.len();
        if count < MAILBOX_SOFT.min(body.policy.mailbox) && !body.mailbox.is_full() {
            let bounded = body.mailbox.look().is_some_and(|messages| messages.bound.is_some());
            self.deliver(to, parcel);
            let full = bounded && self.body(to).is_some_and(|body| body.mailbox.is_full());
            return if full && to != id { self.wait_for_room(id, to) } else { Flow::Answer(Value::UNIT) };
        }
        if count >= body.policy.mailbox {
            return self.raise(Known::Quota, "mailbox");
        }
        let bounded = body.mailbox.is_full();
        self.deliver(to, parcel);
        if to == id {
            Flow::Answer(Value::UNIT)
        } else if bounded {
            self.wait_for_room(id, to)
        } else if !std::mem::replace(&mut self.has_sent, true) {
            // Whoever sends one message and ends need not be set aside for that.
            Flow::Answer(Value::UNIT)
        } else {
            Flow::After(Reply::Unit)
        }
    }

    /// Sends to another core. Now and then the sender waits to hear that there is room, so that it cannot be far ahead of the receiver.
    fn send_far(&mut self, id: ProcessId, to: ProcessId, parcel: Parcel, actions: &mut Actions) -> Flow {
        let count = self.body(id).map_or(1, |body| {
            body.sent_far = body.sent_far.wrapping_add(1);
            body.sent_far
        });
        if !count.is_multiple_of(FAR_WINDOW) {
            self.send(to, What::Message(parcel, None), actions);
            return Flow::Answer(Value::UNIT);
        }
        let token = self.token(id);
        self.send(to, What::Message(parcel, Some((id, token))), actions);
        Flow::Wait(Wait::Reply)
    }

    fn wait_for_room(&mut self, id: ProcessId, to: ProcessId) -> Flow {
        let token = self.token(id);
        if let Some(body) = self.body(to) {
            body.mailbox.get().senders.push_back((id, token));
        }
        Flow::Wait(Wait::Reply)
    }

    // ---- other processes

    fn spawn(&mut self, id: ProcessId, function: Value, policy: Arc<Policy>, detached: bool) -> Flow {
        if !policy.begin_fiber() {
            return self.raise(Known::Quota, "fibers");
        }
        let parcel = self.fiber.heap.pack(&self.program, function);
        let (parent, listener) = if detached { (ProcessId::MAIN, Some(Listener::Nobody)) } else { (id, None) };
        match self.add_process(parent, listener, Parked::apply(parcel), policy.clone()) {
            Some(child) => {
                self.note_spawned(parent);
                Flow::Answer(child.value())
            }
            None => {
                policy.end_fiber();
                self.raise(Known::Quota, "fibers")
            }
        }
    }

    pub(super) fn note_spawned(&mut self, parent: ProcessId) {
        let bit = 1 << (self.settings.number % 64);
        if let Some(body) = self.body(parent) {
            body.spawned_at |= bit;
        }
    }

    /// `SpawnWith (capabilities, function)` or `SpawnWith ({ allow, memory, fuel, fibers, mailbox }, function)`.
    fn spawn_with(&mut self, id: ProcessId, payload: Value) -> Flow {
        let [what, function] =
            match self.pair(payload, "SpawnWith needs a List of capabilities or a record, and a function") {
                Ok(pair) => pair,
                Err(flow) => return flow,
            };
        let policy = self.policy.clone();
        let narrowed = match self.narrowed(what, &policy) {
            Ok(narrowed) => narrowed,
            Err(flow) => return flow,
        };
        self.spawn(id, function, Arc::new(narrowed), false)
    }

    fn narrowed(&mut self, what: Value, policy: &Arc<Policy>) -> Result<Policy, Flow> {
        let mut quotas = Quotas::default();
        let mut capabilities = policy.capabilities.clone();
        let heap = &self.fiber.heap;
        let Some(fields) = heap.record_entries(what) else {
            capabilities = self.capabilities(what, &capabilities)?;
            return self.within(policy, capabilities, quotas);
        };
        for (name, value) in fields {
            let number = self.fiber.heap.as_int(value).and_then(|number| u64::try_from(number).ok());
            match (&*name, number) {
                ("allow", _) => capabilities = self.capabilities(value, &capabilities)?,
                ("memory", Some(bytes)) => quotas.memory_words = Some((bytes / 8) as usize),
                ("fuel", Some(fuel)) => quotas.fuel = Some(fuel),
                ("fibers", Some(fibers)) => quotas.fibers = Some(fibers),
                ("mailbox", Some(messages)) => quotas.mailbox = Some(messages as usize),
                ("memory" | "fuel" | "fibers" | "mailbox", None) => {
                    return Err(self.refuse(&format!("the quota {name} is an Integer from 0"), value));
                }
                _ => {
                    let message = format!("there is no quota {name}; there are allow, memory, fuel, fibers, mailbox");
                    return Err(self.raise(Known::Field, &message));
                }
            }
        }
        self.within(policy, capabilities, quotas)
    }

    fn within(&mut self, policy: &Arc<Policy>, capabilities: Capabilities, quotas: Quotas) -> Result<Policy, Flow> {
        policy.narrowed(capabilities, quotas).ok_or_else(|| self.raise(Known::Quota, "policies"))
    }

    fn capabilities(&mut self, list: Value, from: &Capabilities) -> Result<Capabilities, Flow> {
        let heap = &self.fiber.heap;
        let items = heap.list_values(list);
        let names: Vec<String> = items.iter().filter_map(|item| heap.as_text(*item).map(str::to_owned)).collect();
        if heap.list_items(list).is_none() || names.len() != items.len() {
            return Err(self.refuse("SpawnWith needs a List of names of capabilities", list));
        }
        match from.narrowed(names.iter().map(String::as_str)) {
            Ok(capabilities) => Ok(capabilities),
            Err(name) => {
                let name = name.to_owned();
                Err(self.raise(Known::Denied, &name))
            }
        }
    }

    fn parallel(&mut self, id: ProcessId, payload: Value) -> Flow {
        if self.fiber.heap.list_items(payload).is_none() {
            return self.refuse("Parallel needs a List of functions", payload);
        }
        let functions = self.fiber.heap.list_values(payload);
        if functions.is_empty() {
            return Flow::Answer(self.fiber.heap.list(&[]));
        }
        let policy = self.policy.clone();
        let token = self.token(id);
        let count = functions.len();
        let mut results = vec![None; count];
        let mut left = 0;
        for (place, function) in (0..).zip(functions) {
            let parcel = self.fiber.heap.pack(&self.program, function);
            let listener = Some(Listener::Group(id, token, place));
            let allowed = policy.begin_fiber();
            if allowed && self.add_process(id, listener, Parked::apply(parcel), policy.clone()).is_some() {
                left += 1;
                continue;
            }
            if allowed {
                policy.end_fiber();
            }
            results[place as usize] = Some(Arc::new(Ended::Quota("fibers")));
        }
        self.note_spawned(id);
        if left == 0 {
            return Flow::After(Reply::Group(results.into_iter().flatten().collect()));
        }
        Flow::Wait(Wait::Group(Box::new(Group { results, left })))
    }

    fn parent(&mut self, id: ProcessId) -> Flow {
        let parent = self.body(id).map_or(ProcessId::MAIN, |body| body.parent);
        let found = (id != ProcessId::MAIN).then(|| parent.value());
        Flow::Answer(crate::system::option(&mut self.fiber.heap, found))
    }

    /// The children at home at this core; those that a process spawned while it was lent elsewhere are not among them.
    fn children(&mut self, id: ProcessId) -> Flow {
        let mut children = self.table.children(id);
        children.reverse();
        let items: Vec<Value> = children.into_iter().map(ProcessId::value).collect();
        Flow::Answer(self.fiber.heap.list(&items))
    }

    fn join(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let of = match self.process(payload, "Join needs a Process") {
            Ok(of) => of,
            Err(flow) => return flow,
        };
        let token = self.token(id);
        let listener = Listener::Join(id, token);
        if of.home() == self.settings.number && self.pending.is_empty() {
            self.listen(of, listener, actions);
        } else {
            self.send(of, What::Listen(listener), actions);
        }
        Flow::Wait(Wait::Reply)
    }

    /// `Cancel (process, reason)`
    fn ask_cancel(&mut self, payload: Value, actions: &mut Actions) -> Flow {
        let [whom, reason] = match self.pair(payload, "Cancel needs a process and a reason") {
            Ok(pair) => pair,
            Err(flow) => return flow,
        };
        let whom = match self.process(whom, "Cancel needs a Process") {
            Ok(whom) => whom,
            Err(flow) => return flow,
        };
        let reason = self.fiber.heap.pack(&self.program, reason);
        self.send(whom, What::Cancel(Box::new(Ended::Cancelled(reason))), actions);
        Flow::Answer(Value::UNIT)
    }

    fn link(&mut self, id: ProcessId, payload: Value, on: bool, actions: &mut Actions) -> Flow {
        let with = match self.process(payload, "Link needs a Process") {
            Ok(with) => with,
            Err(flow) => return flow,
        };
        if with != id {
            let what = |listener| if on { What::Listen(listener) } else { What::Unlisten(listener) };
            self.send(with, what(Listener::Link(id)), actions);
            self.send(id, what(Listener::Link(with)), actions);
        }
        Flow::Answer(Value::UNIT)
    }

    fn trap(&mut self, id: ProcessId, payload: Value) -> Flow {
        let on = match payload {
            Value::TRUE => true,
            Value::FALSE => false,
            other => return self.refuse("Trap needs a Boolean", other),
        };
        if let Some(body) = self.body(id) {
            body.mailbox.get().traps = on;
        }
        Flow::Answer(Value::UNIT)
    }

    fn monitor(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let of = match self.process(payload, "Monitor needs a Process") {
            Ok(of) => of,
            Err(flow) => return flow,
        };
        let reference = self.next_reference();
        self.send(of, What::Listen(Listener::Monitor(id, reference)), actions);
        Flow::Answer(self.fiber.heap.int(reference))
    }

    /// `Demonitor (process, reference)`
    fn demonitor(&mut self, id: ProcessId, payload: Value, actions: &mut Actions) -> Flow {
        let [of, reference] = match self.pair(payload, "Demonitor needs a process and what Monitor gave") {
            Ok(pair) => pair,
            Err(flow) => return flow,
        };
        let (of, Some(reference)) = (self.process(of, "Demonitor needs a Process"), self.fiber.heap.as_int(reference))
        else {
            return self.refuse("Demonitor needs what Monitor gave", reference);
        };
        match of {
            Ok(of) => self.send(of, What::Unlisten(Listener::Monitor(id, reference)), actions),
            Err(flow) => return flow,
        }
        Flow::Answer(Value::UNIT)
    }

    // ---- names and groups

    fn ask_registry(&mut self, id: ProcessId, kind: Request, payload: Value, actions: &mut Actions) -> Flow {
        let (name, process) = match kind {
            Request::WhereIs | Request::Members => (payload, id),
            _ => match self.pair(payload, "a name and a Process are needed") {
                Ok([name, process]) => match self.process(process, "a Process is needed") {
                    Ok(process) => (name, process),
                    Err(flow) => return flow,
                },
                Err(flow) => return flow,
            },
        };
        let Some(name) = self.fiber.heap.as_text(name).map(str::to_owned) else {
            return self.refuse("a name is a String", name);
        };
        let entry = match kind {
            Request::Register => Entry::Name(name, process),
            Request::WhereIs => Entry::Find(name),
            Request::JoinGroup => Entry::Join(name, process),
            Request::LeaveGroup => Entry::Leave(name, process),
            _ => Entry::Members(name),
        };
        let token = self.token(id);
        self.send_to(0, process, What::Registry(entry, id, token), actions);
        Flow::Wait(Wait::Reply)
    }

    /// The registry is asked; this is core 0.
    pub(super) fn registry_asked(
        &mut self,
        entry: Entry,
        process: ProcessId,
        asker: ProcessId,
        token: u32,
        actions: &mut Actions,
    ) {
        let reply = match entry {
            Entry::Name(name, id) => {
                let done = self.registry.name(name, id);
                if done {
                    self.send(id, What::Listen(Listener::Registry), actions);
                }
                Reply::Bool(done)
            }
            Entry::Find(name) => Reply::MaybeProcess(self.registry.find(&name)),
            Entry::Join(group, id) => {
                self.registry.join(group, id);
                self.send(id, What::Listen(Listener::Registry), actions);
                Reply::Unit
            }
            Entry::Leave(group, id) => {
                self.registry.leave(&group, id);
                Reply::Unit
            }
            Entry::Members(group) => Reply::Processes(self.registry.members(&group)),
            Entry::Gone => return self.registry.gone(process),
        };
        self.send(asker, What::Reply(token, reply), actions);
    }
}
