//! `uswitch man`: the manual, a page a verb.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::say;

/// Print a page of the manual, or write all of them
///
/// As in `uswitch man show | man -l -`, or `uswitch man --dir /usr/local/share/man/man1`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The verb the page is about [default: the program]
    #[arg(value_name = "VERB", conflicts_with = "dir")]
    verb: Option<String>,
    /// Write every page into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let mut program = Cli::command();
    if let Some(dir) = args.dir {
        std::fs::create_dir_all(&dir)
            .and_then(|()| clap_mangen::generate_to(program, &dir))
            .with_context(|| format!("writing the manual to {}", dir.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    program.build();
    let page = match args.verb {
        None => program,
        Some(verb) => page(&program, &verb)?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).context("writing the page")?;
    say::bytes(&text);
    Ok(ExitCode::SUCCESS)
}

fn page(program: &Command, verb: &str) -> anyhow::Result<Command> {
    let Some(found) = program.find_subcommand(verb) else {
        let verbs: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
        bail!("there is no verb {verb}; there are {}", verbs.join(", "))
    };
    Ok(found.clone())
}
