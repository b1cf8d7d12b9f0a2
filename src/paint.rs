//! Colour where it is wanted: on a terminal that has any (TERM), unless CLICOLOR is 0, and where
//! `CLICOLOR_FORCE` asks for it; never where `NO_COLOR` is set (no-color.org, bixense.com/clicolors).

use std::ffi::OsString;
use std::io::IsTerminal;

use crate::escape::ESCAPE;

/// Whether, and how.
#[derive(Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// As standard output takes it.
    pub(crate) fn of_stdout() -> Self {
        Self(is_wanted(&std::io::stdout()))
    }

    /// As standard error takes it.
    pub(crate) fn of_stderr() -> Self {
        Self(is_wanted(&std::io::stderr()))
    }

    /// Whether there is any.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    /// A heading.
    pub(crate) fn head(self, text: &str) -> String {
        self.paint(text, "1")
    }

    /// Something good.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint(text, "32")
    }

    /// Something to look at.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint(text, "31")
    }

    /// Something beside the point.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(text, "2")
    }

    fn paint(self, text: &str, colour: &str) -> String {
        if self.0 { format!("{ESCAPE}[{colour}m{text}{ESCAPE}[0m") } else { text.into() }
    }
}

fn is_wanted(stream: &impl IsTerminal) -> bool {
    wanted(stream.is_terminal(), |name| std::env::var_os(name))
}

fn wanted(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let forced = || set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let declined = || set("CLICOLOR").is_some_and(|value| value == "0");
    // Without a name it is taken for one that has no colours, as `top` takes it.
    let able = || set("TERM").is_some_and(|name| name != "dumb");
    set("NO_COLOR").is_none() && (forced() || (terminal && able() && !declined()))
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn colour_is_for_terminals_that_have_any_unless_somebody_says_otherwise() {
        for (terminal, said, is) in [
            (true, "TERM=xterm", true),
            (false, "TERM=xterm", false),
            (true, "TERM=dumb", false),
            (true, "TERM=", false),
            (true, "", false),
            (true, "TERM=xterm CLICOLOR=0", false),
            (true, "TERM=xterm CLICOLOR=1", true),
            (false, "CLICOLOR=1", false),
            (false, "CLICOLOR_FORCE=1", true),
            (true, "TERM=dumb CLICOLOR=0 CLICOLOR_FORCE=1", true),
            (false, "TERM=xterm CLICOLOR_FORCE=0", false),
            (true, "TERM=xterm CLICOLOR_FORCE=1 NO_COLOR=1", false),
            (true, "TERM=xterm NO_COLOR=", true),
        ] {
            let variable = |name: &str| {
                let mut pairs = said.split_whitespace().filter_map(|pair| pair.split_once('='));
                pairs.find(|(own, _)| *own == name).map(|(_, value)| value.into())
            };
            assert_eq!(wanted(terminal, variable), is, "{terminal} {said}");
        }
    }
}
