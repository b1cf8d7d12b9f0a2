//! The terminal, taken and given back: raw mode, the alternate screen, no cursor. It is given back
//! when the guard is dropped, when any thread panics, and while the program is suspended.

use std::io::{self, IsTerminal, Stdout, stdout};
use std::mem::ManuallyDrop;

use nix::sys::signal::{Signal, raise};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Position, Rect};
use ratatui::{Frame, Terminal};

/// The terminal, ours for as long as this lives.
pub(super) struct Screen {
    /// Never dropped: its own end shows the cursor, which [`leave`] does, and panics where neither the
    /// terminal nor standard error takes a word any more.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

/// Why there is no terminal to draw on, if so.
pub(super) fn missing() -> Option<String> {
    let use_batch = "-b prints plain text";
    if !stdout().is_terminal() {
        return Some(format!("standard output is not a terminal: {use_batch}"));
    }
    if !io::stdin().is_terminal() {
        return Some(format!("standard input is not a terminal: {use_batch}"));
    }
    match std::env::var("TERM").unwrap_or_default().as_str() {
        "" | "dumb" => Some(format!("the terminal (TERM) cannot be drawn on: {use_batch}")),
        _ => None,
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be set up; it is as before then.
    pub(super) fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
        enter().inspect_err(|_| leave())?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| leave())?;
        Ok(Self { terminal: ManuallyDrop::new(terminal) })
    }

    /// Draws what has changed, in the terminal's size of the moment.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Forgets what is on the screen, so that all of it is drawn.
    pub(super) fn anew(&mut self) -> io::Result<()> {
        // Not `clear`: it asks the terminal where the cursor is, and the answer goes to the thread
        // that reads keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Gives the terminal back, stops, and takes it again once told to go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        leave();
        raise(Signal::SIGTSTP)?;
        enter()?;
        self.anew()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide)
}

/// Goes on after a failure: the terminal may be gone, and nobody else would restore the rest.
fn leave() {
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
}

#[cfg(test)]
mod tests;
