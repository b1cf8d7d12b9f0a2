//! What a lab's file has done inside its nodes: the lines of `exec`, one node after another, once the
//! lab is built.
//!
//! A shell beside the lab's process runs them, as anybody's `uswitch exec NODE -- sh` would: it is
//! started before the lab gives up its rights, and waits for a word. What lines leave running is in
//! that shell's process group and ends with the lab. What they say goes where the lab's words go.

use std::ffi::OsStr;
use std::io::{PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use lab::LabName;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use topology::Spec;

use crate::say;

/// For each node its name and its lines: a shell inside it. `$0` is this program, `$1` the lab.
const SCRIPT: &str = r#"
read -r _ || exit 0
lab=$1; shift
while [ $# -gt 0 ]; do
    "$0" exec --name "$lab" "$1" -- sh -ec "$2" </dev/null || {
        echo "exec of $1 ended with $?"
        exit 1
    }
    shift 2
done
"#;
/// How often it is looked whether they are through, or the lab is to end.
const LOOK: Duration = Duration::from_millis(20);
/// What is told of a line at most, in bytes.
const LONGEST: usize = 1024;

/// The shell; dropping it ends all that it left running.
pub(crate) struct Inside {
    child: Child,
    said: Option<PipeReader>,
}

impl Inside {
    /// Starts the shell, where there is something to do.
    ///
    /// # Errors
    /// Where no process is to be had.
    pub(crate) fn prepare(lab: &LabName, spec: &Spec) -> anyhow::Result<Option<Self>> {
        let own = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new("/bin/sh");
        command.args([OsStr::new("-c"), OsStr::new(SCRIPT), own.as_os_str()]).arg(lab.as_str());
        let mut any = false;
        for (name, node) in spec.nodes.iter().filter(|(_, node)| !node.exec.is_empty()) {
            command.arg(name).arg(node.exec.join("\n"));
            any = true;
        }
        if !any {
            return Ok(None);
        }
        let (said, theirs) = std::io::pipe().context("making a pipe")?;
        let theirs_too = theirs.try_clone().context("making a pipe")?;
        command.stdin(Stdio::piped()).stdout(theirs).stderr(theirs_too).process_group(0);
        command.env_remove(crate::cmd::up::MARK);
        let child = command.spawn().context("starting a shell for the nodes' exec")?;
        Ok(Some(Self { child, said: Some(said) }))
    }

    /// Says go, and waits until all lines are through or `stop` is set.
    ///
    /// # Errors
    /// A line that failed.
    pub(crate) fn go(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        if let Some(said) = self.said.take() {
            let thread = std::thread::Builder::new().name("exec".into());
            thread.spawn(move || tell(said)).context("starting a thread")?;
        }
        if let Some(mut word) = self.child.stdin.take() {
            word.write_all(b"go\n").context("telling the shell of the nodes' exec")?;
        }
        while !stop.load(Ordering::Relaxed) {
            match self.ended().context("waiting for the nodes' exec")? {
                WaitStatus::StillAlive => std::thread::sleep(LOOK),
                WaitStatus::Exited(_, 0) => return Ok(()),
                _ => anyhow::bail!("the nodes' exec failed; what was said stands above"),
            }
        }
        Ok(())
    }

    /// How the shell is, which stays to be waited for: its number is its group's.
    fn ended(&self) -> nix::Result<WaitStatus> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        waitid(Id::Pid(self.pid()), flags)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Whose number the group has is still to be waited for, so it is no other group's.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Tells what is said, line by line, on standard error: the terminal, later the lab's log.
fn tell(mut said: impl Read) {
    let (mut line, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = said.read(&mut chunk) {
        for byte in &chunk[..length] {
            if *byte == b'\n' || line.len() == LONGEST {
                say::note(&String::from_utf8_lossy(&line));
                line.clear();
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
    }
    if !line.is_empty() {
        say::note(&String::from_utf8_lossy(&line));
    }
}
