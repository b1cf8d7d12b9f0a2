//! `uswitch up`: the same in the background.
//!
//! The verb starts its own program again with a pipe as standard input. That process builds the
//! lab, talking to the terminal; when its checks have passed it lets go of the terminal, writes a
//! byte into the pipe and stays. The verb waits for the byte, or for the end.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::run::{LabArgs, Stay, serve};
use crate::say;
use crate::signals::{self, Signals};

/// Set for the process in the background: its standard input is the pipe.
const MARK: &str = "USWITCH_BACKGROUND";

/// Build a lab and leave it running in the background once its checks pass
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    lab: LabArgs,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    if std::env::var_os(MARK).is_some() {
        let ready = std::io::stdin().as_fd().try_clone_to_owned().context("holding the pipe")?;
        return serve(&args.lab, Stay::Background(File::from(ready)));
    }
    // The lab's process would find /dev/null there.
    say::writable()?;
    let (mut ready, theirs) = std::io::pipe().context("making a pipe")?;
    // Theirs to act on: Ctrl-C reaches both processes, and this one waits for the undoing.
    let set = signals::block()?;
    let mut child = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .context("starting the lab's process")?;
    let pid = i32::try_from(child.id()).context("the lab's process id")?;
    let signals = Signals::catch(set)?;
    std::thread::spawn(move || {
        signals.wait();
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    });
    if ready.read(&mut [0]).context("waiting for the lab")? == 1 {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().context("waiting for the lab's process")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Lets go of the terminal, and tells whoever waits. Later words go to `log`.
pub(crate) fn detach(mut ready: File, log: &Path) -> std::io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    let log = File::options().create(true).append(true).open(log)?;
    // Fails only where this process leads a session of its own already.
    let _ = nix::unistd::setsid();
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&nothing)?;
    nix::unistd::dup2_stderr(&log)?;
    ready.write_all(b"+")
}
