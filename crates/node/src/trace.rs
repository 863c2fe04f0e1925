//! Calls that were active, with excerpts of their source.

use qualm_ir::diagnostic::excerpt;
use qualm_ir::module::Module;
use qualm_ir::source::SourceMap;
use qualm_vm::fiber::TraceEntry;
use std::fmt::Write;

/// Active calls, each with its place in the source, outermost first; those in sources that are hidden are left out.
pub fn trace_text(module: &Module, trace: &[TraceEntry], left_out: usize, hide: &dyn Fn(&str) -> bool) -> String {
    let mut sources = SourceMap::default();
    for source in &module.sources {
        sources.add(source.path.clone(), source.text.clone());
    }
    let mut out = String::new();
    let half = trace.len() / 2;
    let mut last = None;
    for (at, entry) in trace.iter().enumerate() {
        if at == half && left_out > 0 {
            let _ = writeln!(out, "... {left_out} calls left out ...");
        }
        let Some(span) = entry.span else { continue };
        let hidden = sources.get(span.source).is_none_or(|source| hide(&source.path));
        if !hidden && last != Some(span) {
            excerpt(&mut out, &sources, span, None);
            last = Some(span);
        }
    }
    out
}

/// The innermost active call that is not hidden: `name (file:line)`.
pub(crate) fn innermost(module: &Module, trace: &[TraceEntry], hide: &dyn Fn(&str) -> bool) -> String {
    for entry in trace.iter().rev() {
        let Some(span) = entry.span else { continue };
        let Some(source) = module.sources.get(span.source.0 as usize).filter(|source| !hide(&source.path)) else {
            continue;
        };
        let line = 1 + source.text.as_bytes().iter().take(span.start as usize).filter(|byte| **byte == b'\n').count();
        let name = module.functions.get(entry.function as usize).map_or("", |function| &*function.debug.name);
        return format!("{name} ({}:{line})", source.path);
    }
    String::new()
}
