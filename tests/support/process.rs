//! A started program: what it says as it says it, and its end by a deadline.
//!
//! Two threads collect its output, so that it never blocks on us. A `Process` that goes out of
//! scope is killed by its own id and waited for.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take that has no deadline of its own; generous, for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(5);

/// A program that is running, or was.
pub(crate) struct Process {
    said: String,
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<Reader>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, unless a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// All it wrote to its output.
    pub(crate) out: String,
    /// All it wrote to its error output.
    pub(crate) err: String,
    /// From start to end.
    pub(crate) took: Duration,
}

impl Ended {
    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "failed:\n{}\n{}", self.out, self.err);
        self
    }

    /// Asserts exit `code` and exactly one line of complaint, which it gives.
    #[track_caller]
    pub(crate) fn complaint(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "out:\n{}\nerr:\n{}", self.out, self.err);
        assert_eq!(self.err.lines().count(), 1, "one line was wanted:\n{}", self.err);
        self.err.trim_end()
    }
}

impl Process {
    /// Starts `command`; `said` is what failures call it.
    pub(crate) fn start(mut command: Command, said: &str) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{said}: {error}"));
        let (out, err) = (Arc::default(), Arc::default());
        let readers = vec![
            Reader::start(child.stdout.take().unwrap(), Arc::clone(&out)),
            Reader::start(child.stderr.take().unwrap(), Arc::clone(&err)),
        ];
        Process { said: said.to_owned(), child, out, err, readers }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// A number of /proc/PID/status, such as that of `VmRSS` in KiB, or a set of signals.
    pub(crate) fn status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| *name == key).unwrap();
        let radix = if key.starts_with("Sig") { 16 } else { 10 };
        u64::from_str_radix(value.split_whitespace().next().unwrap(), radix).unwrap()
    }

    /// What it has written so far.
    pub(crate) fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Waits until its output holds `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let out = Arc::clone(&self.out);
        self.wait_until(text, &out);
    }

    /// Waits until its error output holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_complaint(&mut self, text: &str) {
        let err = Arc::clone(&self.err);
        self.wait_until(text, &err);
    }

    #[track_caller]
    fn wait_until(&mut self, text: &str, said: &Mutex<String>) {
        let limit = Instant::now() + PATIENCE;
        while !said.lock().unwrap().contains(text) {
            let gone = self.child.try_wait().unwrap();
            // Its last words may still be in the pipes.
            let heard = gone.is_some() && self.readers.iter().all(Reader::has_all);
            if heard && said.lock().unwrap().contains(text) {
                return;
            }
            if heard || Instant::now() > limit {
                let err = self.err.lock().unwrap().clone();
                panic!("{}: never said {text:?} ({gone:?}):\n{}\n{err}", self.said, self.out());
            }
            std::thread::sleep(STEP);
        }
    }

    /// Sends it `signal`; that it has just ended is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).ok();
    }

    /// Whether it still runs.
    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end; one that takes longer than our patience is killed, and is a failure.
    #[track_caller]
    pub(crate) fn ended(self) -> Ended {
        self.ended_within(PATIENCE)
    }

    /// The same with a deadline of the caller's.
    #[track_caller]
    pub(crate) fn ended_within(mut self, patience: Duration) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > patience {
                let err = self.err.lock().unwrap().clone();
                panic!("{}: not ended after {patience:?}:\n{}\n{err}", self.said, self.out());
            }
            std::thread::sleep(STEP);
        };
        let took = begun.elapsed();
        // All that it said is in the pipes. A background child may have inherited them: what that one
        // says later is not waited for.
        while !self.readers.iter().all(Reader::has_all) {
            std::thread::sleep(STEP);
        }
        let err = self.err.lock().unwrap().clone();
        Ended { code: status.code(), signal: status.signal(), out: self.out(), err, took }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Collects what comes out of a pipe.
struct Reader {
    pipe: OwnedFd,
    into: Arc<Mutex<String>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(from: impl Into<OwnedFd>, into: Arc<Mutex<String>>) -> Self {
        let pipe = from.into();
        let mut file = File::from(pipe.try_clone().unwrap());
        let collected = Arc::clone(&into);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while has_more(&file, PollTimeout::NONE) {
                // Held while it is read, so that nothing is between the pipe and the text.
                let mut text = collected.lock().unwrap();
                let Ok(count @ 1..) = file.read(&mut buffer) else { return };
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { pipe, into, thread }
    }

    /// Whether all that is in the pipe is in the text.
    fn has_all(&self) -> bool {
        let _held = self.into.lock().unwrap();
        self.thread.is_finished() || !has_more(&self.pipe, PollTimeout::ZERO)
    }
}

/// Whether there is something to read, or the end.
fn has_more(pipe: &impl AsFd, patience: PollTimeout) -> bool {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, patience) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(error) => panic!("polling a pipe: {error}"),
        }
    }
}
