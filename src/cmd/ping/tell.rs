//! What is printed while a run goes on: lines as ping's, dots, or JSON.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use icmp::run::Moment;
use icmp::session::Session;
use icmp::{Event, Options, text};

use super::args::Args;
use super::json;
use super::split::Below;
use crate::say;

/// Dots beyond this would leave the line of a terminal.
const WIDTH: u64 = 78;

/// Tells of one destination.
pub(super) struct Teller<'a> {
    pub(super) args: &'a Args,
    pub(super) options: &'a Options,
    /// The destination as it was given.
    pub(super) dest: &'a str,
    /// Lines begin with its name: there are others.
    pub(super) named: bool,
    /// A short account is wanted.
    pub(super) status: &'a AtomicBool,
}

impl Teller<'_> {
    /// Tells what happened, and what there is to say below it.
    pub(super) fn tell(&self, moment: Moment<'_>, session: &Session, below: Option<&Below>) {
        if self.status.swap(false, Ordering::Relaxed) {
            let status = text::status(session.stats(), self.options);
            match self.named {
                true => say::note(&format!("{}: {}", self.dest, status.trim_start())),
                false => say::over(&status),
            }
        }
        match moment {
            Moment::Event(event) if self.args.json => self.object(event, below),
            Moment::Event(event) if self.args.flood => self.mark(event),
            Moment::Event(event) => self.line(event, below),
            Moment::Sent if self.args.flood && !self.args.quiet && !self.args.json => {
                if session.in_flight() < WIDTH || !std::io::stdout().is_terminal() {
                    say::part(".");
                }
            }
            Moment::Sent | Moment::Awake => {}
        }
    }

    fn object(&self, event: &Event, below: Option<&Below>) {
        if !self.args.quiet {
            let mut object = json::event(self.dest, event);
            if self.args.date {
                object["time"] = wall().as_secs_f64().into();
            }
            if let Some(below) = below {
                below.into(&mut object);
            }
            say::line(&object.to_string());
        }
    }

    /// A flood's marks.
    fn mark(&self, event: &Event) {
        if self.args.quiet {
            return;
        }
        match event {
            Event::Reply(reply) if reply.odd.bad_checksum => say::bytes(b"\x08C"),
            Event::Reply(_) => say::bytes(b"\x08 \x08"),
            Event::Error { kind, .. } if [4, 5].contains(kind) => {}
            Event::Error { .. } => say::bytes(b"\x08E"),
            Event::Refused { .. } => say::part("E"),
            Event::Silent { .. } => self.line(event, None),
        }
    }

    fn line(&self, event: &Event, below: Option<&Below>) {
        // ping tells of missing answers even where it is to be quiet.
        if self.args.quiet && !matches!(event, Event::Silent { .. }) {
            return;
        }
        let line = text::event(event, self.options);
        if matches!(event, Event::Refused { .. }) {
            let name = if self.named { format!("{}: ", self.dest) } else { String::new() };
            say::error(&format!("{name}{line}"));
            return;
        }
        let mut start = if self.named { format!("{}: ", self.dest) } else { String::new() };
        if self.args.date {
            let now = wall();
            start += &format!("[{}.{:06}] ", now.as_secs(), now.subsec_micros());
        }
        say::line(&format!("{start}{line}"));
        if let Some(below) = below {
            say::line(&below.text());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the wall clock, for printing only")]
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
