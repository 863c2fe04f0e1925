//! Operations on the kinds of values: text, lists, records, maps, equality, printing, arithmetic.
//!
//! All of them are iterative: none uses native stack in proportion to the data. Operations that update take their first argument as
//! it comes, owned or not, and decide by that whether to copy.

pub(crate) mod access;
pub(crate) mod arith;
pub(crate) mod compare;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod print;
pub(crate) mod record;
pub(crate) mod sequence;
pub(crate) mod text;
