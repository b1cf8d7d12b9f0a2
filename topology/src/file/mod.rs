//! Labs as people write them down: YAML or TOML in, YAML out.
//!
//! | file | does |
//! |---|---|
//! | `yaml`, `toml` | text to [`Spec`], and text to a tree of places |
//! | `place` | where in the text a path of the spec stands |
//! | `words` | what the languages' readers say of a wrong value, for whoever wrote the file |
//!
//! A text of any size may come: what is longer than [`LONGEST`] is refused unread, aliases and depth
//! are bounded. Whatever is wrong is told with line and column, in one line with the mend.

use std::fmt;

use crate::check::Problem;
use crate::checked::Checked;
use crate::spec::Spec;

mod place;
#[cfg(test)]
mod tests;
mod toml;
mod words;
mod yaml;

pub use yaml::write;

/// Longest text that is read, in bytes. The largest lab there can be takes some 3 MB.
pub const LONGEST: usize = 4 << 20;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, and JSON with it.
    Yaml,
    /// TOML 1.0.
    Toml,
}

impl Format {
    /// By the end of a file's name; None for another end.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let (_, end) = name.rsplit_once('.')?;
        match end.to_ascii_lowercase().as_str() {
            "yaml" | "yml" | "json" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// A line and a column of a text, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, as far as that can be said.
    pub spot: Option<Spot>,
    /// What, and the mend; one line.
    pub text: String,
}

impl fmt::Display for Fault {
    /// `LINE:COLUMN: what`; whoever knows the file's name writes it before.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Spot { line, column }) = self.spot {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// Reads a text, as far as it can be read.
///
/// # Errors
/// What stops the reading; one fault.
pub fn parse(text: &str, format: Format) -> Result<Spec, Fault> {
    if text.len() > LONGEST {
        return Err(too_long());
    }
    let read = match format {
        Format::Yaml => yaml::parse(text),
        Format::Toml => toml::parse(text),
    };
    read.map_err(|fault| words::plainly(fault, text))
}

/// A file that is longer than [`LONGEST`].
#[must_use]
pub fn too_long() -> Fault {
    let text = format!(
        "a lab's file has {} MiB at most: ranges such as h[1-100] shorten it",
        LONGEST >> 20
    );
    Fault { spot: None, text }
}

/// Reads a text and checks what it says.
///
/// # Errors
/// All that is wrong, each with its place.
pub fn load(text: &str, format: Format) -> Result<Checked, Vec<Fault>> {
    let spec = parse(text, format).map_err(|fault| vec![fault])?;
    spec.check().map_err(|problems| faults(text, format, &problems))
}

/// Problems with their places in the text.
#[must_use]
pub fn faults(text: &str, format: Format, problems: &[Problem]) -> Vec<Fault> {
    let tree = match format {
        Format::Yaml => yaml::places(text),
        Format::Toml => toml::places(text),
    };
    let told = |problem: &Problem| Fault {
        spot: tree.as_ref().and_then(|tree| tree.find(&problem.path)),
        text: plain(&problem.to_string()),
    };
    problems.iter().map(told).collect()
}

/// A message in which names may stand as they were written: control characters are escaped.
fn plain(message: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    message.chars().map(escaped).collect()
}

/// One line of a message that may have several.
fn one_line(message: &str) -> String {
    let lines: Vec<_> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(", ")
}
