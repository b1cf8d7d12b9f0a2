//! `uswitch exec`: a command inside a node. The process moves into the node and becomes the
//! command, so exit code, signals and terminal are the command's own.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};

use anyhow::Context;
use lab::LabName;
use lab::called::program;
use lab::host_port::HOST;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::complete;
use crate::door::Which;
use crate::exit::Usage;
use crate::{node, say, signals};

/// What a signal's siginfo says where the kernel sent it (`SI_KERNEL`): a terminal's, for one.
const FROM_KERNEL: i32 = 0x80;

/// Run a command in a node's network namespace
///
/// As under `ip netns exec` it sees the node's own /sys, and /etc/netns/NAMESPACE/FILE in the place
/// of /etc/FILE; where there is no such file, the lab's own hosts and resolv.conf, so that nodes are
/// found by their names. Exit code: the command's; 126 when it cannot be run, 127 when there is no
/// such command, 2 when there is no such node; with --all the first that is not 0. What ends us with --all
/// ends the command that runs, and there is no next one.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// In every node, one after another
    #[arg(long)]
    all: bool,
    /// The node
    #[arg(value_name = "NODE", required_unless_present = "all", add = complete::nodes())]
    node: Option<OsString>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, add = complete::commands())]
    command: Vec<OsString>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let Args { which, all, node, mut command } = args;
    if all {
        command.splice(0..0, node);
        return everywhere(&which, &command);
    }
    let node = node.unwrap_or_default();
    let node = node.to_string_lossy();
    if command.is_empty() {
        let (program, name) = (program(), which.option());
        let said = format!(
            "a command is missing: `{program} exec{name} {node} -- ip addr`, or \
             `{program} shell{name} {node}` for a shell"
        );
        return Err(Usage(said).into());
    }
    become_one(&which.name, &node, &command, &[])
}

/// In each node by a process of its own, whose output stands below the node's name.
fn everywhere(which: &Which, command: &[OsString]) -> anyhow::Result<ExitCode> {
    if command.is_empty() {
        let (program, name) = (program(), which.option());
        return Err(Usage(format!(
            "a command is missing: `{program} exec{name} --all -- ip addr`"
        ))
        .into());
    }
    let mut nodes = which.answer(which.client()?.topology())?.nodes;
    // The host's own place in a network: what is meant for all containers is not meant for it.
    nodes.retain(|node| node.name != HOST);
    let blocked = SigSet::thread_get_mask().context("looking at blocked signals")?;
    let signals = children()?;
    let mut code = 0;
    for (number, node) in nodes.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        say::part(&format!("{gap}==> {} <==\n", node.name));
        let mut one = Command::new("/proc/self/exe");
        one.args(["exec", "--name", which.name.as_str(), &node.name, "--"]).args(command);
        sys::inherited::hand_on(&mut one, blocked);
        let starting = || format!("starting a process for {}", node.name);
        let mut one = one.spawn().with_context(starting)?;
        let (ended, ends) = waited(&mut one, &signals)?;
        if let Some(signal) = ends {
            return Ok(ExitCode::from(128 + u8::try_from(signal as i32).unwrap_or(0)));
        }
        let of_it = ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap_or(0));
        if code == 0 {
            code = u8::try_from(of_it).unwrap_or(1);
        }
    }
    Ok(ExitCode::from(code))
}

/// What ends us, and that a child has ended, as a descriptor.
fn children() -> anyhow::Result<SignalFd> {
    let mut set = signals::block()?;
    let mut ended = SigSet::empty();
    ended.add(Signal::SIGCHLD);
    ended.thread_block().context("blocking signals")?;
    set.add(Signal::SIGCHLD);
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).context("opening a descriptor for signals")
}

/// Waits for a node's command. A signal that ends us is sent on to it first; which one, if one came.
fn waited(one: &mut Child, signals: &SignalFd) -> anyhow::Result<(ExitStatus, Option<Signal>)> {
    let mut ends = None;
    loop {
        if let Some(ended) = one.try_wait().context("waiting for a command")? {
            return Ok((ended, ends));
        }
        let Some(came) = signals.read_signal().context("waiting for a command")? else { continue };
        let number = i32::try_from(came.ssi_signo).unwrap_or(0);
        let Ok(signal) = Signal::try_from(number) else { continue };
        if signal == Signal::SIGCHLD {
            continue;
        }
        ends = Some(signal);
        // A terminal has told the command as well.
        let pid = Pid::from_raw(i32::try_from(one.id()).unwrap_or(0));
        if came.ssi_code != FROM_KERNEL && pid.as_raw() > 0 {
            let _ = kill(pid, signal);
            // One that is stopped hears of it when it goes on.
            let _ = kill(pid, Signal::SIGCONT);
        }
    }
}

/// Moves into the node and becomes the command.
pub(super) fn become_one(
    lab: &LabName,
    node: &str,
    command: &[OsString],
    environment: &[(&str, String)],
) -> anyhow::Result<ExitCode> {
    let Some((program, rest)) = command.split_first() else {
        return Err(Usage("a command is missing".into()).into());
    };
    let entrance = node::find(lab, node)?;
    entrance.enter()?;
    for missing in entrance.dress() {
        say::error(&missing);
    }
    // Closed for us, closed for the command.
    for fd in (0..3).filter(|fd| sys::stdio::was_closed(*fd)) {
        let _ = nix::unistd::close(i32::from(fd));
    }
    // Comes back only where it fails.
    let mut command = Command::new(program);
    command.args(rest).envs(environment.iter().map(|(name, value)| (name, value)));
    let error = command.exec();
    let missing = error.kind() == ErrorKind::NotFound || !is_somewhere(program);
    let why = if missing { "no such program".into() } else { error.to_string() };
    say::error(&format!("cannot run {}: {why}", program.to_string_lossy()));
    Ok(ExitCode::from(if missing { 127 } else { 126 }))
}

/// Whether there is such a file, by its path or along PATH. The kernel's answer alone does not
/// tell: where a directory of PATH may not be looked into, that is all it says.
fn is_somewhere(program: &OsStr) -> bool {
    if program.as_bytes().contains(&b'/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}
