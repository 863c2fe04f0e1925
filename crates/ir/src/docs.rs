//! Pages generated from the tables; `cargo xtask docs` writes them and a test keeps them fresh.

use crate::natives::Native;
use crate::op::{OPS, OpInfo, ResultKind};
use std::fmt::Write;

/// `docs/instruction-set.md`.
pub fn instruction_set() -> String {
    let mut out = String::from(
        "# Instruction set\n\nGenerated from `crates/ir/src/ops.rs` by `cargo xtask docs`. The head of that file explains names and \
         operand kinds.\n\n| opcode | instruction | properties | meaning |\n| --- | --- | --- | --- |\n",
    );
    for info in OPS {
        let _ = writeln!(
            out,
            "| `{:02x}` | `{}` | {} | {} |",
            info.opcode,
            form(info).replace('|', "\\|"),
            [(info.end, "end"), (info.fails, "fails"), (info.calls, "calls")]
                .iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, name)| *name)
                .collect::<Vec<_>>()
                .join(", "),
            info.doc.trim().replace('|', "\\|"),
        );
    }
    out.push_str(
        "\n## Built-ins\n\nThose that the instruction `native` can name, from `crates/ir/src/natives.rs`.\n\n",
    );
    out.push_str("| built-in | arguments | meaning |\n| --- | --- | --- |\n");
    for native in Native::ALL {
        let _ =
            writeln!(out, "| `{}` | {} | {} |", native.name(), native.arity(), native.doc().trim().replace('|', "\\|"));
    }
    out
}

fn form(info: &OpInfo) -> String {
    let mut out = String::new();
    if info.result != ResultKind::None {
        out.push_str("%d = ");
    }
    out.push_str(info.mnemonic);
    for (at, (name, kind)) in info.fields.iter().enumerate() {
        let _ = write!(out, "{} {name}: {}", if at == 0 { "" } else { "," }, format!("{kind:?}").to_lowercase());
    }
    out
}
