//! `uswitch up`: the same in the background.
//!
//! The verb starts its own program again with a pipe as standard input. That process builds the
//! lab, talking to the terminal; when its checks have passed it lets go of the terminal, writes a
//! byte into the pipe and stays. The verb waits for the byte, or for the end, and passes on the
//! signals that come meanwhile.
//!
//! The lab's process holds nothing of its caller's: no descriptor, not its working directory, no
//! controlling terminal, not its file mode mask, no word of its service manager's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

use super::run::{LabArgs, Stay, serve};
use crate::say;
use crate::signals::{self, Signals};

/// Set for the process in the background: its standard input is the pipe.
pub(crate) const MARK: &str = "USWITCH_BACKGROUND";

/// What a service manager says to its own child (sd_notify(3), sd_listen_fds(3)), which is the verb
/// or whoever started that.
pub(crate) const NOT_OURS: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Build a lab and leave it running in the background once its checks pass
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    lab: LabArgs,
}

/// Whether this is the process in the background, or will be.
pub(crate) fn is_background() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    if is_background() {
        let ready = stand_alone()?;
        return serve(&args.lab, Stay::Background(ready), steps);
    }
    if args.lab.dry_run {
        return serve(&args.lab, Stay::Checks, steps);
    }
    // The lab's process would find /dev/null there.
    say::writable()?;
    let (mut ready, theirs) = io::pipe().context("making a pipe")?;
    let signals = Signals::catch(signals::block()?)?;
    let (tell, pid) = channel();
    std::thread::Builder::new()
        .name("relay".into())
        .spawn(move || relay(&signals, &pid))
        .context("starting a thread")?;
    sys::inherited::keep_descriptors().context("keeping descriptors from the lab")?;
    let mut words = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    // What the process is called in a list of them.
    command.arg0(words.next().unwrap_or_else(|| "uswitch".into())).args(words).env(MARK, "1");
    for name in NOT_OURS {
        command.env_remove(name);
    }
    let mut child = command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .context("starting the lab's process")?;
    // Holds an end of the pipe as well.
    drop(command);
    let _ = tell.send(i32::try_from(child.id()).context("the lab's process id")?);
    if ready.read(&mut [0]).context("waiting for the lab")? == 1 {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().context("waiting for the lab's process")?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Passes signals on to the lab's process, which is in no group of the terminal's.
fn relay(signals: &Signals, pid: &Receiver<i32>) {
    let Ok(pid) = pid.recv() else { return };
    while let Some(signal) = signals.wait() {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// What the lab's process changes of itself first of all; says where to tell that it is ready.
pub(super) fn stand_alone() -> anyhow::Result<File> {
    let ready = io::stdin().as_fd().try_clone_to_owned().context("holding the pipe")?;
    // It was started by a path that ends in another name.
    nix::sys::prctl::set_name(c"uswitch").context("taking the name of uswitch")?;
    umask(Mode::from_bits_truncate(0o022));
    // Who started us holds them back to pass them on. We may wait for a file's text yet.
    signals::unblock()?;
    if sys::autogroup::is_free() {
        nix::unistd::setsid().context("beginning a session")?;
    } else {
        // In a session of its own it would wait behind all others (`sys::autogroup`), and may not
        // raise its priority: it stays beside the programs it is to forward for.
        let own = Pid::from_raw(0);
        nix::unistd::setpgid(own, own).context("beginning a process group")?;
        sys::inherited::leave_terminal();
    }
    Ok(ready.into())
}

/// That somebody is still there to be told that the lab is ready.
///
/// # Errors
/// Where nobody is: `up` has been killed.
pub(crate) fn awaited(ready: &File) -> anyhow::Result<()> {
    let mut pipe = [PollFd::new(ready.as_fd(), PollFlags::empty())];
    poll(&mut pipe, PollTimeout::ZERO).context("looking who waits")?;
    // Of a pipe that nobody reads any more the kernel says so unasked.
    let is_alone = pipe[0].revents().is_some_and(|told| told.contains(PollFlags::POLLERR));
    anyhow::ensure!(!is_alone, "whoever started it has ended meanwhile");
    Ok(())
}

/// Lets go of standard input and output and of the working directory, and tells whoever waits.
/// Later words go to `log`.
pub(crate) fn detach(mut ready: File, log: &File) -> anyhow::Result<()> {
    match nothing() {
        Some(nothing) => {
            nix::unistd::dup2_stdin(&nothing)?;
            nix::unistd::dup2_stdout(&nothing)?;
        }
        None => {
            // A pipe nobody writes to ends at once, as /dev/null does.
            nix::unistd::dup2_stdin(io::pipe().context("making a pipe")?.0)?;
            nix::unistd::dup2_stdout(log)?;
        }
    }
    nix::unistd::dup2_stderr(log)?;
    std::env::set_current_dir("/").context("going to /")?;
    ready.write_all(b"+").context("telling that the lab is ready")
}

/// /dev/null, where there is one: a bare container may have none, or a file of that name.
fn nothing() -> Option<File> {
    let nothing = File::options().read(true).write(true).open("/dev/null").ok()?;
    nothing.metadata().is_ok_and(|found| found.file_type().is_char_device()).then_some(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_who_has_ended() {
        let (reader, writer) = io::pipe().unwrap();
        let ready = File::from(OwnedFd::from(writer));
        awaited(&ready).unwrap();
        drop(reader);
        awaited(&ready).unwrap_err();
    }
}
