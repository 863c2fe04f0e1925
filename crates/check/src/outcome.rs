//! What came of running a module: the part every executor must agree on.

use qualm_ir::module::Module;
use qualm_ir::verify::Verified;
use qualm_vm::fiber::{Exit, Fiber, Limits};
use qualm_vm::heap::Stress;
use qualm_vm::load::load;

/// Result, effects and fuel of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// How it ended, in words.
    pub end: String,
    /// The requests it made of the system, in order; each was answered with `()`.
    pub requests: Vec<String>,
    /// Function entries.
    pub fuel: u64,
}

/// Requests after which a run is ended.
const REQUESTS_MAX: usize = 100;

/// Runs the entry of a module on the interpreter.
pub fn run(module: Verified<Module>, fuel: u64, stress: Stress) -> Outcome {
    let program = load(module);
    let mut requests = Vec::new();
    if program.entry().is_none() {
        return Outcome { end: "no entry".into(), requests, fuel: 0 };
    }
    let mut fiber = Fiber::new(&program, Limits { memory_words: 1 << 22 }, stress);
    fiber.start(&program);
    let end = loop {
        let left = fuel.saturating_sub(fiber.fuel_used());
        match fiber.run(&program, left) {
            Exit::Done(value) => break format!("value {}", clip(fiber.heap.repr(value))),
            Exit::Failed(uncaught) => break format!("error {}", clip(fiber.heap.repr(uncaught.value))),
            Exit::OutOfFuel => break "out of fuel".into(),
            Exit::OutOfMemory => break "out of memory".into(),
            Exit::Request(_) if requests.len() == REQUESTS_MAX => break "too many requests".into(),
            Exit::Request(request) => {
                requests.push(clip(fiber.heap.repr(request)));
                fiber.resume(qualm_vm::value::Value::UNIT);
            }
        }
    };
    Outcome { end, requests, fuel: fiber.fuel_used() }
}

/// Long printed values say nothing more by being whole.
fn clip(text: String) -> String {
    const CHARS_MAX: usize = 2_000;
    if text.len() <= CHARS_MAX { text } else { text.chars().take(CHARS_MAX).collect() }
}
