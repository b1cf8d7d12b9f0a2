//! The way to a running lab, for the verbs that ask it something.
//!
//! Whether it runs is read from its lock first, so that the complaint can name the labs that do.

use std::sync::{Once, OnceLock};

use anyhow::Context;
use control::{Client, ClientError};
use lab::{Ground, LabName, join};
use serde::Serialize;

use crate::say;

/// Which lab is meant: the one named, else by USWITCH_LAB, else the only one that runs.
#[derive(Clone)]
pub(crate) struct Which {
    pub(crate) name: LabName,
}

#[derive(clap::Args)]
struct Named {
    /// The lab's name [default: the one that runs]
    #[arg(long, value_name = "LAB", env = "USWITCH_LAB", hide_env_values = true,
          add = crate::complete::labs())]
    name: Option<LabName>,
}

impl Named {
    fn meant(self) -> Which {
        Which { name: self.name.unwrap_or_else(|| join::meant(found())) }
    }
}

// Labs are looked for only by a verb that wants one.
impl clap::FromArgMatches for Which {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Named::from_arg_matches(matches).map(Named::meant)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Which {
    fn augment_args(command: clap::Command) -> clap::Command {
        Named::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Named::augment_args_for_update(command)
    }
}

impl Which {
    /// The option that names this lab, where it takes one to find it.
    pub(crate) fn option(&self) -> String {
        option(&self.name)
    }

    /// A client of the lab.
    ///
    /// # Errors
    /// When it does not run; the line says which do.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let ground = ground();
        join::running(&ground, &self.name)?;
        Ok(Client::new(&ground.socket(&self.name))?)
    }

    /// The next of what the lab tells as it comes.
    ///
    /// # Errors
    /// When the lab has ended, in the words that every verb has for it; when it does not answer as it should.
    pub(crate) fn heard<T>(&self, next: Result<T, ClientError>) -> anyhow::Result<T> {
        match next {
            Err(ClientError::Ended(_)) => Err(self.ended()),
            other => Ok(other?),
        }
    }

    /// The lab has ended, while it was looked at.
    pub(crate) fn ended(&self) -> anyhow::Error {
        anyhow::anyhow!("lab {} has ended", self.name)
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
                join::running(&ground(), &self.name)?;
                anyhow::bail!("lab {} is being built or undone: try again in a moment", self.name)
            }
            other => Ok(other?),
        }
    }
}

/// ` --name LAB`, or nothing for the lab that is found without.
pub(crate) fn option(name: &LabName) -> String {
    lab::called::option(name.as_str())
}

/// Where this user's labs are, looked for once: a process that has entered a lab's user namespace since seems
/// to be another user.
pub(crate) fn found() -> &'static Ground {
    static FOUND: OnceLock<Ground> = OnceLock::new();
    FOUND.get_or_init(Ground::find)
}

/// The same. What is odd about the choice is told, once.
pub(crate) fn ground() -> Ground {
    static TOLD: Once = Once::new();
    let ground = found();
    if let Some(note) = ground.note() {
        TOLD.call_once(|| say::error(note));
    }
    ground.clone()
}

/// A value as one line of JSON.
///
/// # Errors
/// When it cannot be written as JSON, which no answer of a lab's is.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    say::line(&serde_json::to_string(value).context("writing JSON")?);
    Ok(())
}
