//! Has a server, where there is none: podman works with no more than a link to this program. The server is
//! this program again, in the background; it goes with its last container, and undoes all of it.
//!
//! Several plugins may start one at once: one of them gets to serve, the others end, and whoever
//! started those asks the one.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use engine::plugin::{Answer, Ask};
use serve::client;

use super::{Place, User};
use crate::cmd::serve::RUN_DIR;
use crate::cmd::up::{MARK, NOT_OURS};

/// From one try to the next, and how many.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 200;
/// How often one may fail to start that is in no other's way: others may have come and gone meanwhile.
const FAILURES: u32 = 5;
/// Bytes of what one says that could not serve.
const WORDS: usize = 4096;
/// How long one may take until it serves.
const LONGEST: Duration = Duration::from_secs(30);
/// Where it is there, services are systemd's (sd_booted(3)), and what stays in the group of the one that
/// started podman ends with that.
const SYSTEMD: &str = "/run/systemd/system";
/// Seconds without any container: one that is started anew is not to wait for another server.
const GRACE: &str = "2";
/// How netavark has its own server in a group of its own.
const SCOPE: &str = "systemd-run";

/// Asks whoever serves at a place; one that is started for it where nobody does.
///
/// # Errors
/// In words, where nobody can be had, or does not answer.
pub(super) fn ask(place: &Place, ask: &Ask, fds: &[BorrowedFd<'_>]) -> Result<Answer, String> {
    let (mut why, mut failed) = (None, 0);
    // One that somebody has started by hand, and that was killed, may be started by hand again.
    let by_hand = !place.was_passing();
    for count in 0..TRIES {
        let asked = match by_hand && count == 0 {
            true => client::ask(&place.socket, ask, fds),
            false => client::ask_now(&place.socket, ask, fds),
        };
        match asked {
            Ok(Answer::Leaving) => {}
            Err(absent) if absent.is_gone() && place.may_start => match start(place) {
                Ok(()) => continue,
                Err(words) => {
                    failed += u32::from(!place.is_taken());
                    if failed == FAILURES {
                        return Err(words);
                    }
                    why = Some(words);
                }
            },
            Ok(answer) => return Ok(answer),
            Err(absent) => return Err(absent.to_string()),
        }
        thread::sleep(PAUSE);
    }
    Err(why.unwrap_or_else(|| format!("nobody serves at {}", place.socket.display())))
}

/// Starts a server and waits until it serves.
fn start(place: &Place) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| failed(&error))?;
    if Path::new(SYSTEMD).is_dir() {
        let mut scope = Command::new(SCOPE);
        scope.args(["--quiet", "--scope"]);
        if place.user.is_some() {
            scope.arg("--user");
        }
        // Without a manager that answers (a user's, as a rule) it is started as it is.
        if begin(scope.arg("--").arg(&own), place).is_ok() {
            return Ok(());
        }
    }
    begin(&mut Command::new(&own), place)
}

fn failed(error: &io::Error) -> String {
    format!("starting `uswitch serve`: {error}")
}

fn begin(command: &mut Command, place: &Place) -> Result<(), String> {
    command.args(["serve", "--passing"]);
    match &place.user {
        None => command.arg(GRACE),
        // podman ends the network that it is in with the last container.
        Some(User { run, state }) => command
            .args([OsStr::new("0"), "--plugin".as_ref(), "none".as_ref(), "--socket".as_ref()])
            .args([place.socket.as_os_str(), "--state".as_ref(), state.as_os_str()])
            .env(RUN_DIR, run),
    };
    let mut told = || {
        sys::inherited::keep_descriptors()?;
        let (ready, theirs) = io::pipe()?;
        let (said, saying) = io::pipe()?;
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        command.stderr(Stdio::from(OwnedFd::from(saying))).env(MARK, "1").current_dir("/");
        for name in NOT_OURS {
            command.env_remove(name);
        }
        let child = command.spawn();
        // The command holds ends of both pipes as well.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Ok((child?, ready, said))
    };
    let (mut child, mut ready, said) = told().map_err(|error| failed(&error))?;
    // What it says is taken away meanwhile, for a full pipe would hold it up.
    let (tell, told) = mpsc::channel();
    let wait = move || tell.send(ready.read(&mut [0]).is_ok_and(|read| read == 1));
    let begun =
        thread::Builder::new().spawn(wait).and(thread::Builder::new().spawn(|| last_of(said)));
    let words = begun.map_err(|error| failed(&error))?;
    match told.recv_timeout(LONGEST) {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("`uswitch serve` is not ready after {} s", LONGEST.as_secs()));
        }
    }
    let _ = child.wait();
    let words = words.join().unwrap_or_default();
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it has said nothing");
    Err(format!("`uswitch serve` does not start: {}", last.trim_start_matches("uswitch: ")))
}

/// The last of what there is to read, up to [`WORDS`] bytes.
fn last_of(mut from: impl Read) -> String {
    let (mut kept, mut part) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = from.read(&mut part) {
        kept.extend_from_slice(&part[..length]);
        kept.drain(..kept.len().saturating_sub(WORDS));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
