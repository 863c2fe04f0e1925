//! Errors the machine itself raises: a label and a message, which become a label value in the fiber's heap.

use crate::heap::Heap;
use crate::statics::Known;
use crate::value::Value;

/// Why an operation failed.
#[derive(Clone, PartialEq, Debug)]
pub enum Failure {
    /// An error of the machine: kind and message.
    Error(Known, Box<str>),
    /// A value that is raised as it is.
    Value(Value),
}

impl Failure {
    /// An error of the machine.
    pub fn new(kind: Known, message: impl Into<Box<str>>) -> Self {
        Self::Error(kind, message.into())
    }

    pub(crate) fn overflow() -> Self {
        Self::new(Known::Overflow, "integer overflow")
    }

    pub(crate) fn divide_by_zero() -> Self {
        Self::new(Known::DivideByZero, "division by zero")
    }

    pub(crate) fn not_a_number() -> Self {
        Self::new(Known::Domain, "result is not a number")
    }

    /// The value that is raised.
    pub fn into_value(self, heap: &mut Heap) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Error(kind, message) => {
                let text = heap.text(&message);
                heap.label(kind.number(), text)
            }
        }
    }
}

/// The value of an operation, or why there is none.
pub type Outcome = Result<Value, Failure>;
