//! Fuzz targets and the mutations that feed them.
//!
//! A target is a function of bytes that panics when a law is broken. Inputs are mutations of the corpus and of generated programs; seeds make a run
//! repeatable. `cargo xtask fuzz TARGET --seconds N` runs one, `--smoke` a fixed number of inputs of each.

use crate::generate;
use crate::outcome;
use fastrand::Rng;
use qualm_ir::hash::function_hashes;
use qualm_ir::module::Module;
use qualm_ir::source::SourceMap;
use qualm_ir::verify::{Verified, verify};
use qualm_ir::{binary, text};
use qualm_node::capability::Capabilities;
use qualm_node::image::Image;
use qualm_node::policy::Policy;
use qualm_node::simulator::{Simulated, Simulator};
use qualm_passerine::{Lowering, NoFiles, check, compile, compile_with};
use qualm_vm::fiber::Limits;
use qualm_vm::heap::Stress;
use qualm_vm::load::load_with;
use qualm_vm::snapshot::Decoder;
use std::sync::Arc;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Tries one input; panics if a law is broken.
    pub run: fn(&[u8]),
    /// An input for a seed.
    pub input: fn(&mut Rng, &Seeds) -> Vec<u8>,
}

/// What inputs are mutated from.
#[derive(Default, Debug)]
pub struct Seeds {
    /// Passerine programs.
    pub passerine: Vec<Vec<u8>>,
    /// Text assembly.
    pub assembly: Vec<Vec<u8>>,
    /// Nix expressions.
    pub nix: Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "decode", run: decode, input: binary_input },
    Target { name: "assembly", run: assembly, input: |rng, seeds| mutated(rng, &seeds.assembly) },
    Target { name: "verify", run: generated, input: |rng, _| rng.u64(..).to_le_bytes().to_vec() },
    Target { name: "image", run: image, input: image_input },
    Target { name: "passerine", run: passerine, input: |rng, seeds| mutated(rng, &seeds.passerine) },
    Target { name: "nix", run: nix, input: |rng, seeds| mutated(rng, &seeds.nix) },
];

/// Function entries a fuzzed program may make.
const FUEL: u64 = 20_000;

/// The same where every entry collects: each looks at the whole stack, so that the time grows with the square.
const STRESS_FUEL: u64 = 2_000;

/// Any bytes are a tree that can be printed, or have a problem at a place in them.
fn nix(input: &[u8]) {
    let context = qualm_nix::Context {
        origin: "fuzz.nix".to_owned(),
        folder: b"/fuzz".to_vec(),
        home: None,
        pipe_operators: true,
    };
    match qualm_nix::parser::parse(input, &context) {
        Ok((tree, root)) => {
            drop(qualm_nix::print::print(&tree, root));
            drop(qualm_nix::scope::check(&tree, root));
        }
        Err(problem) => {
            assert!(problem.at <= input.len(), "the place of a problem is in the source");
            drop(problem.render(input, "fuzz.nix"));
        }
    }
}

/// Accepted bytes are the only spelling of their module, and verified modules run without a panic.
fn decode(bytes: &[u8]) {
    let Ok(module) = binary::decode(bytes) else { return };
    assert_eq!(binary::encode(&module), bytes, "decoding and encoding gives other bytes");
    if let Ok(module) = verify(module) {
        outcome::run(module, FUEL, Stress::None);
    }
}

/// Printing and parsing is stable, and verified modules run.
fn assembly(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let mut sources = SourceMap::default();
    let id = sources.add("fuzz.qualm", source);
    match text::parse(id, source) {
        Ok(module) => {
            let Ok(module) = verify(module) else { return };
            let printed = text::print(module.get());
            let again = text::parse(id, &printed).expect("what was printed can be read");
            assert_eq!(text::print(&again), printed, "printing is stable");
            outcome::run(module, FUEL, Stress::None);
        }
        Err(error) => assert!(!error.render(&sources).is_empty(), "an error says something"),
    }
}

/// A generated program is accepted, survives both formats, and runs the same with and without collections.
fn generated(bytes: &[u8]) {
    let mut seed = [0; 8];
    for (to, from) in seed.iter_mut().zip(bytes) {
        *to = *from;
    }
    let module = generate::module(u64::from_le_bytes(seed));
    let encoded = binary::encode(&module);
    let decoded = binary::decode(&encoded).expect("an encoded module can be decoded");
    assert_eq!(decoded, module, "the binary form keeps everything");
    let mut sources = SourceMap::default();
    let printed = text::print(&module);
    let id = sources.add("generated.qualm", printed.as_str());
    let parsed = text::parse(id, &printed).unwrap_or_else(|error| panic!("{}", error.render(&sources)));
    assert_eq!(function_hashes(&parsed), function_hashes(&module), "the text form keeps what is hashed");
    let verified = verify(module).unwrap_or_else(|errors| panic!("generated programs are well formed: {errors:?}"));
    agree(verified);
}

/// Runs a program plainly, with constant collections and without updates in place: nobody may notice.
fn agree(module: Verified<Module>) {
    outcome::run(module.clone(), FUEL, Stress::None);
    let plain = outcome::run(module.clone(), STRESS_FUEL, Stress::None);
    for stress in [Stress::Collect, Stress::Copy] {
        let other = outcome::run(module.clone(), STRESS_FUEL, stress);
        // Memory is the one thing that may differ.
        if ![&plain, &other].iter().any(|outcome| outcome.end == "out of memory") {
            assert_eq!(plain, other, "{stress:?} changes nothing");
        }
    }
}

/// Steps a fuzzed image may take.
const STEPS: u64 = 300;

fn policy() -> Policy {
    Policy::root(Capabilities::script(), Limits { memory_words: 1 << 18 }, Some(FUEL)).with_fibers(50)
}

/// A program whose every part is the machine's business can be saved anywhere, has one spelling and goes on; what is no image is refused.
fn image(bytes: &[u8]) {
    let Ok(image) = Image::from_bytes(bytes) else { return };
    assert_eq!(image.to_bytes(), bytes, "an image has one spelling");
    let (Ok(module), Ok(symbols)) = (verify(image.module), Decoder::symbols(&image.state)) else { return };
    let program = Arc::new(load_with(module, &symbols));
    let Ok(mut restored) = Simulator::resume(&program, &image.state, policy(), 2, 1) else { return };
    assert_eq!(restored.save(), image.state, "a state has one spelling");
    if matches!(restored.run(STEPS), Simulated::OutOfSteps) {
        restored.save();
    }
}

/// The image of a program that was stopped somewhere, mutated or not.
fn image_input(rng: &mut Rng, seeds: &Seeds) -> Vec<u8> {
    let module = if seeds.passerine.is_empty() || rng.bool() {
        verify(generate::module(rng.u64(..))).ok()
    } else {
        let seed = &seeds.passerine[rng.usize(0..seeds.passerine.len())];
        compile("seed.pn", &String::from_utf8_lossy(seed), &mut NoFiles)
            .module
            .ok()
            .and_then(|module| verify(module).ok())
    };
    let Some(module) = module.filter(|module| module.get().entry.is_some()) else { return Vec::new() };
    let code = module.get().clone();
    let program = Arc::new(load_with(module, &[]));
    let mut simulator = Simulator::start(&program, policy(), rng.u8(1..4), rng.u64(..));
    if !matches!(simulator.run(rng.u64(0..60)), Simulated::OutOfSteps) {
        return Vec::new();
    }
    let mut state = simulator.save();
    if rng.u8(..) > 40 {
        for _ in 0..rng.usize(1..4) {
            mutate_bytes(rng, &mut state);
        }
    }
    Image { module: code, state }.to_bytes()
}

/// A program compiles to a module that keeps every rule, or is refused with a place; and it runs.
fn passerine(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    if let Ok(inferred) = check("fuzz.pn", source, &mut NoFiles).inferred {
        assert!(inferred.problems.iter().all(|problem| !problem.labels.is_empty()), "a problem has a place");
    }
    let compiled = compile("fuzz.pn", source, &mut NoFiles);
    match compiled.module {
        Ok(module) => {
            let checked =
                |module| verify(module).unwrap_or_else(|errors| panic!("the compiler made a wrong module: {errors:?}"));
            let boxed = Lowering { boxed: true, ..Lowering::default() };
            let plain = compile_with("fuzz.pn", source, &mut NoFiles, boxed).module.expect("it compiled before");
            let plain = outcome::run(checked(plain), FUEL, Stress::None);
            let module = checked(module);
            let typed = outcome::run(module.clone(), FUEL, Stress::None);
            // Values in registers need less room: where memory ends, ends differ.
            if !plain.end.starts_with("out of") && !typed.end.starts_with("out of") {
                assert_eq!(plain, typed, "numbers in registers make no difference");
            }
            agree(module);
        }
        Err(errors) => {
            for error in errors {
                assert!(
                    !error.labels.is_empty() && !error.render(&compiled.sources).is_empty(),
                    "an error has a place"
                );
            }
        }
    }
}

fn binary_input(rng: &mut Rng, seeds: &Seeds) -> Vec<u8> {
    let module = match rng.bool() {
        true => generate::module(rng.u64(..)),
        false => {
            let source = seeds.assembly.get(rng.usize(0..seeds.assembly.len().max(1))).cloned().unwrap_or_default();
            let source = String::from_utf8_lossy(&source).into_owned();
            let mut sources = SourceMap::default();
            let id = sources.add("seed.qualm", source.as_str());
            text::parse(id, &source).unwrap_or_else(|_| generate::module(0))
        }
    };
    let mut bytes = binary::encode(&module);
    for _ in 0..rng.usize(0..4) {
        mutate_bytes(rng, &mut bytes);
    }
    bytes
}

fn mutated(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let pick = |rng: &mut Rng| seeds.get(rng.usize(0..seeds.len().max(1))).cloned().unwrap_or_default();
    let mut bytes = pick(rng);
    for _ in 0..rng.usize(1..6) {
        match rng.u8(0..10) {
            0..=6 => mutate_words(rng, &mut bytes),
            7 => {
                // Crossing two programs.
                let other = pick(rng);
                let (at, from) = (rng.usize(0..=bytes.len()), rng.usize(0..=other.len()));
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => mutate_bytes(rng, &mut bytes),
        }
    }
    bytes
}

fn mutate_bytes(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(0..=bytes.len());
    match rng.u8(0..5) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(0..8),
        1 if at < bytes.len() => bytes[at] = rng.u8(..),
        2 => bytes.insert(at, rng.u8(..)),
        3 if at < bytes.len() => {
            bytes.remove(at);
        }
        4 => bytes.truncate(at),
        _ => {}
    }
}

/// Changes whole words: deleted, doubled, swapped, replaced by another of the program or by something nasty.
fn mutate_words(rng: &mut Rng, bytes: &mut Vec<u8>) {
    const NASTY: &[&str] = &[
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "->",
        "=",
        ",",
        "..",
        "|",
        ":",
        "\"",
        "{:}",
        "9223372036854775807",
        "-1",
        "1e308",
        "match",
        "if",
        "error",
        "try",
        "loop",
        "_",
        "x",
        "%0",
        "@main",
        "b1",
        "mod",
        "::",
        ".",
        "0.5",
        "\"{x}\"",
    ];
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
    if words.is_empty() {
        return;
    }
    let (at, other) = (rng.usize(0..words.len()), rng.usize(0..words.len()));
    match rng.u8(0..5) {
        0 => {
            words.remove(at);
        }
        1 => words.insert(at, words[other]),
        2 => words.swap(at, other),
        3 => words[at] = words[other],
        _ => words.insert(at, NASTY[rng.usize(0..NASTY.len())]),
    }
    *bytes = words.concat().into_bytes();
}
