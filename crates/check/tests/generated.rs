//! The generator makes programs worth running: many end in a value, and the laws of the fuzz target `verify` hold for a fixed set.

use qualm_check::{generate, outcome};
use qualm_ir::verify::verify;
use qualm_vm::heap::Stress;

#[test]
fn many_programs_end_in_a_value() {
    let (mut values, mut entries) = (0, 0);
    for seed in 0..500 {
        let module = verify(generate::module(seed)).expect("generated programs are well formed");
        let outcome = outcome::run(module, 20_000, Stress::None);
        values += u32::from(outcome.end.starts_with("value"));
        entries += outcome.fuel;
    }
    assert!(values >= 60, "only {values} of 500 end in a value");
    assert!(entries >= 400, "only {entries} further function entries in 500 programs");
}
