//! Tokens: kinds and places. What a token says is read from the source when it is needed.

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is what it is called; `text` spells it")]
pub enum Kind {
    End,
    Name,
    Int,
    Float,
    Uri,
    /// `<a/b>`
    Lookup,
    /// A path, or its first part if `${` follows at once; more parts, interpolations and `PathEnd` come then.
    Path,
    PathPart,
    PathEnd,
    /// `"`, then parts and interpolations, then `StringEnd`.
    StringStart,
    StringPart,
    StringEnd,
    /// `''`, then parts and interpolations, then `IndentedEnd`.
    IndentedStart,
    /// Text that is indented.
    IndentedPart,
    /// An escape: its text has no indentation of its own.
    IndentedEscape,
    IndentedEnd,
    /// `${`; ends with `}`.
    Interpolation,
    If,
    Then,
    Else,
    Assert,
    With,
    Let,
    In,
    Rec,
    Inherit,
    Or,
    Ellipsis,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
    And,
    OrElse,
    Implies,
    Update,
    Concat,
    PipeInto,
    PipeFrom,
    Assign,
    Less,
    Greater,
    Plus,
    Minus,
    Times,
    Divide,
    Not,
    Question,
    Dot,
    Comma,
    Colon,
    Semicolon,
    At,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
}

impl Kind {
    /// How messages name it, as the reference does.
    pub fn text(self) -> &'static str {
        match self {
            Self::End => "end of file",
            Self::Name => "identifier",
            Self::Int => "integer",
            Self::Float => "floating-point literal",
            Self::Uri => "URI",
            Self::Lookup | Self::Path | Self::PathPart => "path",
            Self::PathEnd => "end of path",
            Self::StringStart | Self::StringEnd => "'\"'",
            Self::StringPart => "string",
            Self::IndentedStart | Self::IndentedEnd => "\"''\"",
            Self::IndentedPart | Self::IndentedEscape => "indented string",
            Self::Interpolation => "'${'",
            Self::If => "'if'",
            Self::Then => "'then'",
            Self::Else => "'else'",
            Self::Assert => "'assert'",
            Self::With => "'with'",
            Self::Let => "'let'",
            Self::In => "'in'",
            Self::Rec => "'rec'",
            Self::Inherit => "'inherit'",
            Self::Or => "'or'",
            Self::Ellipsis => "'...'",
            Self::Equal => "'=='",
            Self::NotEqual => "'!='",
            Self::LessEqual => "'<='",
            Self::GreaterEqual => "'>='",
            Self::And => "'&&'",
            Self::OrElse => "'||'",
            Self::Implies => "'->'",
            Self::Update => "'//'",
            Self::Concat => "'++'",
            Self::PipeInto => "'|>'",
            Self::PipeFrom => "'<|'",
            Self::Assign => "'='",
            Self::Less => "'<'",
            Self::Greater => "'>'",
            Self::Plus => "'+'",
            Self::Minus => "'-'",
            Self::Times => "'*'",
            Self::Divide => "'/'",
            Self::Not => "'!'",
            Self::Question => "'?'",
            Self::Dot => "'.'",
            Self::Comma => "','",
            Self::Colon => "':'",
            Self::Semicolon => "';'",
            Self::At => "'@'",
            Self::Open => "'('",
            Self::Close => "')'",
            Self::OpenBracket => "'['",
            Self::CloseBracket => "']'",
            Self::OpenBrace => "'{'",
            Self::CloseBrace => "'}'",
        }
    }
}

/// A token and the bytes it covers.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
}
