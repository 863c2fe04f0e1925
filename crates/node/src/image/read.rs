//! Reading the state of a program, to go on with it.

use super::{Around, TEXT_MAX, waits};
use crate::core::process::{Body, Ended, Group, Mailbox, Reply, Settled, State, Suspended, Wait};
use crate::core::table::{Listener, Place};
use crate::core::{Core, Now, Settings};
use crate::ids::ProcessId;
use crate::policy::{DEPTH_MAX, Policy, Quotas};
use crate::system::{Answer, Trouble};
use qualm_ir::wire::{Reader, WireError};
use qualm_vm::code::Program;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::parked::Parked;
use qualm_vm::snapshot::Decoder;
use std::collections::HashMap;
use std::sync::Arc;

type Read<T> = Result<T, WireError>;

/// A program from an image: its first core, and what belongs to it besides.
///
/// # Errors
/// If the state is not one of this program.
pub fn restore(
    state: &[u8],
    program: &Arc<Program>,
    settings: Settings,
    root: Policy,
    now: Now,
) -> Read<(Core, Around)> {
    let mut input = Decoder::new(state, program, handle)?;
    let mut around = Around::default();
    for _ in 0..input.input().count(TEXT_MAX, "the number of arguments")? {
        around.args.push(input.input().text(TEXT_MAX, "an argument")?.to_owned());
    }
    for _ in 0..input.input().count(TEXT_MAX, "the number of values")? {
        let value = input.input().bytes(usize::MAX >> 1, "a value")?.to_vec();
        let hash = blake3::hash(&value).to_hex().to_string();
        if around.values.last_key_value().is_some_and(|(last, _)| *last >= hash) {
            return input.input().error("values are in the order of their hashes");
        }
        around.values.insert(hash, value);
    }
    let policies = read_policies(input.input(), root)?;
    let mut core = Core::new(program.clone(), Settings { args: around.args.clone().into(), ..settings });
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
    Ok((core, around))
}

/// The handle of a process by its number in an image: they get the places of core 0 in their order; 0 is nobody.
fn handle(number: u64) -> Option<u64> {
    match number.checked_sub(1) {
        None => Some(u64::MAX >> 8),
        Some(place) => (place < crate::ids::INDEXES_MAX as u64).then_some(place),
    }
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
        let Some(policy) = parent.narrowed(capabilities, quotas) else {
            return input.error(format!("policies are within at most {DEPTH_MAX} others"));
        };
        policies.push(Arc::new(policy));
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
        let tag = input.input().byte()?;
        match tag {
            0 => {}
            2 if number == 0 => self.core.settings.session = true,
            1 if number > 0 => {
                let ended = Arc::new(read_ended(input)?);
                self.core.table.restore(id, ProcessId::MAIN, Place::Ended(ended));
                return Ok(());
            }
            _ => return input.input().error("a process lives (0), has ended (1) or waits for an input (2); the first one lives, and only it waits for inputs"),
        }
        let parent = self.id(input.input())?;
        let last = self.policies.len() - 1;
        let policy = self.policies[input.input().at_most(last, "a policy")?].clone();
        let is_suspended = flag(input.input())?;
        let start = input.input().offset();
        let (parked, state) = if tag == 2 {
            (Parked::elsewhere(), State::Waiting(Wait::Input))
        } else {
            (input.fiber(policy.limits.memory_words)?, self.state(input, id)?)
        };
        let waits = matches!(state, State::Waiting(_)) || !matches!(state, State::Ready(Reply::GoOn));
        if waits != (parked.waits() || tag == 2) {
            let message = "a process waits if its fiber does".into();
            return Err(WireError { offset: start, message });
        }
        let mailbox = self.mailbox(input)?;
        let ready = matches!(state, State::Ready(_));
        let body = Body {
            id,
            parent,
            parked,
            state,
            token: 0,
            mailbox,
            policy,
            spawned_at: 1,
            settled: Settled::Unknown,
            sent_far: 0,
            holds: false,
            returns: false,
            suspended: match (is_suspended, ready) {
                (false, _) => Suspended::No,
                (true, false) => Suspended::Yes,
                (true, true) => Suspended::Skipped,
            },
        };
        self.core.suspended += usize::from(is_suspended);
        self.core.table.restore(id, parent, Place::Here(Box::new(body)));
        if ready && !is_suspended {
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
                let name = input.input().text(TEXT_MAX, "a kind of error")?;
                let Some(kind) = qualm_vm::statics::Known::from_name(name) else {
                    return input.input().error(format!("`{name}` is no kind of error"));
                };
                Reply::Error(kind, input.input().text(TEXT_MAX, "a message")?.into())
            }
            waits::INTERRUPTED => {
                let trouble = Trouble::Failed("interrupted: the program was saved".to_owned());
                Reply::World(Box::new(Answer::Result(Err(trouble))))
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
            messages.queue.push(input.parcel()?);
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
