//! The plugins' end of the socket: one message, one answer.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use engine::plugin::{Answer, Ask};

use crate::passing;

/// From one knock to the next, and how many: a server may be away for three seconds while another takes
/// its place.
const PAUSE: Duration = Duration::from_millis(50);
const KNOCKS: u32 = 60;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody serves, or does not answer.
#[derive(Debug, thiserror::Error)]
#[error("nobody serves at {path}: start `uswitch serve` ({source})")]
pub struct Absent {
    path: String,
    source: io::Error,
}

impl Absent {
    /// Whether nobody is there at all, or whoever was is gone: another may be asked the same.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(
            self.source.kind(),
            ErrorKind::NotFound
                | ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        )
    }
}

/// Asks whoever serves at `path`. Where the last one was killed it waits a moment for the next.
///
/// # Errors
/// [`Absent`] where there is no answer.
pub fn ask(path: &Path, ask: &Ask, fds: &[BorrowedFd<'_>]) -> Result<Answer, Absent> {
    ask_by(connect, path, ask, fds)
}

/// The same without waiting for the next.
///
/// # Errors
/// [`Absent`] where there is no answer.
pub fn ask_now(path: &Path, ask: &Ask, fds: &[BorrowedFd<'_>]) -> Result<Answer, Absent> {
    ask_by(|path| UnixStream::connect(path), path, ask, fds)
}

fn ask_by(
    connect: impl Fn(&Path) -> io::Result<UnixStream>,
    path: &Path,
    ask: &Ask,
    fds: &[BorrowedFd<'_>],
) -> Result<Answer, Absent> {
    let absent = |source| Absent { path: path.display().to_string(), source };
    let body = serde_json::to_vec(ask).map_err(|error| absent(error.into()))?;
    let talk = || {
        let stream = connect(path)?;
        passing::check_peer(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        passing::send(&stream, &body, fds)?;
        let (answer, _) = passing::receive(&stream)?;
        Ok(serde_json::from_slice(&answer)?)
    };
    talk().map_err(absent)
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    for _ in 0..KNOCKS {
        match UnixStream::connect(path) {
            // Its socket is there, and it is not: it was killed, or is about to listen.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => thread::sleep(PAUSE),
            other => return other,
        }
    }
    UnixStream::connect(path)
}
