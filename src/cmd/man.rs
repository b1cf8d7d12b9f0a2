//! `uswitch man`: the manual, a page a verb.

mod examples;
mod page;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::exit::Usage;
use crate::{complete, say};

/// Print a page of the manual, or write all of them
///
/// As in `uswitch man show | man -l -`, or `uswitch man --dir /usr/local/share/man/man1`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The verb the page is about [default: the program]
    #[arg(value_name = "VERB", conflicts_with = "dir", add = complete::verbs())]
    verb: Option<String>,
    /// Write every page into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let mut program = Cli::command();
    if let Some(dir) = args.dir {
        program.build();
        // A folder that is missing is made; one whose parent is missing is a slip of the pen.
        if !dir.is_dir() {
            std::fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
        }
        write(&program, &dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    program.build();
    let page = match args.verb {
        None => program,
        Some(verb) => about(&program, &verb)?,
    };
    say::bytes(&page::render(&page).context("writing the page")?);
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of its verbs.
fn write(command: &Command, dir: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let file = dir.join(format!("{name}.1"));
    let text = page::render(command);
    text.and_then(|text| std::fs::write(&file, text))
        .with_context(|| format!("writing {}", file.display()))?;
    command.get_subcommands().filter(is_shown).try_for_each(|verb| write(verb, dir))
}

/// Whether a verb has a page.
fn is_shown(verb: &&Command) -> bool {
    !verb.is_hide_set() && verb.get_name() != "help"
}

fn about(program: &Command, verb: &str) -> anyhow::Result<Command> {
    let Some(found) = program.find_subcommand(verb) else {
        let shown = program.get_subcommands().filter(is_shown);
        let verbs: Vec<_> = shown.map(Command::get_name).collect();
        return Err(
            Usage(format!("there is no verb {verb}; there are {}", verbs.join(", "))).into()
        );
    };
    Ok(found.clone())
}
