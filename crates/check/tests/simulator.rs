//! Programs whose result does not depend on the schedule give it under every schedule, on any number of cores, saved and restored anywhere.

use qualm_ir::verify::verify;
use qualm_node::capability::Capabilities;
use qualm_node::policy::Policy;
use qualm_node::scheduler::End;
use qualm_node::simulator::{Simulated, Simulator};
use qualm_passerine::{NoFiles, compile};
use qualm_vm::code::Program;
use qualm_vm::fiber::Limits;
use qualm_vm::load::load;
use std::sync::Arc;

const STEPS: u64 = 2_000_000;

fn program(text: &str) -> Arc<Program> {
    let module = compile("test.pn", text, &mut NoFiles).module.unwrap_or_else(|problems| panic!("{problems:?}"));
    Arc::new(load(verify(module).expect("the compiler makes sound modules")))
}

fn policy() -> Policy {
    Policy::root(Capabilities::script(), Limits::default(), None)
}

fn value(simulated: Simulated) -> String {
    match simulated {
        Simulated::Ended(End::Value(value)) => value,
        other => format!("{other:?}"),
    }
}

/// Under many schedules; half of them are stopped somewhere, saved, and go on with another number of cores.
fn always(text: &str, expected: &str) {
    let program = program(text);
    for seed in 0..150 {
        let cores = 1 + (seed % 4) as u8;
        let mut simulator = Simulator::start(&program, policy(), cores, seed);
        let mut found = simulator.run(if seed % 2 == 0 { STEPS } else { seed * 7 });
        while matches!(found, Simulated::OutOfSteps) && seed % 2 == 1 {
            let state = simulator.save();
            let other = 1 + (seed / 4 % 3) as u8;
            simulator = Simulator::resume(&program, &state, policy(), other, seed + 1).expect("what was saved is read");
            assert_eq!(simulator.save(), state, "a state has one spelling (seed {seed})");
            found = simulator.run(STEPS);
        }
        assert_eq!(value(found), expected, "seed {seed}");
    }
}

#[test]
fn messages_keep_their_order() {
    always(
        "use processes
me = System.self ()
relay = System.spawn (() -> loop { (to, m) = System.receive (); System.send to m })
sinks = map (k -> System.spawn (() -> {
    last, right = -1, true
    for i in 0..30 { n = System.receive (); right = right and n == last + 1; last = n }
    right
})) (0..4)
sender = System.spawn (() -> { for n in 0..30 { for sink in sinks { if n % 2 == 0 { System.send sink n } else { System.send sink n } } } })
map (sink -> System.await sink) sinks",
        "[true, true, true, true]",
    );
}

#[test]
fn a_ring_passes_its_token() {
    always(
        "hop = next rounds -> for i in 0..rounds { System.send next (System.receive () + 1) }
me = System.self ()
first = me
for i in 0..20 { next = first; first = System.spawn (() -> hop next 10) }
token = 0
for i in 0..10 { System.send first token; token = System.receive () }
token",
        "200",
    );
}

#[test]
fn a_family_ends_with_its_head() {
    always(
        "use processes
me = System.self ()
tree = depth -> {
    if depth > 0 { for i in 0..3 { System.spawn (() -> tree (depth - 1)) } }
    System.send me (System.self ())
    System.receive ()
}
head = System.spawn (() -> tree 3)
all = map (_ -> System.receive ()) (0..40)
processes::cancel head \"enough\"
ends = map (p -> processes::join p) all
(len (filter (e -> e == Error (Cancelled \"enough\")) ends), len (filter (e -> match e { Error _ -> true; _ -> false }) ends))",
        "(1, 40)",
    );
}

#[test]
fn groups_wait_for_all() {
    always(
        "fib = n -> if n < 2 { n } else { fib (n - 1) + fib (n - 2) }
inner = n -> sum (System.parallel (map (k -> () -> { System.sleep k; fib (n + k) }) (0..4)))
System.parallel (map (n -> () -> inner n) (0..5))",
        "[4, 7, 11, 18, 29]",
    );
}

#[test]
fn bounded_mailboxes_lose_nothing() {
    always(
        "use processes
me = System.self ()
sink = System.spawn (() -> { processes::bound 3; System.send me (); total = 0; for i in 0..60 { total = total + System.receive () }; total })
System.receive ()
for k in 0..3 { System.spawn (() -> for i in 0..20 { System.send sink (k * 20 + i) }) }
System.await sink",
        "1770",
    );
}

#[test]
fn a_deadlock_is_told() {
    always(
        "a = System.spawn (() -> System.receive ())
b = System.spawn (() -> System.await a)
try System.await b",
        "Error (Deadlock \"all processes are waiting\")",
    );
}

#[test]
fn monitors_and_names_and_quotas() {
    always(
        "use processes
spin = () -> loop { 1 }
limited = processes::spawn_limited { fuel: 500 } spin
number = processes::monitor limited
how = match System.receive () { Down (n, _, how) -> if n == number { how } else { None } }
clerk = System.spawn (() -> processes::serve 0 (n by -> (n + by, n + by)))
named = processes::register \"clerk\" clerk
callers = System.parallel (map (k -> () -> processes::call (unwrap (processes::where_is \"clerk\")) k) (0..10))
(how, named, processes::call clerk 0)",
        "(Error (Quota \"fuel\"), true, 45)",
    );
}

#[test]
fn who_floods_a_mailbox_is_stopped_wherever_it_is() {
    always(
        "use processes
sink = processes::spawn_limited { mailbox: 100 } (() -> System.sleep 1000000000)
floods = map (k -> System.spawn (() -> loop { System.send sink k })) (0..4)
map (p -> processes::join p) floods",
        "[Error (Quota \"mailbox\"), Error (Quota \"mailbox\"), Error (Quota \"mailbox\"), Error (Quota \"mailbox\")]",
    );
}

/// Receivers are lent, wait there, and come home while messages are on their way.
#[test]
fn messages_keep_their_order_while_receivers_come_home() {
    always(
        "sinks = map (s -> System.spawn (() -> map (_ -> System.receive ()) (0..36))) (0..4)
work = n -> { x = 0; for i in 0..n { x = x + i }; x }
senders = map (s -> System.spawn (() -> {
    for i in 0..12 {
        for sink in sinks { System.send sink (s, i) }
        if i % 3 == s { System (Pause) } else { work (10 * (i + s)) }
        if i % 5 == 4 { System.sleep 1 }
    }
})) (0..3)
each System.await senders
in_order = seen -> List.all (s -> map (m -> m.1) (filter (m -> m.0 == s) seen) == List.from (0..12)) (0..3)
map (sink -> in_order (System.await sink)) sinks",
        "[true, true, true, true]",
    );
}
