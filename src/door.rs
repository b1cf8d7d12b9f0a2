//! The way to a running lab, for the verbs that ask it something.
//!
//! Whether it runs is read from its lock first, so that the complaint can name the labs that do.

use std::io::Write;

use anyhow::Context;
use control::{Client, ClientError};
use lab::{Ground, LabName, join};
use serde::Serialize;

use crate::say;

/// Which lab is meant.
#[derive(Clone, clap::Args)]
pub(crate) struct Which {
    /// The lab's name
    #[arg(long, value_name = "LAB", default_value = "uswitch")]
    pub(crate) name: LabName,
}

impl Which {
    /// A client of the lab.
    ///
    /// # Errors
    /// When it does not run; the line says which do.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let ground = Ground::find();
        join::running(&ground, &self.name)?;
        Ok(Client::new(&ground.socket(&self.name))?)
    }

    /// What `asked` came to. A lab whose door is shut while its lock is held is on its way up or
    /// down.
    ///
    /// # Errors
    /// The lab's refusal, in its own words.
    pub(crate) fn answer<T>(&self, asked: Result<T, ClientError>) -> anyhow::Result<T> {
        match asked {
            Err(ClientError::NoLab(_)) => {
                // Gone meanwhile, and then that is said.
                join::running(&Ground::find(), &self.name)?;
                anyhow::bail!("lab {} is being built or undone: try again in a moment", self.name)
            }
            other => Ok(other?),
        }
    }
}

/// A value as one line of JSON.
///
/// # Errors
/// When it cannot be written as JSON, which no answer of a lab's is.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value).context("writing JSON")?;
    line.write_all(b"\n").context("writing JSON")?;
    say::bytes(&line);
    Ok(())
}
