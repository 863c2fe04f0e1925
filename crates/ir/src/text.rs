//! Text assembly (`.qualm`): the printed form of a module, and its reader.
//!
//! ```text
//! ; the factorial, unboxed
//! fn @factorial(%n: int) -> int {
//!   %zero = int.const 0
//!   %done = int.le %n, %zero
//!   branch %done, stop, go
//! stop:
//!   %one = int.const 1
//!   return %one
//! go:
//!   %unit = int.const 1
//!   %less = int.sub %n, %unit
//!   %rest = call @factorial, (%less)
//!   %product = int.mul %n, %rest
//!   return %product
//! }
//! fn @main() -> val {
//!   %five = int.const 5
//!   %result = call @factorial, (%five)
//!   %value = val.int %result
//!   return %value
//! }
//! entry @main
//! ```
//!
//! Operands come in the order of the instruction's row, separated by commas: `%register`, `[%a, %b]` for `vals`, `(%a, %b)` for `args`,
//! `42`, `1.5`, `"text"`, `'symbol` or `'"odd symbol"`, `{'a, 'b}`, `@function`, the name of a built-in, `block` or `block(%a)`,
//! `[1: block, 2: other]` for `cases`. A block with parameters is opened by `block(%x: val):`. `; ` starts a comment.
//!
//! Laws: `parse(print(m))` has the functions of `m`, and `print(parse(print(m))) == print(m)`.

mod lexer;
mod parser;
mod printer;

pub use parser::parse;
pub use printer::{print, print_function};
