//! The binary form of a module (`.qb`).
//!
//! ```text
//! file     = magic version groups entry debug
//! groups   = count { members } ;   members = count { function }
//! function = signature blocks ;    block = types ops ;    op = opcode operands, as its row says
//! entry    = 0 | 1 + function number
//! debug    = sources { name spans }                       (not hashed)
//! ```
//!
//! Laws, tested and fuzzed: `decode(encode(m)) == m`, and `encode(decode(b)) == b` for every `b` that is accepted. The second
//! makes a hash an identity, so the reader refuses every other spelling: longer integers, NaN, groups in another arrangement.
//! Nothing is allocated on the word of a length that was not compared with the bytes left.

use crate::groups;
use crate::limits::{
    BLOCKS_MAX, CASES_MAX, FUNCTIONS_MAX, MODULE_BYTES_MAX, OPERANDS_MAX, PARAMS_MAX, REGISTERS_MAX, SYMBOL_BYTES_MAX,
    TEXT_BYTES_MAX,
};
use crate::module::{Block, Function, FunctionDebug, Module, SourceName};
use crate::natives::Native;
use crate::op::{Field, FieldKind, FieldRef, Op, OpInfo};
use crate::source::{SourceId, Span};
use crate::types::{BlockIndex, Case, Float64, FunctionIndex, Reg, Signature, Target, Type};
use crate::wire::{Reader, WireError, Writer};

/// The first bytes of every file.
pub const MAGIC: &[u8; 6] = b"\x7fqualm";
/// The version of the format this crate writes.
pub const VERSION: u64 = 1;

/// The canonical bytes of a module.
pub fn encode(module: &Module) -> Vec<u8> {
    let mut out = Writer::default();
    out.raw(MAGIC);
    out.unsigned(VERSION);
    out.length(module.groups.len());
    for group in &module.groups {
        out.length(group.len());
        for index in group.clone() {
            let function = &module.functions[index as usize];
            write_function(&mut out, function, &mut |out, index| out.unsigned(u64::from(index.0)));
        }
    }
    out.unsigned(module.entry.map_or(0, |index| u64::from(index.0) + 1));
    write_debug(&mut out, module);
    out.into_bytes()
}

/// The module these bytes spell.
///
/// # Errors
/// If they are not the canonical bytes of a module; the error says where and why.
pub fn decode(bytes: &[u8]) -> Result<Module, WireError> {
    let mut input = Reader::new(bytes);
    if bytes.len() > MODULE_BYTES_MAX {
        return input.error(format!("a module has at most {MODULE_BYTES_MAX} bytes"));
    }
    if input.raw(MAGIC.len().min(bytes.len()))? != MAGIC {
        return Err(WireError { offset: 0, message: "this is not a Qualm module (`\\x7fqualm` expected)".into() });
    }
    let version = input.unsigned()?;
    if version != VERSION {
        return input.error(format!("format version {version}; this program reads version {VERSION}"));
    }
    let mut module = Module::default();
    for _ in 0..input.count(FUNCTIONS_MAX, "the number of groups")? {
        let start = module.functions.len() as u32;
        let members = input.count(FUNCTIONS_MAX - start as usize, "the number of functions in a group")?;
        if members == 0 {
            return input.error("a group has at least one function");
        }
        let end = start + members as u32;
        for _ in 0..members {
            let function = read_function(&mut input, end)?;
            module.functions.push(function);
        }
        module.groups.push(start..end);
    }
    module.entry = match input.at_most(module.functions.len(), "the entry function")? {
        0 => None,
        index => Some(FunctionIndex(index as u32 - 1)),
    };
    if groups::arrangement(&module.functions).is_none_or(|found| found.groups != module.groups || !found.is_identity())
    {
        return input.error("functions are not arranged in canonical groups");
    }
    read_debug(&mut input, &mut module)?;
    if input.remaining() > 0 {
        return input.error(format!("{} bytes after the end of the module", input.remaining()));
    }
    Ok(module)
}

/// Writes the hashed part of a function; `reference` writes a reference to a function.
pub(crate) fn write_function(
    out: &mut Writer,
    function: &Function,
    reference: &mut dyn FnMut(&mut Writer, FunctionIndex),
) {
    write_types(out, &function.signature.params);
    out.byte(function.signature.result as u8);
    out.length(function.blocks.len());
    for block in &function.blocks {
        write_types(out, &block.params);
        out.length(block.ops.len());
        for op in &block.ops {
            out.byte(op.opcode());
            for field in op.fields() {
                write_field(out, field, reference);
            }
        }
    }
}

fn write_types(out: &mut Writer, types: &[Type]) {
    out.length(types.len());
    types.iter().for_each(|ty| out.byte(*ty as u8));
}

fn write_regs(out: &mut Writer, regs: &[Reg]) {
    out.length(regs.len());
    regs.iter().for_each(|reg| out.unsigned(u64::from(reg.0)));
}

fn write_target(out: &mut Writer, target: &Target) {
    out.unsigned(u64::from(target.block.0));
    write_regs(out, &target.args);
}

fn write_field(out: &mut Writer, field: FieldRef<'_>, reference: &mut dyn FnMut(&mut Writer, FunctionIndex)) {
    match field {
        FieldRef::Int(reg) | FieldRef::Float(reg) | FieldRef::Val(reg) | FieldRef::Ret(reg) => {
            out.unsigned(u64::from(reg.0));
        }
        FieldRef::Vals(regs) | FieldRef::Args(regs) => write_regs(out, regs),
        FieldRef::Imm(value) => out.signed(value),
        FieldRef::Number(value) => out.raw(&value.bits().to_le_bytes()),
        FieldRef::Text(text) | FieldRef::Symbol(text) => out.bytes(text.as_bytes()),
        FieldRef::Symbols(names) => {
            out.length(names.len());
            names.iter().for_each(|name| out.bytes(name.as_bytes()));
        }
        FieldRef::Func(index) => reference(out, index),
        FieldRef::Native(native) => out.bytes(native.name().as_bytes()),
        FieldRef::Target(target) => write_target(out, target),
        FieldRef::Cases(cases) => {
            out.length(cases.len());
            for case in cases {
                out.signed(case.value);
                write_target(out, &case.target);
            }
        }
    }
}

fn read_function(input: &mut Reader<'_>, functions: u32) -> Result<Function, WireError> {
    let params = read_types(input)?;
    let result = read_type(input)?;
    let mut blocks = Vec::new();
    for _ in 0..input.count(BLOCKS_MAX, "the number of blocks")? {
        let params = read_types(input)?;
        let count = input.count(REGISTERS_MAX, "the number of instructions")?;
        let mut ops = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            ops.push(read_op(input, functions)?);
        }
        blocks.push(Block { params, ops });
    }
    Ok(Function { signature: Signature { params, result }, blocks, debug: FunctionDebug::default() })
}

fn read_type(input: &mut Reader<'_>) -> Result<Type, WireError> {
    let number = input.at_most(Type::ALL.len() - 1, "a type")?;
    Ok(Type::ALL[number])
}

fn read_types(input: &mut Reader<'_>) -> Result<Vec<Type>, WireError> {
    (0..input.count(PARAMS_MAX, "the number of parameters")?).map(|_| read_type(input)).collect()
}

fn read_reg(input: &mut Reader<'_>) -> Result<Reg, WireError> {
    Ok(Reg(input.at_most(REGISTERS_MAX, "a register")? as u32))
}

fn read_regs(input: &mut Reader<'_>) -> Result<Vec<Reg>, WireError> {
    (0..input.count(OPERANDS_MAX, "the number of operands")?).map(|_| read_reg(input)).collect()
}

fn read_target(input: &mut Reader<'_>) -> Result<Target, WireError> {
    let block = BlockIndex(input.at_most(BLOCKS_MAX, "a block")? as u32);
    Ok(Target { block, args: read_regs(input)? })
}

fn read_op(input: &mut Reader<'_>, functions: u32) -> Result<Op, WireError> {
    let start = input.offset();
    let opcode = input.byte()?;
    let Some(info) = OpInfo::of_opcode(opcode) else {
        return Err(WireError { offset: start, message: format!("no instruction has opcode {opcode:#04x}") });
    };
    let fields = info.fields.iter().map(|(_, kind)| read_field(input, *kind, functions)).collect::<Result<_, _>>()?;
    Ok(Op::from_fields(opcode, fields).expect("fields were read in the order and kinds of the row"))
}

fn read_field(input: &mut Reader<'_>, kind: FieldKind, functions: u32) -> Result<Field, WireError> {
    Ok(match kind {
        FieldKind::Int => Field::Int(read_reg(input)?),
        FieldKind::Float => Field::Float(read_reg(input)?),
        FieldKind::Val => Field::Val(read_reg(input)?),
        FieldKind::Ret => Field::Ret(read_reg(input)?),
        FieldKind::Vals => Field::Vals(read_regs(input)?),
        FieldKind::Args => Field::Args(read_regs(input)?),
        FieldKind::Imm => Field::Imm(input.signed()?),
        FieldKind::Number => {
            let bytes: [u8; 8] = input.raw(8)?.try_into().expect("eight bytes were asked for");
            match Float64::new(f64::from_bits(u64::from_le_bytes(bytes))) {
                Some(number) => Field::Number(number),
                None => return input.error("a float constant is not a number"),
            }
        }
        FieldKind::Text => Field::Text(input.text(TEXT_BYTES_MAX, "a string")?.into()),
        FieldKind::Symbol => Field::Symbol(input.text(SYMBOL_BYTES_MAX, "a symbol")?.into()),
        FieldKind::Symbols => {
            let count = input.count(OPERANDS_MAX, "the number of symbols")?;
            let names = (0..count).map(|_| input.text(SYMBOL_BYTES_MAX, "a symbol").map(Into::into));
            Field::Symbols(names.collect::<Result<_, _>>()?)
        }
        FieldKind::Func => {
            let max = functions as usize - 1;
            Field::Func(FunctionIndex(input.at_most(max, "a function (of this group or an earlier one)")? as u32))
        }
        FieldKind::Native => {
            let name = input.text(SYMBOL_BYTES_MAX, "the name of a built-in")?;
            match Native::from_name(name) {
                Some(native) => Field::Native(native),
                None => return input.error(format!("no built-in is called `{name}`")),
            }
        }
        FieldKind::Target => Field::Target(read_target(input)?),
        FieldKind::Cases => {
            let count = input.count(CASES_MAX, "the number of cases")?;
            let mut cases = Vec::with_capacity(count.min(1024));
            for _ in 0..count {
                cases.push(Case { value: input.signed()?, target: read_target(input)? });
            }
            Field::Cases(cases)
        }
    })
}

fn write_debug(out: &mut Writer, module: &Module) {
    out.length(module.sources.len());
    for source in &module.sources {
        out.bytes(source.path.as_bytes());
        out.bytes(source.text.as_bytes());
    }
    for function in &module.functions {
        out.bytes(function.debug.name.as_bytes());
        out.length(function.debug.spans.len());
        let mut last = 0;
        for (op, span) in &function.debug.spans {
            out.unsigned(u64::from(op - last));
            out.unsigned(u64::from(span.source.0));
            out.unsigned(u64::from(span.start));
            out.unsigned(u64::from(span.end - span.start));
            last = *op;
        }
    }
}

fn read_debug(input: &mut Reader<'_>, module: &mut Module) -> Result<(), WireError> {
    for _ in 0..input.count(FUNCTIONS_MAX, "the number of source files")? {
        let path = input.text(TEXT_BYTES_MAX, "a path")?.into();
        let text = input.text(TEXT_BYTES_MAX, "a source text")?.into();
        module.sources.push(SourceName { path, text });
    }
    for function in &mut module.functions {
        function.debug.name = input.text(TEXT_BYTES_MAX, "a name")?.into();
        let mut op = 0_u32;
        for at in 0..input.count(REGISTERS_MAX, "the number of spans")? {
            let step = input.at_most(REGISTERS_MAX, "the distance between spans")? as u32;
            if at > 0 && step == 0 {
                return input.error("two spans for one instruction");
            }
            op = op.saturating_add(step);
            let source = SourceId(input.at_most(u32::MAX as usize, "a source file")? as u32);
            let start = input.at_most(u32::MAX as usize, "the start of a span")? as u32;
            let length = input.at_most((u32::MAX - start) as usize, "the length of a span")? as u32;
            function.debug.spans.push((op, Span { source, start, end: start + length }));
        }
    }
    Ok(())
}
