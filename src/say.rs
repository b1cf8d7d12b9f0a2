//! Standard output that does not mind being closed: `uswitch … | head` is no error.

use std::io::{ErrorKind, Write};

/// A line.
pub(crate) fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Part of a line, shown at once.
pub(crate) fn part(text: &str) {
    write(text);
}

/// What went wrong, on stderr: in one piece, so that two commands at one terminal do not mix.
pub(crate) fn error(text: &str) {
    let _ = std::io::stderr().write_all(format!("uswitch: {text}\n").as_bytes());
}

fn write(text: &str) {
    bytes(text.as_bytes());
}

/// A whole text, or anything else.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever was reading has what they wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => eprintln!("uswitch: cannot write: {error}"),
        Ok(()) => {}
    }
}
