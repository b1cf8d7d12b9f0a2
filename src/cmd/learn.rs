//! `uswitch learn`: the walkthrough in a terminal, a step at a time, in labs that are built before the
//! reader's eyes.

use std::io::{BufRead, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use lab::called::program;
use lab::join;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::Usage;
use crate::lesson::{self, Block, Part};
use crate::paint::Paint;
use crate::{door, say};

/// Columns of the prose.
const COLUMNS: usize = 78;

/// Go through the walkthrough step by step: what each is, how it is done by hand, and what uswitch does
///
/// The labs are real. Between the steps you can look inside: type a node's name for a shell in it, or any
/// command, such as `show fdb` or `ping net1 net2`. The same steps stand in docs/walkthrough.md.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// What the reader says after a step.
enum Wish {
    On,
    End,
    /// Words for the command.
    Look(Vec<String>),
}

/// Runs the verb.
pub(crate) fn main(Args {}: Args) -> anyhow::Result<ExitCode> {
    if let Some(name) = join::labs(&door::ground()).running.first() {
        let down = format!("{} down --name {name}", program());
        return Err(Usage(format!(
            "lab {name} is running, and this builds its own: `{down}` first"
        ))
        .into());
    }
    say::ends_with(undo);
    let outcome = all(&Stops::heard()?);
    // Ended in the middle, or failed: what was built is undone.
    if built() {
        run(&["down".into()])?;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Whether a lab of the lesson's runs.
fn built() -> bool {
    !join::labs(&door::ground()).running.is_empty()
}

/// Where the words of the lesson go nowhere any more, those of the undoing do not either.
fn undo() {
    if built() {
        let mut command = Command::new("/proc/self/exe");
        command.arg0(program()).arg("down").stdout(Stdio::null());
        let _ = command.status();
    }
}

/// Signals that end the lesson.
struct Stops {
    /// By Ctrl-C.
    interrupted: Arc<AtomicBool>,
    /// By somebody else, or with the terminal.
    ended: Arc<AtomicBool>,
}

impl Stops {
    /// From now on.
    fn heard() -> anyhow::Result<Self> {
        let stops = Self { interrupted: Arc::default(), ended: Arc::default() };
        for (signal, flag) in
            [(SIGINT, &stops.interrupted), (SIGTERM, &stops.ended), (SIGHUP, &stops.ended)]
        {
            signal_hook::flag::register(signal, Arc::clone(flag)).context("waiting for signals")?;
        }
        Ok(stops)
    }

    fn one(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed)
    }
}

fn all(stops: &Stops) -> anyhow::Result<()> {
    let parts = lesson::parts(lesson::PAGE);
    let waits = std::io::stdin().is_terminal();
    for (number, part) in parts.iter().enumerate() {
        show(part)?;
        let is_last = number + 1 == parts.len();
        while waits && !is_last && !stops.one() {
            match asked(stops)? {
                Wish::On => break,
                Wish::End => return Ok(()),
                // What runs until Ctrl-C is ended by it, and the lesson is not.
                Wish::Look(words) => {
                    run(&words)?;
                    stops.interrupted.store(false, Ordering::Relaxed);
                }
            }
        }
        if stops.one() {
            return Ok(());
        }
    }
    Ok(())
}

fn show(part: &Part<'_>) -> anyhow::Result<()> {
    let paint = Paint::of_stdout();
    say::line("");
    say::line(&paint.head(part.title));
    for block in &part.blocks {
        say::line("");
        match block {
            Block::Prose(text) => {
                lesson::wrapped(text, COLUMNS).iter().for_each(|line| say::line(line));
            }
            Block::ByHand(lines) => {
                lines.iter().for_each(|line| say::line(&format!("    {}", paint.dim(line))));
            }
            Block::Commands(commands) => {
                for command in commands {
                    say::line(&paint.head(&format!("$ {} {command}", program())));
                    let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
                    let done = run(&words)?;
                    // A ping without an answer is what is to be seen; a lab that is not there is not.
                    if !done && words.first().is_some_and(|verb| verb == "up") {
                        anyhow::bail!(
                            "the lab of this step could not be built: `{} doctor`",
                            program()
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

/// Runs a command of ours; whether all went well.
fn run(words: &[String]) -> anyhow::Result<bool> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(program()).args(words);
    let ended = command.status().with_context(|| format!("running {}", words.join(" ")))?;
    Ok(ended.success())
}

fn asked(stops: &Stops) -> anyhow::Result<Wish> {
    let prompt = "Enter: go on · a node's name: a shell in it · any command: run it · q: end > ";
    say::part(&format!("\n{prompt}"));
    let stdin = std::io::stdin();
    // A signal ends the wait, which it does not where the kernel is asked for a line at once.
    loop {
        let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) if stops.one() => return Ok(Wish::End),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for the terminal"),
        }
    }
    let mut line = String::new();
    if stdin.lock().read_line(&mut line).context("reading from the terminal")? == 0 {
        return Ok(Wish::End);
    }
    let mut words = lesson::words(&line);
    // The whole command, as it stands on the page.
    if words.first().is_some_and(|word| word == "uswitch" || word == program()) {
        words.remove(0);
    }
    Ok(match words.as_slice() {
        [] => Wish::On,
        [word] if ["q", "quit", "exit"].contains(&word.as_str()) => Wish::End,
        [node] if is_node(node) => Wish::Look(vec!["shell".into(), node.clone()]),
        _ => Wish::Look(words),
    })
}

fn is_node(name: &str) -> bool {
    let ground = door::ground();
    join::labs(&ground).running.first().is_some_and(|lab| join::find(&ground, lab, name).is_ok())
}
