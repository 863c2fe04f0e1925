//! `aspen explain`: what a code in an error message means.

use super::{complain, print};
use crate::status;
use crate::style::Style;
use clap::Args;
use qualm_passerine::explain::{explain as look_up, explanations};

/// Arguments of `aspen explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The code, such as P0050; without one, all codes are listed
    code: Option<String>,
}

/// `aspen explain`
pub fn explain(args: &ExplainArgs) -> u8 {
    let style = Style::stdout();
    let Some(code) = &args.code else {
        for explanation in explanations() {
            print(&format!("{}  {}\n", style.strong(explanation.code), explanation.title));
        }
        return status::OK;
    };
    let Some(explanation) = look_up(code) else {
        complain(&format!("no error has the code {code}; `aspen explain` lists them all\n"));
        return status::USAGE;
    };
    let mut text = format!("{}  {}\n\n", style.strong(explanation.code), style.strong(explanation.title));
    let mut programs = 0;
    for line in explanation.text.trim_end().lines() {
        match line {
            "```pn" => {
                programs += 1;
                text.push_str(&style.faint(if programs == 1 { "this gives the error:" } else { "this does not:" }));
                text.push_str("\n\n");
            }
            "```" => {}
            _ if programs > 0 && !line.is_empty() => text.push_str(&format!("    {line}\n")),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    print(&text);
    status::OK
}
