//! What a process asks for: its capabilities are checked, then the host answers, or other processes are concerned.

use crate::capability::Capabilities;
use crate::host::{error, wrong};
use crate::processes::{Ended, Listener, Process, Reply, Wait};
use crate::scheduler::{After, Shared};
use qualm_vm::fiber::Fiber;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::statics::Known;
use qualm_vm::value::{Immediate, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Shared {
    pub(crate) fn request(&self, mut process: Box<Process>, request: Value) -> (After, Option<Box<Process>>) {
        let heap = &mut process.fiber.heap;
        let Some((symbol, payload)) = heap.as_label(request) else {
            let raised = wrong(heap, "a request is a label", request);
            process.fiber.raise(raised);
            return (After::GoOn, Some(process));
        };
        let statics = heap.statics().clone();
        let name = statics.symbol(symbol);
        match process.capabilities.allows(name) {
            Some(true) => {}
            Some(false) => {
                let raised = error(heap, Known::Denied, name);
                process.fiber.raise(raised);
                return (After::GoOn, Some(process));
            }
            None => {
                let raised = error(heap, Known::System, &format!("unknown request {name}"));
                process.fiber.raise(raised);
                return (After::GoOn, Some(process));
            }
        }
        if let Some(answer) = self.host.answer(heap, name, payload) {
            match answer {
                Ok(value) => process.fiber.resume(value),
                Err(raised) => process.fiber.raise(raised),
            }
            return (After::GoOn, Some(process));
        }
        match name {
            "Spawn" => {
                let capabilities = process.capabilities.clone();
                self.spawn(process, payload, capabilities)
            }
            "SpawnWith" => self.spawn_with(process, payload),
            "Self" => {
                let id = process.id;
                process.fiber.resume(Value::immediate(Immediate::Fiber, id));
                (After::GoOn, Some(process))
            }
            "Send" => self.send(process, payload),
            "Receive" => self.receive(process, None),
            "ReceiveWithin" => self.timed(process, payload, true),
            "Sleep" => self.timed(process, payload, false),
            "Pause" => {
                process.answer = Some(Reply::Unit);
                self.change(|table| {
                    table.running -= 1;
                    table.ready.push_back(process);
                });
                (After::Away, None)
            }
            "Join" => self.join(process, payload),
            "Snapshot" | "Restore" => {
                let answer = match name {
                    "Snapshot" => heap.snapshot(&self.program, payload),
                    _ => heap.restore(&self.program, payload),
                };
                match answer {
                    Ok(value) => process.fiber.resume(value),
                    Err(failure) => {
                        let raised = failure.into_value(heap);
                        process.fiber.raise(raised);
                    }
                }
                (After::GoOn, Some(process))
            }
            _ => self.parallel(process, payload),
        }
    }

    fn child(&self, function: &Parcel) -> Fiber {
        let mut fiber = self.new_fiber();
        let function = fiber.heap.unpack(&self.program, function);
        fiber.start_apply(function);
        fiber
    }

    /// Spawns with some of the capabilities of the parent.
    fn spawn_with(&self, mut process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        let heap = &mut process.fiber.heap;
        let fields = heap.fields_of_tuple(payload);
        let Some([list, function]) = fields.as_deref() else {
            return self.raise(process, "SpawnWith needs a List of capabilities and a function", payload);
        };
        let (list, function) = (*list, *function);
        let items = heap.list_values(list);
        let names: Vec<String> = items.iter().filter_map(|item| heap.as_text(*item).map(str::to_owned)).collect();
        if heap.list_items(list).is_none() || names.len() != items.len() {
            return self.raise(process, "SpawnWith needs a List of names of capabilities", list);
        }
        match process.capabilities.narrowed(names.iter().map(String::as_str)) {
            Ok(capabilities) => self.spawn(process, function, Arc::new(capabilities)),
            Err(name) => {
                let raised = error(&mut process.fiber.heap, Known::Denied, name);
                process.fiber.raise(raised);
                (After::GoOn, Some(process))
            }
        }
    }

    fn spawn(
        &self,
        mut process: Box<Process>,
        function: Value,
        capabilities: Arc<Capabilities>,
    ) -> (After, Option<Box<Process>>) {
        let parcel = process.fiber.heap.pack(&self.program, function);
        let fiber = self.child(&parcel);
        let id = self.change(|table| {
            let id = table.new_id();
            table.ready.push_back(Box::new(Process { id, fiber, capabilities, answer: None }));
            id
        });
        process.fiber.resume(Value::immediate(Immediate::Fiber, id));
        (After::GoOn, Some(process))
    }

    fn raise(&self, mut process: Box<Process>, what: &str, value: Value) -> (After, Option<Box<Process>>) {
        let raised = wrong(&mut process.fiber.heap, what, value);
        process.fiber.raise(raised);
        (After::GoOn, Some(process))
    }

    fn send(&self, mut process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        let fields = process.fiber.heap.fields_of_tuple(payload);
        let Some([to, message]) = fields.as_deref() else {
            return self.raise(process, "Send needs a process and a message", payload);
        };
        let Some(to) = to.as_immediate(Immediate::Fiber) else {
            let to = *to;
            return self.raise(process, "Send needs a Process", to);
        };
        let parcel = process.fiber.heap.pack(&self.program, *message);
        self.change(|table| table.send(to, parcel));
        process.fiber.resume(Value::UNIT);
        (After::GoOn, Some(process))
    }

    fn receive(&self, mut process: Box<Process>, deadline: Option<Instant>) -> (After, Option<Box<Process>>) {
        let found = self.change(|table| {
            let message = table.slot(process.id).and_then(|slot| slot.mailbox.pop_front());
            match message {
                Some(message) => Some((process, message)),
                None => {
                    table.running -= 1;
                    let wait = match deadline {
                        Some(at) => Wait::MessageOrTimer(table.timer(at, process.id)),
                        None => Wait::Message,
                    };
                    table.park(process, wait);
                    None
                }
            }
        });
        let Some((found, message)) = found else { return (After::Away, None) };
        process = found;
        let reply = if deadline.is_some() { Reply::MaybeMessage(Some(message)) } else { Reply::Message(message) };
        self.give(&mut process.fiber, reply);
        (After::GoOn, Some(process))
    }

    fn timed(&self, process: Box<Process>, payload: Value, for_message: bool) -> (After, Option<Box<Process>>) {
        /// A longer wait is as good as for ever, and does not overflow the clock.
        const YEAR_MS: u64 = 365 * 24 * 3_600_000;
        let Some(wait) = process.fiber.heap.as_int(payload) else {
            return self.raise(process, "a time is an Integer of milliseconds", payload);
        };
        let deadline = Instant::now() + Duration::from_millis((wait.max(0) as u64).min(YEAR_MS));
        if for_message {
            return self.receive(process, Some(deadline));
        }
        self.change(|table| {
            table.running -= 1;
            let timer = table.timer(deadline, process.id);
            table.park(process, Wait::Timer(timer));
        });
        (After::Away, None)
    }

    fn join(&self, process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        let Some(id) = payload.as_immediate(Immediate::Fiber) else {
            return self.raise(process, "Join needs a Process", payload);
        };
        let found = self.change(|table| {
            let ended = match table.slot(id) {
                Some(slot) => slot.ended.clone(),
                None => Some(Ended::Quota),
            };
            match ended {
                Some(ended) => Some((process, ended)),
                None => {
                    let waiter = process.id;
                    if let Some(slot) = table.slot(id) {
                        slot.listeners.push(Listener::Join(waiter));
                    }
                    table.running -= 1;
                    table.park(process, Wait::Join);
                    None
                }
            }
        });
        match found {
            Some((mut process, ended)) => {
                self.give(&mut process.fiber, Reply::Joined(ended));
                (After::GoOn, Some(process))
            }
            None => (After::Away, None),
        }
    }

    fn parallel(&self, mut process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        if process.fiber.heap.list_items(payload).is_none() {
            return self.raise(process, "Parallel needs a List of functions", payload);
        }
        let functions = process.fiber.heap.list_values(payload);
        if functions.is_empty() {
            self.give(&mut process.fiber, Reply::Group(Vec::new()));
            return (After::GoOn, Some(process));
        }
        let fibers: Vec<Fiber> = functions
            .into_iter()
            .map(|function| {
                let parcel = process.fiber.heap.pack(&self.program, function);
                self.child(&parcel)
            })
            .collect();
        self.change(|table| {
            let waiter = process.id;
            let left = fibers.len();
            for (place, fiber) in fibers.into_iter().enumerate() {
                let id = table.new_id();
                if let Some(slot) = table.slot(id) {
                    slot.listeners.push(Listener::Group(waiter, place));
                }
                let capabilities = process.capabilities.clone();
                table.ready.push_back(Box::new(Process { id, fiber, capabilities, answer: None }));
            }
            table.running -= 1;
            table.park(process, Wait::Group { results: vec![None; left], left });
        });
        (After::Away, None)
    }
}
