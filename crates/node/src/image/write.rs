//! Writing the state of a program that was stopped.

use super::{Around, waits};
use crate::core::process::{Body, Ended, Reply, State, Suspended, Wait};
use crate::core::table::{Listener, Place};
use crate::core::{Core, Now};
use crate::ids::ProcessId;
use crate::policy::Policy;
use qualm_ir::wire::Writer;
use qualm_vm::snapshot::Encoder;
use qualm_vm::value::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// All that is to be written, by handle.
struct Processes<'c> {
    live: BTreeMap<u64, (&'c Body, &'c [Listener])>,
    ended: HashMap<u64, &'c Ended>,
    timers: HashMap<(u64, u32), u64>,
    policies: Policies,
    pending: &'c HashSet<(ProcessId, u32)>,
}

/// The policies of all processes, each once, parents before children.
#[derive(Default)]
struct Policies {
    all: Vec<Arc<Policy>>,
    numbers: HashMap<*const Policy, usize>,
}

impl Policies {
    fn add(&mut self, policy: &Arc<Policy>) {
        let next = self.all.len();
        if *self.numbers.entry(Arc::as_ptr(policy)).or_insert(next) == next {
            self.all.push(policy.clone());
        }
    }

    fn number(&self, policy: &Arc<Policy>) -> Option<usize> {
        self.numbers.get(&Arc::as_ptr(policy)).copied()
    }
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

/// The state of a program that was stopped. The answers of the world to `pending` will never come: these waits end with a failure.
pub fn save(cores: &[Core], now: Now, around: &Around, pending: &HashSet<(ProcessId, u32)>) -> Vec<u8> {
    let program = cores[0].program.clone();
    let mut all = Processes {
        live: BTreeMap::new(),
        ended: HashMap::new(),
        timers: HashMap::new(),
        policies: Policies::default(),
        pending,
    };
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
        let unknown = |policy: &&Arc<Policy>| all.policies.number(policy).is_none();
        let chain = std::iter::successors(Some(&body.policy), |policy| policy.parent()).take_while(unknown);
        let chain: Vec<_> = chain.collect();
        for policy in chain.into_iter().rev() {
            all.policies.add(policy);
        }
    }
    // Handles of processes that ended have numbers too; to know which there are, everything is written until there are no more.
    let mut known: BTreeSet<u64> = ids.into_iter().collect();
    loop {
        let order = in_order(known.iter().copied());
        let numbers: HashMap<u64, u64> = order.iter().copied().zip(1..).collect();
        let mut out = Encoder::new(&program, &numbers);
        write_all(&mut out, cores, &all, &order, &numbers, now, around);
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
    around: &Around,
) {
    out.out().length(around.args.len());
    around.args.iter().for_each(|arg| out.out().bytes(arg.as_bytes()));
    out.out().length(around.values.len());
    around.values.values().for_each(|value| out.out().bytes(value));
    out.out().length(all.policies.all.len());
    for policy in &all.policies.all {
        write_policy(out.out(), policy, &all.policies);
    }
    out.out().length(order.len());
    for id in order {
        match all.live.get(id) {
            Some((body, listeners)) => {
                out.out().byte(if matches!(body.state, State::Waiting(Wait::Input)) { 2 } else { 0 });
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

fn write_policy(out: &mut Writer, policy: &Arc<Policy>, policies: &Policies) {
    let parent = policy.parent().and_then(|parent| policies.number(parent));
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
    let policy = all.policies.number(&body.policy).unwrap_or(0);
    out.out().length(policy);
    out.out().byte(u8::from(body.suspended != Suspended::No));
    if !matches!(body.state, State::Waiting(Wait::Input)) {
        out.fiber(&body.parked);
    }
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
        State::Waiting(Wait::Input) => {}
        State::Waiting(Wait::Timer) => {
            out.out().byte(waits::FOR_TIME);
            out.out().unsigned(left());
        }
        State::Waiting(Wait::Reply) if all.pending.contains(&(body.id, body.token)) => {
            out.out().byte(waits::INTERRUPTED)
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
        // Answers of the world are given before a program is saved, but for those that never come.
        Reply::World(_) => out.out().byte(waits::INTERRUPTED),
        Reply::Error(kind, message) => {
            out.out().byte(waits::ERROR);
            out.out().bytes(kind.name().as_bytes());
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
