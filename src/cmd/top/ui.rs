//! What the person has chosen: the pane, how it is sorted, what is looked for; and what each key
//! does to that. Pure: a key in, an action out.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::panes::{PANES, Pane};
use super::sample::Want;
use super::table::{Sort, Table};

/// The shortest time between two looks.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);
/// Characters of an answer.
const ANSWER: usize = 64;

/// What the keys do, in the order of help.
pub(super) const HELP: &[(&str, &str)] = &[
    ("q, Ctrl-C", "quit"),
    ("space, Enter", "look again at once"),
    ("d, s", "change the delay between looks"),
    ("Tab, 1 to 5", "next pane; ports, MACs, NAT, drops, events"),
    ("up, down, PgUp, PgDn, Home, End", "scroll"),
    ("<, >", "sort by the column to the left, right"),
    ("P, N, D", "sort by traffic, name, drops"),
    ("R", "sort the other way round"),
    ("/", "only rows with these words; Esc: all"),
    ("Ctrl-L, Ctrl-Z", "draw anew; suspend"),
    ("h, ?", "this help"),
    ("f/s", "frames: one may be a segment of 192 KiB"),
    ("", "(GSO), so that few carry many bits"),
];

/// What is to be done about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Draw what has changed.
    Draw,
    /// Ask the lab at once.
    Look,
    /// Draw every cell anew.
    Anew,
    /// Give the terminal back until told to go on.
    Suspend,
    /// End.
    Quit,
}

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Delay,
    Filter,
}

/// What keys mean at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Watch,
    Help,
    Ask(Question, String),
}

/// What has been chosen.
#[derive(Debug)]
pub(super) struct Ui {
    pub(super) pane: Pane,
    pub(super) mode: Mode,
    pub(super) filter: String,
    pub(super) delay: Duration,
    /// Something to say until the next key.
    pub(super) message: Option<String>,
    /// Why there was no answer to the last look.
    pub(super) trouble: Option<String>,
    /// Whether all panes are on the screen, as the last drawing found.
    pub(super) all: bool,
    /// Rows of the chosen pane on the screen, as the last drawing found.
    pub(super) page: usize,
    sorts: [Option<Sort>; PANES.len()],
    firsts: [usize; PANES.len()],
}

impl Ui {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            pane: Pane::Ports,
            mode: Mode::Watch,
            filter: String::new(),
            delay,
            message: None,
            trouble: None,
            all: false,
            page: 1,
            sorts: PANES.map(Pane::sort),
            firsts: [0; PANES.len()],
        }
    }

    /// Which lists have to be fetched for what is on the screen.
    pub(super) fn want(&self) -> Want {
        let shown = |pane| self.all || self.pane == pane;
        Want { fdb: shown(Pane::Macs), sessions: shown(Pane::Nat) }
    }

    pub(super) fn sort(&self, pane: Pane) -> Option<Sort> {
        self.sorts[pane.index()]
    }

    /// A table as it is to be seen: filtered and sorted.
    pub(super) fn arrange(&self, pane: Pane, mut table: Table) -> Table {
        table.keep(&self.filter);
        if let Some(sort) = self.sort(pane) {
            table.sort(sort);
        }
        table
    }

    /// The first row on the screen, of `rows`, where `page` fit.
    pub(super) fn first(&mut self, pane: Pane, rows: usize, page: usize) -> usize {
        let first = &mut self.firsts[pane.index()];
        *first = (*first).min(rows.saturating_sub(page));
        *first
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        self.message = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Action::Quit,
                KeyCode::Char('l') => Action::Anew,
                KeyCode::Char('z') => Action::Suspend,
                _ => Action::Draw,
            };
        }
        match std::mem::replace(&mut self.mode, Mode::Watch) {
            Mode::Watch => self.command(key.code),
            Mode::Help if key.code == KeyCode::Char('q') => Action::Quit,
            Mode::Help => Action::Draw,
            Mode::Ask(question, text) => self.answer(question, text, key.code),
        }
    }

    fn command(&mut self, key: KeyCode) -> Action {
        let here = self.pane.index();
        match key {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char(' ') | KeyCode::Enter => return Action::Look,
            KeyCode::Char('h' | '?') => self.mode = Mode::Help,
            KeyCode::Char('d' | 's') => self.mode = Mode::Ask(Question::Delay, String::new()),
            KeyCode::Char('/') => self.mode = Mode::Ask(Question::Filter, self.filter.clone()),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab => return self.turn_to((here + 1) % PANES.len()),
            KeyCode::BackTab => return self.turn_to((here + PANES.len() - 1) % PANES.len()),
            KeyCode::Char(digit @ '1'..='5') => return self.turn_to(digit as usize - '1' as usize),
            KeyCode::Char('<') => self.shift(-1),
            KeyCode::Char('>') => self.shift(1),
            KeyCode::Char(letter @ ('P' | 'N' | 'D')) => {
                if let Some(sort) = self.pane.sort_by(letter) {
                    self.sorts[here] = Some(sort);
                }
            }
            KeyCode::Char('R') => {
                if let Some(sort) = &mut self.sorts[here] {
                    sort.falling = !sort.falling;
                }
            }
            KeyCode::Up => self.scroll(-1),
            KeyCode::Down => self.scroll(1),
            KeyCode::PageUp => self.scroll(-signed(self.page)),
            KeyCode::PageDown => self.scroll(signed(self.page)),
            KeyCode::Home => self.firsts[here] = 0,
            // The drawing knows where the end is.
            KeyCode::End => self.firsts[here] = usize::MAX,
            _ => {}
        }
        Action::Draw
    }

    fn turn_to(&mut self, place: usize) -> Action {
        self.pane = PANES.get(place).copied().unwrap_or(self.pane);
        // Its list may not have been fetched yet.
        Action::Look
    }

    fn shift(&mut self, by: isize) {
        let columns = self.pane.columns().len();
        if let Some(sort) = &mut self.sorts[self.pane.index()] {
            let column = sort.column.saturating_add_signed(by);
            sort.column = column.min(columns.saturating_sub(1));
        }
    }

    fn scroll(&mut self, by: isize) {
        let first = &mut self.firsts[self.pane.index()];
        *first = first.saturating_add_signed(by);
    }

    fn answer(&mut self, question: Question, mut text: String, key: KeyCode) -> Action {
        match key {
            KeyCode::Esc => return Action::Draw,
            KeyCode::Enter => return self.take(question, &text),
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(letter) if text.chars().count() < ANSWER => text.push(letter),
            _ => {}
        }
        self.mode = Mode::Ask(question, text);
        Action::Draw
    }

    fn take(&mut self, question: Question, text: &str) -> Action {
        match question {
            Question::Filter => self.filter = text.trim().to_owned(),
            Question::Delay if text.trim().is_empty() => {}
            Question::Delay => match delay(text.trim()) {
                Ok(delay) => {
                    self.delay = delay;
                    return Action::Look;
                }
                Err(why) => self.message = Some(why),
            },
        }
        Action::Draw
    }
}

/// A time between two looks, in seconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn delay(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text}: a delay is 0.1 to 3600 seconds");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    let delay = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    if (SHORTEST..=LONGEST).contains(&delay) { Ok(delay) } else { Err(wrong()) }
}

fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests;
