//! The one place that writes to standard output and standard error.
//!
//! Whoever reads standard output may stop: `uswitch … | head` is no error. Output that cannot be
//! written for any other reason (a full disk, a closed descriptor) ends the verb with code 1 and a
//! line on standard error; where a lab is still to be undone it is kept in mind until then
//! ([`kept`], [`lost`]). What people read goes out with its control characters escaped. What standard error does not take is lost: there is nobody left to tell.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use crate::escape::escaped;

/// Why standard output took no more, where that was kept in mind.
static LOST: OnceLock<String> = OnceLock::new();
/// What is to be undone before the process ends because nobody reads on.
static UNDO: OnceLock<fn()> = OnceLock::new();

/// Has `undo` called where the process ends in the middle because its words go nowhere.
pub(crate) fn ends_with(undo: fn()) {
    let _ = UNDO.set(undo);
}

fn end(code: i32) -> ! {
    if let Some(undo) = UNDO.get() {
        undo();
    }
    std::process::exit(code)
}

/// A line.
pub(crate) fn line(text: &str) {
    bytes(format!("{}\n", escaped(text)).as_bytes());
}

/// Part of a line, shown at once.
pub(crate) fn part(text: &str) {
    bytes(escaped(text).as_bytes());
}

/// Anything that is not for people to read, or was written here: as it is.
pub(crate) fn bytes(bytes: &[u8]) {
    match write(bytes) {
        Ok(()) => {}
        // Whoever was reading has what they wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => end(0),
        Err(why) => {
            error(&cannot(&why));
            end(1)
        }
    }
}

/// Whether anybody could write there.
///
/// # Errors
/// Where standard output was closed from the start.
pub(crate) fn writable() -> anyhow::Result<()> {
    if sys::stdio::was_closed(1) {
        anyhow::bail!(cannot(&closed()));
    }
    Ok(())
}

/// A line of a verb that has to go on whatever becomes of its words: [`lost`] tells at its end.
pub(crate) fn kept(text: &str) {
    match write(format!("{}\n", escaped(text)).as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = LOST.set(cannot(&error));
        }
        _ => {}
    }
}

/// Why words were lost, if some were.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// What went wrong, on stderr: in one piece, so that two commands at one terminal do not mix.
pub(crate) fn error(text: &str) {
    note(&format!("uswitch: {text}"));
}

/// A line on stderr over what stands in the terminal's last one, as ping's account is: it begins
/// with a carriage return of our own.
pub(crate) fn over(text: &str) {
    let text = escaped(text.trim_start_matches('\r'));
    let _ = io::stderr().write_all(format!("\r{text}\n").as_bytes());
}

/// A line on stderr, in one piece.
pub(crate) fn note(text: &str) {
    let _ = io::stderr().write_all(format!("{}\n", escaped(text)).as_bytes());
}

fn cannot(error: &io::Error) -> String {
    format!("cannot write to standard output: {error}")
}

fn closed() -> io::Error {
    io::Error::from(nix::errno::Errno::EBADF)
}

fn write(bytes: &[u8]) -> io::Result<()> {
    if sys::stdio::was_closed(1) {
        return Err(closed());
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}
