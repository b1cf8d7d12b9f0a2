//! What a lab is to be as a person says it: a shape, or a file, which is read once and told all that
//! is wrong with it, a line each.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lab::Topology;
use topology::Spec;
use topology::file::{self, Fault, Format, LONGEST};

use crate::exit::Usage;
use crate::say;

/// A shape or a file.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Shape(Topology),
    File(PathBuf, Format),
}

impl Asked {
    /// Reads a word of the command line. What ends as files of labs do, or has a slash, is a file.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        match text {
            "pair" => return Ok(Self::Shape(Topology::Pair)),
            "mesh" => return Ok(Self::Shape(Topology::Mesh)),
            "switch" => return Ok(Self::Shape(Topology::Switch)),
            _ => {}
        }
        match Format::of(text) {
            Some(format) => Ok(Self::File(text.into(), format)),
            None => {
                Err("pair, mesh, switch, or a file that ends in .yaml, .yml, .json or .toml".into())
            }
        }
    }
}

/// A file that was read.
pub(crate) struct Text<'a> {
    path: &'a Path,
    format: Format,
    text: String,
}

impl<'a> Text<'a> {
    /// Reads a file; of one that is longer than any lab's no more than that.
    pub(crate) fn read(path: &'a Path, format: Format) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let opened = File::open(path).map_err(|error| cannot(path, &error))?;
        let read = opened.take(LONGEST as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| cannot(path, &error))?;
        if bytes.len() > LONGEST {
            return Err(Usage(format!("{}: {}", path.display(), file::too_long())).into());
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Usage(format!("{} is no text in UTF-8", path.display())))?;
        Ok(Self { path, format, text })
    }

    /// The lab it says.
    pub(crate) fn spec(&self) -> anyhow::Result<Spec> {
        file::parse(&self.text, self.format).map_err(|fault| self.refuse(vec![fault]))
    }

    /// The same, perhaps with other words over it: checked, and with nothing left to choose.
    pub(crate) fn checked(&self, spec: &Spec) -> anyhow::Result<Spec> {
        let checked = spec
            .check()
            .map_err(|problems| self.refuse(file::faults(&self.text, self.format, &problems)))?;
        Ok(checked.spelled_out())
    }

    /// Tells all faults; the last one is the verb's own error.
    fn refuse(&self, mut faults: Vec<Fault>) -> anyhow::Error {
        let line = |fault: &Fault| match fault.spot {
            Some(_) => format!("{}:{fault}", self.path.display()),
            None => format!("{}: {fault}", self.path.display()),
        };
        let last = faults.pop().map(|fault| line(&fault)).unwrap_or_default();
        faults.iter().for_each(|fault| say::error(&line(fault)));
        Usage(last).into()
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Usage(format!("cannot read {}: {error}", path.display())).into()
}
