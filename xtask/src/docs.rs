//! Writes the generated pages.

use crate::root;

pub(crate) fn run() -> Result<(), String> {
    let path = root().join("docs/instruction-set.md");
    std::fs::write(&path, qualm_ir::docs::instruction_set())
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}
