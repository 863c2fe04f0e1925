//! What all fibers of a program share and nobody changes: symbols, string constants, record shapes.

use std::collections::HashMap;
use std::sync::Arc;

macro_rules! known_symbols {
    ($( $name:ident $(= $text:literal)? ),* $(,)?) => {
        /// Labels that the machine itself makes; their symbol numbers are fixed.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        #[allow(missing_docs, reason = "each is the label of that name")]
        pub enum Known { $( $name ),* }

        const ALL_KNOWN: &[Known] = &[ $( Known::$name ),* ];

        const KNOWN: &[&str] = &[ $( known_symbols!(@text $name $($text)?) ),* ];
    };
    (@text $name:ident) => { stringify!($name) };
    (@text $name:ident $text:literal) => { $text };
}

known_symbols! {
    Raise, System, Match, Type, Overflow, DivideByZero, Domain, Index, Field, Reference, Call, Fiber, Resume, Effect, Unwrap, Denied,
    Deadlock, Loop, Some, None, Ok, Error, Less, Equal, Greater, Write, ReadLine, Clock, Sleep, Pause, Random, Env, Args, ReadFile,
    WriteFile, ListDir, Http, Spawn, SelfProcess = "Self", Send, Receive, ReceiveWithin, Join, Parallel, Snapshot, Restore, Store, Load, NotFound,
    Failed, Map, New, Running, Suspended, Done, YieldEffect = "yield", SwitchEffect = "switch", Cancelled, Quota, Down, Exit, Linked, Parent, Killed, FieldBody = "body", FieldHandle = "handle",
    FieldHeaders = "headers", FieldMethod = "method", FieldUrl = "url", FieldStatus = "status", FieldSize = "size", FieldIsDir = "is_dir",
}

impl Known {
    /// The label that is spelled like this.
    pub fn from_name(name: &str) -> Option<Self> {
        KNOWN.iter().position(|known| *known == name).map(|at| ALL_KNOWN[at])
    }

    /// How it is spelled.
    pub fn name(self) -> &'static str {
        KNOWN[self as usize]
    }

    /// The symbol number.
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// Tables that values refer to by number.
#[derive(Debug)]
pub struct Statics {
    texts: Vec<StaticText>,
    text_numbers: HashMap<Arc<str>, u32>,
    symbols: Vec<Arc<str>>,
    symbol_numbers: HashMap<Arc<str>, u32>,
    /// The place of each symbol in text order.
    ranks: Vec<u32>,
    shapes: Vec<Vec<u32>>,
    shape_numbers: HashMap<Vec<u32>, u32>,
}

/// A string constant and its length in characters.
#[derive(Debug)]
pub(crate) struct StaticText {
    pub(crate) text: Arc<str>,
    pub(crate) chars: usize,
}

impl Default for Statics {
    fn default() -> Self {
        let mut statics = Self {
            texts: Vec::new(),
            text_numbers: HashMap::new(),
            symbols: Vec::new(),
            symbol_numbers: HashMap::new(),
            ranks: Vec::new(),
            shapes: Vec::new(),
            shape_numbers: HashMap::new(),
        };
        for name in KNOWN {
            statics.add_symbol(&Arc::from(*name));
        }
        statics
    }
}

impl Statics {
    pub(crate) fn add_symbol(&mut self, name: &Arc<str>) -> u32 {
        if let Some(number) = self.symbol_numbers.get(name) {
            return *number;
        }
        let number = self.symbols.len() as u32;
        self.symbols.push(name.clone());
        self.symbol_numbers.insert(name.clone(), number);
        number
    }

    pub(crate) fn add_text(&mut self, text: &Arc<str>) -> u32 {
        if let Some(number) = self.text_numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(StaticText { text: text.clone(), chars: text.chars().count() });
        self.text_numbers.insert(text.clone(), number);
        number
    }

    pub(crate) fn add_shape(&mut self, names: &[u32]) -> u32 {
        if let Some(number) = self.shape_numbers.get(names) {
            return *number;
        }
        let number = self.shapes.len() as u32;
        self.shapes.push(names.to_vec());
        self.shape_numbers.insert(names.to_vec(), number);
        number
    }

    /// Orders the symbols; call it once all are there.
    pub(crate) fn seal(&mut self) {
        let mut order: Vec<u32> = (0..self.symbols.len() as u32).collect();
        order.sort_by_key(|number| self.symbols[*number as usize].clone());
        self.ranks = vec![0; order.len()];
        for (rank, number) in order.into_iter().enumerate() {
            self.ranks[number as usize] = rank as u32;
        }
    }

    /// All symbols by their numbers.
    pub(crate) fn symbols(&self) -> &[Arc<str>] {
        &self.symbols
    }

    /// Whether these tables are others with more behind.
    pub(crate) fn begins_with(&self, older: &Self) -> bool {
        let texts = |statics: &Self| statics.texts.iter().map(|text| text.text.clone()).collect::<Vec<_>>();
        self.symbols.starts_with(&older.symbols)
            && self.shapes.starts_with(&older.shapes)
            && texts(self).starts_with(&texts(older))
    }

    /// The text of a symbol.
    pub fn symbol(&self, number: u32) -> &str {
        &self.symbols[number as usize]
    }

    /// The number of a symbol, if the program or the machine spells it.
    pub fn find_symbol(&self, name: &str) -> Option<u32> {
        self.symbol_numbers.get(name).copied()
    }

    /// The place of a symbol in text order.
    pub(crate) fn rank(&self, number: u32) -> u32 {
        self.ranks[number as usize]
    }

    pub(crate) fn text(&self, number: u32) -> &StaticText {
        &self.texts[number as usize]
    }

    pub(crate) fn find_text(&self, text: &str) -> Option<u32> {
        self.text_numbers.get(text).copied()
    }

    pub(crate) fn find_shape(&self, names: &[u32]) -> Option<u32> {
        self.shape_numbers.get(names).copied()
    }

    pub(crate) fn shape(&self, number: u32) -> &[u32] {
        &self.shapes[number as usize]
    }
}
