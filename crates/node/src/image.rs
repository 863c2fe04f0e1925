//! Images: a whole program, with all its processes, as canonical bytes (`docs/snapshot.md`).
//!
//! Processes are numbered in the order of their handles, so that a map with handles as keys stays in order when they become other handles.
//! Times are written as what is left of them. Randomness is not part of an image: a program that goes on gets a new seed.

use crate::core::process::{Body, Ended, Group, Mailbox, Reply, State, Wait};
use crate::core::table::{Listener, Place};
use crate::core::{Core, Now, Settings};
use crate::ids::ProcessId;
use crate::policy::{Policy, Quotas};
use qualm_ir::binary;
use qualm_ir::module::Module;
use qualm_ir::wire::{Reader, WireError, Writer};
use qualm_vm::code::Program;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::snapshot::{Decoder, Encoder};
use qualm_vm::value::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The first bytes of a file.
pub const MAGIC: &[u8; 6] = b"\x7fqimag";
/// The version of the format.
pub const VERSION: u64 = 1;

/// Arguments and names are at most so long.
const TEXT_MAX: usize = 1 << 26;

mod waits {
    pub(super) const GO_ON: u8 = 0;
    pub(super) const UNIT: u8 = 1;
    pub(super) const BOOL: u8 = 2;
    pub(super) const MESSAGE: u8 = 3;
    pub(super) const MAYBE_MESSAGE: u8 = 4;
    pub(super) const NO_MESSAGE: u8 = 5;
    pub(super) const JOINED: u8 = 6;
    pub(super) const GROUP: u8 = 7;
    pub(super) const PROCESSES: u8 = 8;
    pub(super) const MAYBE_PROCESS: u8 = 9;
    pub(super) const NO_PROCESS: u8 = 10;
    pub(super) const ERROR: u8 = 11;
    pub(super) const FOR_MESSAGE: u8 = 16;
    pub(super) const FOR_TIME: u8 = 17;
    pub(super) const FOR_REPLY: u8 = 18;
    pub(super) const FOR_GROUP: u8 = 19;
}

/// A program that was stopped: its code and its state.
#[derive(Debug)]
pub struct Image {
    /// The code.
    pub module: Module,
    /// The state, whose hash names it.
    pub state: Vec<u8>,
}

impl Image {
    /// The bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(MAGIC);
        out.unsigned(VERSION);
        out.bytes(&binary::encode(&self.module));
        out.bytes(&self.state);
        out.into_bytes()
    }

    /// Reads a file. The state is read by [`restore`].
    ///
    /// # Errors
    /// If the bytes are not those of an image.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        if input.raw(MAGIC.len().min(bytes.len()))? != MAGIC {
            return Err(WireError {
                offset: 0,
                message: "this is not an image of a program (`\\x7fqimag` expected)".into(),
            });
        }
        let version = input.unsigned()?;
        if version != VERSION {
            return input.error(format!("image version {version}; this program reads version {VERSION}"));
        }
        let module = input.bytes(usize::MAX >> 1, "the code")?;
        let start = input.offset() - module.len();
        let module = binary::decode(module)
            .map_err(|error| WireError { offset: start + error.offset, message: error.message })?;
        let state = input.bytes(usize::MAX >> 1, "the state")?.to_vec();
        if input.remaining() > 0 {
            return input.error("the image should end here");
        }
        Ok(Self { module, state })
    }

    /// The hash that names the state.
    pub fn hash(&self) -> String {
        blake3::hash(&self.state).to_hex().to_string()
    }
}

// ---- writing

/// All that is to be written, by handle.
struct Processes<'c> {
    live: BTreeMap<u64, (&'c Body, &'c [Listener])>,
    ended: HashMap<u64, &'c Ended>,
    timers: HashMap<(u64, u32), u64>,
    policies: Vec<Arc<Policy>>,
}

fn word(id: ProcessId) -> u64 {
    id.value().as_fiber().unwrap_or(0)
}

/// Handles in the order that values have.
fn in_order(ids: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_by_key(|id| Value::fiber(*id).order_word());
    ids.dedup();
    ids
}

/// The state of a program that was stopped.
pub fn save(cores: &[Core], now: Now, args: &[String]) -> Vec<u8> {
    let program = cores[0].program.clone();
    let mut all =
        Processes { live: BTreeMap::new(), ended: HashMap::new(), timers: HashMap::new(), policies: Vec::new() };
    let mut listeners: HashMap<u64, &[Listener]> = HashMap::new();
    for core in cores {
        for (id, slot) in core.table.slots() {
            listeners.insert(word(id), &slot.listeners);
            if let Place::Ended(ended) = &slot.place {
                all.ended.insert(word(id), ended);
            }
        }
        for (at, id, token) in core.timers.all() {
            all.timers.insert((word(id), token), at);
        }
    }
    for core in cores {
        let at_home = core.table.slots().filter_map(|(_, slot)| match &slot.place {
            Place::Here(body) => Some(&**body),
            _ => None,
        });
        for body in at_home.chain(core.guests.values().map(|body| &**body)) {
            let listeners = listeners.get(&word(body.id)).copied().unwrap_or(&[]);
            all.live.insert(word(body.id), (body, listeners));
        }
    }
    let ids = in_order(all.live.keys().copied());
    for id in &ids {
        let (body, _) = all.live[id];
        let chain = std::iter::successors(Some(&body.policy), |policy| policy.parent()).collect::<Vec<_>>();
        for policy in chain.into_iter().rev() {
            if !all.policies.iter().any(|known| Arc::ptr_eq(known, policy)) {
                all.policies.push(policy.clone());
            }
        }
    }
    // Handles of processes that ended have numbers too; to know which there are, everything is written until there are no more.
    let mut known: BTreeSet<u64> = ids.into_iter().collect();
    loop {
        let order = in_order(known.iter().copied());
        let numbers: HashMap<u64, u64> = order.iter().copied().zip(1..).collect();
        let mut out = Encoder::new(&program, &numbers);
        write_all(&mut out, cores, &all, &order, &numbers, now, args);
        if out.unknown().is_empty() {
            return out.finish();
        }
        known.extend(out.unknown());
    }
}

fn write_all(
    out: &mut Encoder<'_>,
    cores: &[Core],
    all: &Processes<'_>,
    order: &[u64],
    numbers: &HashMap<u64, u64>,
    now: Now,
    args: &[String],
) {
    out.out().length(args.len());
    args.iter().for_each(|arg| out.out().bytes(arg.as_bytes()));
    out.out().length(all.policies.len());
    for policy in &all.policies {
        write_policy(out.out(), policy, &all.policies);
    }
    out.out().length(order.len());
    for id in order {
        match all.live.get(id) {
            Some((body, listeners)) => {
                out.out().byte(0);
                write_body(out, all, numbers, body, listeners, now);
            }
            None => {
                out.out().byte(1);
                write_ended(out, all.ended.get(id).copied().unwrap_or(&Ended::Forgotten));
            }
        }
    }
    let references = cores.iter().map(Core::references_end).max().unwrap_or(0);
    out.out().unsigned(references.max(0) as u64);
    let number = |id: ProcessId| numbers.get(&word(id)).copied().unwrap_or(0);
    let registry = &cores[0].registry;
    let names: Vec<_> = registry.names().collect();
    out.out().length(names.len());
    for (name, id) in names {
        out.out().bytes(name.as_bytes());
        out.out().unsigned(number(id));
    }
    let groups: Vec<_> = registry.groups().collect();
    out.out().length(groups.len());
    for (name, members) in groups {
        out.out().bytes(name.as_bytes());
        out.out().length(members.len());
        members.iter().for_each(|id| out.out().unsigned(number(*id)));
    }
}

fn write_policy(out: &mut Writer, policy: &Arc<Policy>, policies: &[Arc<Policy>]) {
    let parent = policy.parent().and_then(|parent| policies.iter().position(|known| Arc::ptr_eq(known, parent)));
    let quotas = policy.quotas();
    let optional = |out: &mut Writer, value: Option<u64>| match value {
        Some(value) => {
            out.byte(1);
            out.unsigned(value);
        }
        None => out.byte(0),
    };
    optional(out, parent.map(|parent| parent as u64));
    // What the program as a whole may do is decided when it goes on.
    if parent.is_some() {
        let names = policy.capabilities.granted();
        out.length(names.len());
        names.iter().for_each(|name| out.bytes(name.as_bytes()));
        optional(out, quotas.memory_words.map(|words| words as u64));
        optional(out, quotas.fuel);
        optional(out, quotas.fibers);
        optional(out, quotas.mailbox.map(|messages| messages as u64));
    }
}

fn write_body(
    out: &mut Encoder<'_>,
    all: &Processes<'_>,
    numbers: &HashMap<u64, u64>,
    body: &Body,
    listeners: &[Listener],
    now: Now,
) {
    let number = |id: ProcessId| numbers.get(&word(id)).copied().unwrap_or(0);
    let waits_with = |id: ProcessId, token: u32| {
        all.live.get(&word(id)).is_some_and(|(body, _)| body.token == token && matches!(body.state, State::Waiting(_)))
    };
    out.out().unsigned(number(body.parent));
    let policy = all.policies.iter().position(|policy| Arc::ptr_eq(policy, &body.policy)).unwrap_or(0);
    out.out().length(policy);
    out.fiber(&body.parked);
    let left = || all.timers.get(&(word(body.id), body.token)).map_or(0, |at| at.saturating_sub(now.nanos));
    match &body.state {
        State::Running => out.out().byte(waits::GO_ON),
        State::Ready(reply) => write_reply(out, reply, &number),
        State::Waiting(Wait::Message { at, take, timed }) => {
            out.out().byte(waits::FOR_MESSAGE);
            out.out().unsigned(u64::from(*at));
            out.out().byte(u8::from(*take));
            out.out().byte(u8::from(*timed));
            if *timed {
                out.out().unsigned(left());
            }
        }
        State::Waiting(Wait::Timer) => {
            out.out().byte(waits::FOR_TIME);
            out.out().unsigned(left());
        }
        State::Waiting(Wait::Reply) => out.out().byte(waits::FOR_REPLY),
        State::Waiting(Wait::Group(group)) => {
            out.out().byte(waits::FOR_GROUP);
            out.out().length(group.results.len());
            for result in &group.results {
                match result {
                    Some(ended) => write_ended(out, ended),
                    None => out.out().byte(255),
                }
            }
        }
    }
    match body.mailbox.look() {
        None => out.out().byte(0),
        Some(messages) => {
            out.out().byte(1);
            out.out().unsigned(messages.bound.map_or(0, |bound| bound as u64));
            out.out().byte(u8::from(messages.traps));
            out.out().length(messages.queue.len());
            messages.queue.iter().for_each(|message| out.parcel(message));
            let senders: Vec<u64> = messages
                .senders
                .iter()
                .filter(|(id, token)| waits_with(*id, *token))
                .map(|(id, _)| number(*id))
                .collect();
            out.out().length(senders.len());
            senders.iter().for_each(|sender| out.out().unsigned(*sender));
        }
    }
    let listeners: Vec<&Listener> = listeners
        .iter()
        .filter(|listener| match listener {
            Listener::Join(id, token) | Listener::Group(id, token, _) => waits_with(*id, *token),
            Listener::Registry => false,
            Listener::Monitor(id, _) | Listener::Link(id) => number(*id) != 0,
            Listener::Nobody => true,
        })
        .collect();
    out.out().length(listeners.len());
    for listener in listeners {
        let (tag, id, rest) = match listener {
            Listener::Join(id, _) => (0, Some(*id), None),
            Listener::Group(id, _, place) => (1, Some(*id), Some(i64::from(*place))),
            Listener::Monitor(id, reference) => (2, Some(*id), Some(*reference)),
            Listener::Link(id) => (3, Some(*id), None),
            Listener::Nobody | Listener::Registry => (4, None, None),
        };
        out.out().byte(tag);
        if let Some(id) = id {
            out.out().unsigned(number(id));
        }
        if let Some(rest) = rest {
            out.out().signed(rest);
        }
    }
}

fn write_reply(out: &mut Encoder<'_>, reply: &Reply, number: &dyn Fn(ProcessId) -> u64) {
    match reply {
        Reply::GoOn => out.out().byte(waits::GO_ON),
        Reply::Unit => out.out().byte(waits::UNIT),
        Reply::Bool(value) => {
            out.out().byte(waits::BOOL);
            out.out().byte(u8::from(*value));
        }
        Reply::Message(message) => {
            out.out().byte(waits::MESSAGE);
            out.parcel(message);
        }
        Reply::MaybeMessage(Some(message)) => {
            out.out().byte(waits::MAYBE_MESSAGE);
            out.parcel(message);
        }
        Reply::MaybeMessage(None) => out.out().byte(waits::NO_MESSAGE),
        Reply::Joined(ended) => {
            out.out().byte(waits::JOINED);
            write_ended(out, ended);
        }
        Reply::Group(members) => {
            out.out().byte(waits::GROUP);
            out.out().length(members.len());
            members.iter().for_each(|ended| write_ended(out, ended));
        }
        Reply::Processes(ids) => {
            out.out().byte(waits::PROCESSES);
            out.out().length(ids.len());
            ids.iter().for_each(|id| out.out().unsigned(number(*id)));
        }
        Reply::MaybeProcess(Some(id)) => {
            out.out().byte(waits::MAYBE_PROCESS);
            out.out().unsigned(number(*id));
        }
        Reply::MaybeProcess(None) => out.out().byte(waits::NO_PROCESS),
        // An answer of the world is given before a program is saved.
        Reply::World(_) => out.out().byte(waits::UNIT),
        Reply::Error(kind, message) => {
            out.out().byte(waits::ERROR);
            out.out().unsigned(u64::from(kind.number()));
            out.out().bytes(message.as_bytes());
        }
    }
}

fn write_ended(out: &mut Encoder<'_>, ended: &Ended) {
    let (tag, parcel) = match ended {
        Ended::Value(value) => (0, Some(value)),
        Ended::Error(raised) => (1, Some(raised)),
        Ended::Cancelled(reason) => (2, Some(reason)),
        Ended::Quota(what) => {
            out.out().byte(3);
            out.out().bytes(what.as_bytes());
            return;
        }
        Ended::Forgotten => (4, None),
    };
    out.out().byte(tag);
    if let Some(parcel) = parcel {
        out.parcel(parcel);
    }
}

// ---- reading

type Read<T> = Result<T, WireError>;

/// A program from an image: its first core, and what it sees as its arguments.
///
/// # Errors
/// If the state is not one of this program.
pub fn restore(
    state: &[u8],
    program: &Arc<Program>,
    settings: Settings,
    root: Policy,
    now: Now,
) -> Read<(Core, Vec<String>)> {
    // Handles are the places of the processes at core 0.
    let most = state.len();
    let handles: Vec<u64> = std::iter::once(u64::MAX >> 8).chain((0..most as u64).map(|index| index)).collect();
    let mut input = Decoder::new(state, program, &handles)?;
    let mut args = Vec::new();
    for _ in 0..input.input().count(TEXT_MAX, "the number of arguments")? {
        args.push(input.input().text(TEXT_MAX, "an argument")?.to_owned());
    }
    let policies = read_policies(input.input(), root)?;
    let mut core = Core::new(program.clone(), Settings { args: args.clone().into(), ..settings });
    let count = input.input().count(crate::ids::INDEXES_MAX, "the number of processes")?;
    let mut restored = Restored { core: &mut core, count, policies, now, waits: Vec::new() };
    for number in 0..count {
        restored.process(&mut input, number)?;
    }
    restored.settle(&mut input)?;
    let references = restored.references(input.input())?;
    for _ in 0..input.input().count(TEXT_MAX, "the number of names")? {
        let name = input.input().text(TEXT_MAX, "a name")?.to_owned();
        let id = restored.id(input.input())?;
        restored.core.registry.name(name, id);
        restored.listen(id, Listener::Registry);
    }
    for _ in 0..input.input().count(TEXT_MAX, "the number of groups")? {
        let name = input.input().text(TEXT_MAX, "the name of a group")?.to_owned();
        for _ in 0..input.input().count(TEXT_MAX, "the number of members")? {
            let id = restored.id(input.input())?;
            restored.core.registry.join(name.clone(), id);
            restored.listen(id, Listener::Registry);
        }
    }
    input.finish()?;
    core.references_from = references;
    Ok((core, args))
}

fn optional(input: &mut Reader<'_>) -> Read<Option<u64>> {
    match input.byte()? {
        0 => Ok(None),
        1 => input.unsigned().map(Some),
        other => input.error(format!("{other} is neither 0 (nothing) nor 1")),
    }
}

fn read_policies(input: &mut Reader<'_>, root: Policy) -> Read<Vec<Arc<Policy>>> {
    let root = Arc::new(root);
    let mut policies: Vec<Arc<Policy>> = Vec::new();
    for number in 0..input.count(TEXT_MAX, "the number of policies")? {
        let parent = optional(input)?;
        let Some(parent) = parent else {
            if number > 0 {
                return input.error("only the first policy has no parent");
            }
            policies.push(root.clone());
            continue;
        };
        let Some(parent) = policies.get(parent as usize).cloned() else {
            return input.error("the parent of a policy comes before it");
        };
        let mut names = Vec::new();
        for _ in 0..input.count(TEXT_MAX, "the number of capabilities")? {
            let name = input.text(TEXT_MAX, "a capability")?;
            // Nothing is granted again that the one who goes on with the program does not grant.
            match parent.capabilities.has(name) {
                Some(true) => names.push(name),
                Some(false) => {}
                None => return input.error(format!("`{name}` is no capability")),
            }
        }
        names.retain(|name| parent.capabilities.narrowed(std::iter::once(*name)).is_ok());
        let Ok(capabilities) = parent.capabilities.narrowed(names.into_iter()) else {
            return input.error("capabilities that contradict each other");
        };
        let quotas = Quotas {
            memory_words: optional(input)?.map(|words| words as usize),
            fuel: optional(input)?,
            fibers: optional(input)?,
            mailbox: optional(input)?.map(|messages| messages as usize),
        };
        policies.push(Arc::new(parent.narrowed(capabilities, quotas)));
    }
    if policies.is_empty() {
        return input.error("a program has a policy");
    }
    Ok(policies)
}

struct Restored<'c> {
    core: &'c mut Core,
    count: usize,
    policies: Vec<Arc<Policy>>,
    now: Now,
    /// Listeners of processes, to be added once all are there.
    waits: Vec<(ProcessId, Listener)>,
}

impl Restored<'_> {
    /// The handle of a process by its number; numbers begin at 1.
    fn id(&self, input: &mut Reader<'_>) -> Read<ProcessId> {
        let number = input.at_most(self.count, "a process")?;
        if number == 0 {
            return input.error("a process has a number from 1");
        }
        Ok(ProcessId::new(0, number as u32 - 1, 0))
    }

    fn references(&self, input: &mut Reader<'_>) -> Read<i64> {
        input.at_most(i64::MAX as usize >> 1, "the number of monitors").map(|number| number as i64)
    }

    fn listen(&mut self, id: ProcessId, listener: Listener) {
        self.waits.push((id, listener));
        if let Some(slot) = self.core.table.slot(id)
            && !matches!(slot.place, Place::Ended(_))
        {
            slot.listeners.push(listener);
        }
    }

    fn process(&mut self, input: &mut Decoder<'_>, number: usize) -> Read<()> {
        let id = ProcessId::new(0, number as u32, 0);
        match input.input().byte()? {
            0 => {}
            1 if number > 0 => {
                let ended = Arc::new(read_ended(input)?);
                self.core.table.restore(id, ProcessId::MAIN, Place::Ended(ended));
                return Ok(());
            }
            _ => return input.input().error("a process lives (0) or has ended (1); the first one lives"),
        }
        let parent = self.id(input.input())?;
        let last = self.policies.len() - 1;
        let policy = self.policies[input.input().at_most(last, "a policy")?].clone();
        let start = input.input().offset();
        let parked = input.fiber()?;
        let state = self.state(input, id)?;
        let waits = matches!(state, State::Waiting(_)) || !matches!(state, State::Ready(Reply::GoOn));
        if waits != parked.waits() {
            let message = "a process waits if its fiber does".into();
            return Err(WireError { offset: start, message });
        }
        let mailbox = self.mailbox(input)?;
        let ready = matches!(state, State::Ready(_));
        let body =
            Body { id, parent, parked, state, token: 0, mailbox, policy, spawned_at: 1, settled: false, holds: false };
        self.core.table.restore(id, parent, Place::Here(Box::new(body)));
        if ready {
            self.core.ready.push_back(id);
        }
        for _ in 0..input.input().count(TEXT_MAX, "the number of listeners")? {
            let tag = input.input().byte()?;
            let listener = match tag {
                0 => Listener::Join(self.id(input.input())?, 0),
                1 => Listener::Group(self.id(input.input())?, 0, self.place(input.input())?),
                2 => Listener::Monitor(self.id(input.input())?, input.input().signed()?),
                3 => Listener::Link(self.id(input.input())?),
                4 => Listener::Nobody,
                other => return input.input().error(format!("{other} is not the tag of a listener")),
            };
            self.listen(id, listener);
        }
        Ok(())
    }

    fn place(&self, input: &mut Reader<'_>) -> Read<u32> {
        let place = input.signed()?;
        match u32::try_from(place) {
            Ok(place) => Ok(place),
            Err(_) => input.error("a place in a group is a number from 0"),
        }
    }

    fn state(&mut self, input: &mut Decoder<'_>, id: ProcessId) -> Read<State> {
        let tag = input.input().byte()?;
        let reply = match tag {
            waits::GO_ON => Reply::GoOn,
            waits::UNIT => Reply::Unit,
            waits::BOOL => Reply::Bool(flag(input.input())?),
            waits::MESSAGE => Reply::Message(input.parcel()?),
            waits::MAYBE_MESSAGE => Reply::MaybeMessage(Some(input.parcel()?)),
            waits::NO_MESSAGE => Reply::MaybeMessage(None),
            waits::JOINED => Reply::Joined(Arc::new(read_ended(input)?)),
            waits::GROUP => {
                let count = input.input().count(TEXT_MAX, "the number of members")?;
                let members: Read<Vec<_>> = (0..count).map(|_| read_ended(input).map(Arc::new)).collect();
                Reply::Group(members?)
            }
            waits::PROCESSES => {
                let count = input.input().count(TEXT_MAX, "the number of processes")?;
                let ids: Read<Vec<_>> = (0..count).map(|_| self.id(input.input())).collect();
                Reply::Processes(ids?)
            }
            waits::MAYBE_PROCESS => Reply::MaybeProcess(Some(self.id(input.input())?)),
            waits::NO_PROCESS => Reply::MaybeProcess(None),
            waits::ERROR => {
                let number = input.input().unsigned()?;
                let Some(kind) = u32::try_from(number).ok().and_then(qualm_vm::statics::Known::from_number) else {
                    return input.input().error("there is no such kind of error");
                };
                Reply::Error(kind, input.input().text(TEXT_MAX, "a message")?.into())
            }
            waits::FOR_MESSAGE => {
                let at = input.input().at_most(u32::MAX as usize, "a place in a mailbox")? as u32;
                let (take, timed) = (flag(input.input())?, flag(input.input())?);
                if timed {
                    self.timer(input.input(), id)?;
                }
                return Ok(State::Waiting(Wait::Message { at, take, timed }));
            }
            waits::FOR_TIME => {
                self.timer(input.input(), id)?;
                return Ok(State::Waiting(Wait::Timer));
            }
            waits::FOR_REPLY => return Ok(State::Waiting(Wait::Reply)),
            waits::FOR_GROUP => return self.group(input),
            other => return input.input().error(format!("{other} is not a state of a process")),
        };
        Ok(State::Ready(reply))
    }

    fn group(&self, input: &mut Decoder<'_>) -> Read<State> {
        let count = input.input().count(TEXT_MAX, "the number of members")?;
        let mut results = Vec::with_capacity(count.min(1 << 16));
        let mut left = 0;
        for _ in 0..count {
            let tag = input.input().byte()?;
            results.push(if tag == 255 {
                left += 1;
                None
            } else {
                Some(Arc::new(read_ended_of(input, tag)?))
            });
        }
        if left == 0 {
            return input.input().error("a group that is waited for has members that have not ended");
        }
        Ok(State::Waiting(Wait::Group(Box::new(Group { results, left }))))
    }

    fn timer(&mut self, input: &mut Reader<'_>, id: ProcessId) -> Read<()> {
        let left = input.unsigned()?;
        self.core.timers.add(self.now.nanos.saturating_add(left), id, 0);
        Ok(())
    }

    fn mailbox(&self, input: &mut Decoder<'_>) -> Read<Mailbox> {
        let mut mailbox = Mailbox::default();
        if !flag(input.input())? {
            return Ok(mailbox);
        }
        let messages = mailbox.get();
        let bound = input.input().unsigned()? as usize;
        messages.bound = (bound > 0).then_some(bound);
        messages.traps = flag(input.input())?;
        for _ in 0..input.input().count(TEXT_MAX, "the number of messages")? {
            messages.queue.push_back(input.parcel()?);
        }
        for _ in 0..input.input().count(TEXT_MAX, "the number of senders")? {
            messages.senders.push_back((self.id(input.input())?, 0));
        }
        Ok(mailbox)
    }

    /// All processes are there: what they say of each other must fit.
    fn settle(&mut self, input: &mut Decoder<'_>) -> Read<()> {
        let mut places = HashMap::new();
        for (member, listener) in &self.waits {
            if let Listener::Group(id, _, place) = listener {
                places.entry(*id).or_insert_with(Vec::new).push((*place, *member));
            }
        }
        for (id, mut members) in places {
            members.sort_unstable();
            let Some(Body { state: State::Waiting(Wait::Group(group)), .. }) = self.core.table.body(id) else {
                return input.input().error("the member of a group belongs to a process that waits for one");
            };
            let open = (0..).zip(&group.results).filter(|(_, result)| result.is_none()).map(|(place, _)| place);
            if !open.eq(members.iter().map(|(place, _)| *place)) {
                return input.input().error("a group waits for other members than there are");
            }
        }
        Ok(())
    }
}

fn flag(input: &mut Reader<'_>) -> Read<bool> {
    Ok(input.at_most(1, "a truth value")? == 1)
}

fn read_ended(input: &mut Decoder<'_>) -> Read<Ended> {
    let tag = input.input().byte()?;
    read_ended_of(input, tag)
}

fn read_ended_of(input: &mut Decoder<'_>, tag: u8) -> Read<Ended> {
    let parcel = |input: &mut Decoder<'_>| -> Read<Parcel> { input.parcel() };
    Ok(match tag {
        0 => Ended::Value(parcel(input)?),
        1 => Ended::Error(parcel(input)?),
        2 => Ended::Cancelled(parcel(input)?),
        3 => {
            let name = input.input().text(TEXT_MAX, "a quota")?;
            match ["memory", "fuel", "fibers", "mailbox"].into_iter().find(|known| *known == name) {
                Some(known) => Ended::Quota(known),
                None => return input.input().error(format!("`{name}` is no quota")),
            }
        }
        4 => Ended::Forgotten,
        other => return input.input().error(format!("{other} is not how a process ends")),
    })
}
