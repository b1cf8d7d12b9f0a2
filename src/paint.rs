//! Colour where it is wanted: on a terminal, and where `CLICOLOR_FORCE` asks for it, unless `NO_COLOR`
//! is set (no-color.org, bixense.com/clicolors).

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
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let forced = || set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    set("NO_COLOR").is_none() && (stream.is_terminal() || forced())
}
