//! What `aspen explain` says of each code that a diagnostic can carry.

const EXPLANATIONS: &str = include_str!("explain/explanations.md");

/// An explained code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The code, such as `P0012`.
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Its explanation in Markdown, ending in a newline.
    pub text: &'static str,
}

impl Explanation {
    /// The programs of the explanation: the first has the error, the second does not.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> {
        self.text.split("```pn\n").skip(1).filter_map(|part| part.split("```").next())
    }
}

/// All codes, in order.
pub fn explanations() -> impl Iterator<Item = Explanation> {
    EXPLANATIONS.split("\n## ").skip(1).filter_map(|section| {
        let (head, text) = section.split_once("\n\n")?;
        let (code, title) = head.split_once(' ')?;
        Some(Explanation { code, title, text })
    })
}

/// The explanation of a code; case does not matter.
pub fn explain(code: &str) -> Option<Explanation> {
    explanations().find(|explanation| explanation.code.eq_ignore_ascii_case(code))
}
