//! How long saving and restoring take, and what a second snapshot writes. `bench/run.py` runs this.

use qualm_ir::verify::verify;
use qualm_node::capability::Capabilities;
use qualm_node::policy::Policy;
use qualm_node::simulator::Simulator;
use qualm_passerine::{NoFiles, compile};
use qualm_store::{Kind, Store};
use qualm_vm::code::Program;
use qualm_vm::fiber::Limits;
use qualm_vm::load::load;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A process that holds some data and waits; a message changes one item of it.
fn program(items: usize) -> Arc<Program> {
    let text = format!(
        "data = map (n -> (n, \"item {{n}}\", n * 0.5)) (0..{items})
loop {{ n = System.receive_within 1000; data = List.set {} (0, \"changed\", 1.0) data }}",
        items / 2
    );
    let module = compile("bench.pn", &text, &mut NoFiles).module.expect("it compiles");
    Arc::new(load(verify(module).expect("it is sound")))
}

fn policy() -> Policy {
    Policy::root(Capabilities::all(), Limits::default(), None)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    for (name, items) in [("1 KiB", 8), ("1 MiB", 11_000)] {
        let program = program(items);
        let mut simulator = Simulator::start(&program, policy(), 1, 1);
        simulator.run(200);
        let state = simulator.save();
        let words = simulator.stats().heap.peak_words;
        let (mut saved, mut restored) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let began = Instant::now();
            let again = simulator.save();
            saved.push(began.elapsed());
            assert_eq!(again.len(), state.len());
            let began = Instant::now();
            let other = Simulator::resume(&program, &state, policy(), 1, 1).expect("it is read");
            restored.push(began.elapsed());
            drop(other);
        }
        let folder = std::env::temp_dir().join(format!("qualm-bench-{}", std::process::id()));
        let store = Store::open(&folder).expect("a store");
        let first = store.put(Kind::State, &state, &[], None).expect("it is written").new_bytes;
        simulator.run(20);
        let second = store.put(Kind::State, &simulator.save(), &[], None).expect("it is written").new_bytes;
        drop(store);
        let _ = std::fs::remove_dir_all(folder);
        println!("{name}\t{:.1}\t{:.1}\t{}\t{first}\t{second}\t{words}", median(saved), median(restored), state.len());
    }
}
