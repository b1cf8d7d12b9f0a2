//! The live view: keys, looks, events and signals come into one queue, and the screen is drawn
//! after each; for events alone at most ten times a second. Looks are asked for by the clock, one
//! at a time.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, bail};
use control::ClientError;
use nix::sys::signal::Signal;
use ratatui::crossterm::event::{Event as Input, KeyEventKind, read};

use super::feed::{Feed, Message, Patience, queue, spawn};
use super::model::Model;
use super::sample::Sample;
use super::screen::Screen;
use super::ui::{Action, Ui};
use super::view::{self, Theme};
use super::{Watched, clock};
use crate::signals::{self, Signals};

/// Messages handled between two drawings.
const AT_ONCE: usize = 256;

/// After so long without an answer the person is told that what is shown is old.
const SILENCE: Duration = Duration::from_secs(3);

/// Between two drawings for events alone: a flood of them is not to be a flood of drawings.
const REST: Duration = Duration::from_millis(100);

/// What comes from the person's side.
enum Hand {
    Input(Input),
    Signal(Signal),
}

/// Why it ends.
enum End {
    Asked,
    Signal(Signal),
    Lab(String),
}

/// Shows the lab until the person or the lab ends it.
///
/// # Errors
/// When the lab is not there, or the terminal cannot be used.
pub(super) fn watch(
    watched: &Watched<'_>,
    delay: Duration,
    count: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let set = signals::block()?;
    let mut ui = Ui::new(delay);
    let Watched { name, socket, network } = watched;
    let first = Sample::fetch(&control::Client::new(socket)?, ui.want(), network.as_deref())?;
    let (tell, told) = queue();
    let signals = Signals::catch(set)?;
    spawn("ending", &tell, move |tell| {
        if let Some(signal) = signals.wait() {
            let _ = tell.send(Message::Other(Hand::Signal(signal)));
        }
    })?;
    let feed = Feed::start(watched, &tell)?;
    let mut screen = Screen::take().context("setting up the terminal")?;
    spawn("keys", &tell, move |tell| {
        while let Ok(input) = read() {
            if tell.send(Message::Other(Hand::Input(input))).is_err() {
                return;
            }
        }
        // The terminal is gone.
        let _ = tell.send(Message::Other(Hand::Signal(Signal::SIGHUP)));
    })?;
    let mut watching = Watching {
        model: Model::new(first),
        ui: &mut ui,
        theme: Theme::of_environment(),
        feed: &feed,
        looks: 1,
        patience: Patience::default(),
        looked: clock(),
        asked: None,
    };
    let end = watching.run(&mut screen, &told, count);
    drop(screen);
    match end? {
        End::Asked => Ok(ExitCode::SUCCESS),
        End::Signal(signal) => Ok(ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(130))),
        End::Lab(why) => bail!("lab {name} has ended{why}"),
    }
}

struct Watching<'a> {
    model: Model,
    ui: &'a mut Ui,
    theme: Theme,
    feed: &'a Feed,
    looks: u64,
    patience: Patience,
    looked: Duration,
    /// Since when an answer is awaited.
    asked: Option<Duration>,
}

impl Watching<'_> {
    fn run(
        &mut self,
        screen: &mut Screen,
        told: &Receiver<Message<Hand>>,
        count: Option<u64>,
    ) -> anyhow::Result<End> {
        let mut drawn = Duration::ZERO;
        // By when what has changed is to be on the screen.
        let mut stale = Some(Duration::ZERO);
        loop {
            self.complain();
            if stale.is_some_and(|by| by <= clock()) {
                screen
                    .draw(|frame| view::draw(frame, &self.model, self.ui, self.theme))
                    .context("drawing")?;
                (drawn, stale) = (clock(), None);
                if count.is_some_and(|count| self.looks >= count) {
                    return Ok(End::Asked);
                }
            }
            let due = (self.looked + self.ui.delay).saturating_sub(clock());
            if due.is_zero() {
                self.ask();
            }
            // While an answer is awaited, its coming is what wakes us, or its absence.
            let next = if due.is_zero() { self.ui.delay.min(SILENCE) } else { due };
            let patience = stale.map_or(next, |by| next.min(by.saturating_sub(clock())));
            let first = match told.recv_timeout(patience) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    stale = Some(Duration::ZERO);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => bail!("every thread of top died"),
            };
            for message in std::iter::once(first).chain(told.try_iter().take(AT_ONCE)) {
                let by = match message {
                    Message::Event(_) => drawn + REST,
                    _ => Duration::ZERO,
                };
                stale = Some(stale.map_or(by, |other| other.min(by)));
                if let Some(end) = self.handle(message, screen)? {
                    return Ok(end);
                }
            }
        }
    }

    fn ask(&mut self) {
        if self.asked.is_none() && self.feed.ask(self.ui.want()) {
            self.asked = Some(clock());
        }
    }

    fn complain(&mut self) {
        let waited = self.asked.map_or(Duration::ZERO, |since| clock().saturating_sub(since));
        if waited >= SILENCE {
            let seconds = waited.as_secs();
            self.ui.trouble = Some(format!("the lab has not answered for {seconds} s"));
        }
    }

    fn handle(
        &mut self,
        message: Message<Hand>,
        screen: &mut Screen,
    ) -> anyhow::Result<Option<End>> {
        match message {
            Message::Look(look) => {
                self.asked = None;
                self.looked = clock();
                return Ok(self.look(look));
            }
            Message::Event(event) => self.model.tell(event),
            Message::Ended => return Ok(Some(End::Lab(String::new()))),
            Message::Dead => bail!("a thread of top died"),
            Message::Other(Hand::Signal(signal)) => return Ok(Some(End::Signal(signal))),
            Message::Other(Hand::Input(Input::Key(key))) if key.kind != KeyEventKind::Release => {
                match self.ui.press(key) {
                    Action::Draw => {}
                    Action::Look => self.ask(),
                    Action::Anew => screen.anew().context("drawing")?,
                    Action::Suspend => screen.suspend().context("suspending")?,
                    Action::Quit => return Ok(Some(End::Asked)),
                }
            }
            // A new size: drawn by the loop.
            Message::Other(Hand::Input(_)) => {}
        }
        Ok(None)
    }

    fn look(&mut self, look: Result<Box<Sample>, ClientError>) -> Option<End> {
        match look {
            Ok(sample) => {
                self.model.take(*sample);
                self.looks += 1;
                self.patience.renew();
                self.ui.trouble = None;
            }
            Err(error) => {
                if let Some(why) = self.patience.lost(&error) {
                    return Some(End::Lab(why));
                }
                self.ui.trouble = Some(error.to_string());
            }
        }
        None
    }
}
