//! Every numeric limit of a module, with its reason. A decoder checks these before it allocates.

/// Parameters of a function or block: a call passes each in a register of the callee's window.
pub const PARAMS_MAX: usize = 200;
/// Items of one `tuple.new`, `list.new`, `text.build` and the like; builders split longer ones.
pub const OPERANDS_MAX: usize = 200;
/// Arms of one `switch`.
pub const CASES_MAX: usize = 65_536;
/// Registers of a function: slots and positions are 32-bit everywhere, this leaves room for sums.
pub const REGISTERS_MAX: usize = 1 << 24;
/// Blocks of a function.
pub const BLOCKS_MAX: usize = 1 << 22;
/// Functions of a module; a frame header has 24 bits for the function.
pub const FUNCTIONS_MAX: usize = 1 << 24;
/// Bytes of a symbol (a label, field or effect name).
pub const SYMBOL_BYTES_MAX: usize = 1_024;
/// Bytes of one string constant.
pub const TEXT_BYTES_MAX: usize = 1 << 26;
/// Bytes of a module in binary or text form.
pub const MODULE_BYTES_MAX: usize = 1 << 30;
