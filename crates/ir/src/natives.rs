//! The built-ins an instruction `native` can name: one table of names, arities and meanings.
//!
//! Built-ins are part of the machine: their names are hashed, so a name never changes meaning. Those that call back into the
//! program run as `Native` frames (DESIGN 2.4); the others finish at once.

macro_rules! define_natives {
    ($( $(#[doc = $doc:literal])* $name:ident $text:literal $arity:literal ; )*) => {
        /// A built-in.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Native { $( $(#[doc = $doc])* $name, )* }

        impl Native {
            /// Every built-in, in table order.
            pub const ALL: &'static [Self] = &[ $( Self::$name ),* ];

            /// The name in assembly and in binary form.
            pub fn name(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// The number of arguments.
            pub fn arity(self) -> usize {
                match self { $( Self::$name => $arity, )* }
            }

            /// What it does.
            pub fn doc(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),*), )* }
            }
        }
    };
}

define_natives! {
    /// The display form of a value.
    TextDisplay "text.display" 1;
    /// The value form of a value.
    TextRepr "text.repr" 1;
    /// The items of an iterable, displayed and joined by a separator.
    TextJoin "text.join" 2;
    /// The scalar values of a string, in reverse.
    TextReverse "text.reverse" 1;
    /// Unicode upper case.
    TextUpper "text.upper" 1;
    /// Unicode lower case.
    TextLower "text.lower" 1;
    /// Without white space at both ends.
    TextTrim "text.trim" 1;
    /// One-character strings.
    TextChars "text.chars" 1;
    /// The runs of characters that are not white space.
    TextWords "text.words" 1;
    /// The lines, without their ends.
    TextLines "text.lines" 1;
    /// The parts of a string (second) between separators (first).
    TextSplit "text.split" 2;
    /// Whether the first string occurs in the second.
    TextContains "text.contains" 2;
    /// Whether the second string starts with the first.
    TextStartsWith "text.starts_with" 2;
    /// Whether the second string ends with the first.
    TextEndsWith "text.ends_with" 2;
    /// The third string with every first replaced by the second.
    TextReplace "text.replace" 3;
    /// Characters from, to (excluded), of a string; clipped.
    TextSlice "text.slice" 3;
    /// A string a number of times.
    TextRepeat "text.repeat" 2;
    /// A string filled on the left to a width.
    TextPadLeft "text.pad_left" 3;
    /// The scalar value of a one-character string.
    TextCode "text.code" 1;
    /// The one-character string of a scalar value.
    TextFromCode "text.from_code" 1;
    /// `Some` integer or `None`.
    TextToInt "text.to_int" 1;
    /// `Some` float or `None`.
    TextToFloat "text.to_float" 1;
    /// The number of items of an iterable.
    SeqLen "seq.len" 1;
    /// The items of an iterable as a list.
    ListFrom "list.from" 1;
    /// A list in reverse, in place when owned.
    ListReverse "list.reverse" 1;
    /// A list in order (total order of numbers, strings and so on; `Type` for what has none), stable, in place when owned.
    ListSort "list.sort" 1;
    /// Pairs (key, item) sorted by key, the items.
    ListSortPairs "list.sort_pairs" 1;
    /// A value a number of times.
    ListRepeat "list.repeat" 2;
    /// The list without items that equal an earlier one.
    ListUnique "list.unique" 1;
    /// The position of the first item equal to a value, or -1.
    ListIndexOf "list.index_of" 2;
    /// Sum of the items of an iterable.
    SeqSum "seq.sum" 1;
    /// Product of the items of an iterable.
    SeqProduct "seq.product" 1;
    /// A function (first) of each item of an iterable, as a list. Calls back.
    ListMap "list.map" 2;
    /// A function (first) of each item of an iterable, for its effects. Calls back.
    ListEach "list.each" 2;
    /// The items for which a function (first) gives true. Calls back.
    ListFilter "list.filter" 2;
    /// A function of the value so far and each item, from a start. Calls back.
    ListFold "list.fold" 3;
    /// A map from pairs; later ones win.
    MapFrom "map.from" 1;
    /// The keys of a map, in order.
    MapKeys "map.keys" 1;
    /// The values of a map, in key order.
    MapValues "map.values" 1;
    /// The pairs of a map, in key order.
    MapPairs "map.pairs" 1;
    /// `Some` value of a key or `None`.
    MapFind "map.find" 2;
    /// The map with a function (third) applied to the value of a key, or to the given one. Calls back.
    MapUpdate "map.update" 4;
    /// Less, Equal or Greater.
    Compare "compare" 2;
    /// A number as a float.
    NumberToFloat "number.to_float" 1;
    /// The square root of a number.
    NumberSqrt "number.sqrt" 1;
    /// The absolute value of a number.
    NumberAbs "number.abs" 1;
    /// The greatest common divisor of two integers.
    NumberGcd "number.gcd" 2;
    /// The largest integer not above a number.
    NumberFloor "number.floor" 1;
    /// The smallest integer not below a number.
    NumberCeil "number.ceil" 1;
    /// The nearest integer, halves away from zero.
    NumberRound "number.round" 1;
    /// The integer part of a number.
    NumberTruncate "number.truncate" 1;
    /// Sine.
    NumberSin "number.sin" 1;
    /// Cosine.
    NumberCos "number.cos" 1;
    /// Tangent.
    NumberTan "number.tan" 1;
    /// Arc tangent.
    NumberAtan "number.atan" 1;
    /// Exponential.
    NumberExp "number.exp" 1;
    /// Natural logarithm.
    NumberLn "number.ln" 1;
    /// The error value for a failed pattern: what was expected, and the value found.
    MatchFailure "match.failure" 2;
    /// The error value of another kind: kind (a label name), message, value put after it.
    ErrorValue "error.value" 3;
    /// Performs the effect that a label names, with the whole label as payload; of `Raise` and `System` what is in the label.
    Perform "perform" 1;
    /// A coroutine that will run a function of unit; Passerine calls it a fiber. Applying it goes on with it.
    CoroutineNew "coroutine.new" 1;
    /// New, Running, Suspended, Done or Failed.
    CoroutineStatus "coroutine.status" 1;
    /// The pairs (name as a string, value) of a record, in the order of the names.
    RecordPairs "record.pairs" 1;
    /// The name of a label, as a string.
    LabelName "label.name" 1;
}

impl Native {
    /// The built-in with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|native| native.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        for native in Native::ALL {
            assert_eq!(Native::from_name(native.name()), Some(*native));
        }
    }
}
