//! A program in a pseudo-terminal: its screen as a person would see it, keys typed, sizes changed,
//! and what state it leaves the terminal in.
//!
//! A thread feeds what the program writes to a terminal emulator. A `Terminal` that goes out of
//! scope kills its program by its own id and waits for it.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};

use super::process::PATIENCE;

const STEP: Duration = Duration::from_millis(10);
/// How long the last words of a program that has ended may take to come.
const LAST: Duration = Duration::from_secs(5);

/// A program and its terminal.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    /// Kept open, so that what the program leaves behind can be looked at.
    _slave: Box<dyn SlavePty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    modes: String,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

fn size((columns, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn one(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Terminal {
    /// Starts `command` in a terminal of so many columns and rows.
    pub(crate) fn start(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let pair = native_pty_system().openpty(size((columns, rows))).unwrap();
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        builder.env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        builder.cwd("/");
        let modes = format!("{:?}", pair.master.get_termios().unwrap());
        let child = pair.slave.spawn_command(builder).unwrap();
        let parser = vt100::Parser::new(one(rows), one(columns), 0);
        let seen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new() }));
        let mut from = pair.master.try_clone_reader().unwrap();
        let into = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut seen = into.lock().unwrap();
                seen.parser.process(&buffer[..count]);
                seen.bytes.extend_from_slice(&buffer[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, _slave: pair.slave, child, keys, seen, modes }
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.look(vt100::Screen::contents)
    }

    /// Looks at the screen.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().parser.screen())
    }

    /// All the program has written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Makes the terminal larger or smaller.
    pub(crate) fn resize(&self, (columns, rows): (u16, u16)) {
        let mut seen = self.seen.lock().unwrap();
        seen.parser.screen_mut().set_size(one(rows), one(columns));
        self.master.resize(size((columns, rows))).unwrap();
    }

    /// Waits until the text on the screen is as wanted; `what` is what failures call that.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait(what, |this| wanted(&this.text()));
        self.text()
    }

    #[track_caller]
    fn wait(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + PATIENCE;
        let mut gone = None;
        while !wanted(self) {
            // What it wrote last may still be on its way when it ends.
            if Instant::now() > limit || gone.is_some_and(|since: Instant| since.elapsed() > LAST) {
                panic!("{what}: never seen:\n{}", self.text());
            }
            if gone.is_none() && self.child.try_wait().unwrap().is_some() {
                gone = Some(Instant::now());
            }
            std::thread::sleep(STEP);
        }
    }

    /// Waits until `words` are on the screen, and gives all of it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        self.wait_until(words, |text| text.contains(words))
    }

    /// Sends the program `signal`.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the end, and gives the exit code; 128 and more for a signal's.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> u32 {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.signal(), None, "a signal ended it:\n{}", self.text());
                return status.exit_code();
            }
            assert!(Instant::now() < limit, "has not ended:\n{}", self.text());
            std::thread::sleep(STEP);
        }
    }

    /// Asserts that the terminal is as the program found it: modes, screen, cursor, colours.
    #[track_caller]
    pub(crate) fn is_restored(&mut self) {
        self.wait("the usual screen and its cursor", |this| {
            this.look(|screen| !screen.alternate_screen() && !screen.hide_cursor())
        });
        assert_eq!(format!("{:?}", self.master.get_termios().unwrap()), self.modes);
        self.look(|screen| {
            assert_eq!(screen.fgcolor(), vt100::Color::Default);
            assert!(!screen.inverse() && !screen.bold() && !screen.dim());
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
