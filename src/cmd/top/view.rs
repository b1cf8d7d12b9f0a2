//! What is drawn: a header, the chosen pane with its neighbours' names, the latest events; or, on a
//! large screen, all panes at once. Pure as far as ratatui goes: a model and choices in, cells out.
//!
//! Whatever does not fit is left out in this order: all panes at once, the strip of events, half
//! of the header, the line of keys, the header. No size is too small to draw into.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Padding, Paragraph};

use super::header;
use super::model::Model;
use super::panes::{PANES, Pane};
use super::table::{GAP, Kind, Mood, Row, Table};
use super::ui::{HELP, Mode, Question, Ui};
use crate::paint::Paint;

/// From this size on all panes are on the screen.
const ALL: (u16, u16) = (150, 40);
/// Lines of the strip of events, its title among them.
const STRIP: u16 = 5;

/// Colours, where they are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) colour: bool,
}

impl Theme {
    /// As the person wishes, and the terminal can.
    pub(super) fn of_environment() -> Self {
        Self { colour: Paint::of_stdout().is_on() }
    }

    fn paint(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn mood(self, mood: Mood) -> Style {
        match mood {
            Mood::Plain => Style::new(),
            Mood::Dim => Style::new().add_modifier(Modifier::DIM),
            Mood::Good => self.paint(Color::Green),
            Mood::Bad => self.paint(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    fn bars(self) -> Style {
        self.paint(Color::Cyan)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything, and tells the choices what was on the screen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, ui: &mut Ui, theme: Theme) {
    let area = frame.area();
    ui.all = area.width >= ALL.0 && area.height >= ALL.1;
    let header = match area.height {
        0..4 => 0,
        4..7 => 1,
        7..12 => 2,
        _ => 4,
    };
    let mut rest = area;
    for line in header::lines(model).iter().take(header) {
        let text = header::fit(line, area.width.into());
        frame.render_widget(Line::from(text), cut(&mut rest, 1));
    }
    let keys = (area.height >= 7).then(|| bottom(&mut rest, 1));
    if ui.all {
        everything(frame, rest, model, ui, theme);
    } else {
        one(frame, rest, model, ui, theme);
    }
    let last = keys.unwrap_or(Rect {
        y: area.bottom().saturating_sub(1),
        height: area.height.min(1),
        ..area
    });
    status(frame, last, keys.is_some(), ui, theme);
    if ui.mode == Mode::Help {
        help(frame, area, theme);
    }
}

/// Takes lines off the top.
fn cut(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let top = Rect { height, ..*rest };
    *rest = Rect { y: rest.y + height, height: rest.height - height, ..*rest };
    top
}

/// Takes lines off the bottom.
fn bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect { y: rest.y + rest.height, height, ..*rest }
}

fn one(frame: &mut Frame<'_>, mut rest: Rect, model: &Model, ui: &mut Ui, theme: Theme) {
    let tabs = if rest.height >= 3 { cut(&mut rest, 1) } else { Rect { height: 0, ..rest } };
    let strip = rest.height >= 14 && ui.pane != Pane::Events;
    let strip = strip.then(|| bottom(&mut rest, STRIP));
    let place = pane(frame, rest, ui.pane, model, ui, theme);
    let mut names = Vec::new();
    for (number, other) in PANES.iter().enumerate() {
        let style = if *other == ui.pane { theme.chosen() } else { Style::new() };
        names.push(Span::styled(format!("{} {}", number + 1, other.title()), style));
        names.push(Span::raw(" "));
    }
    let names = Line::from(names);
    let room = usize::from(tabs.width).saturating_sub(names.width());
    frame.render_widget(names, tabs);
    if place.chars().count() <= room {
        frame.render_widget(Line::from(place).right_aligned(), tabs);
    }
    if let Some(strip) = strip {
        events(frame, strip, model, theme);
    }
}

fn everything(frame: &mut Frame<'_>, mut rest: Rect, model: &Model, ui: &mut Ui, theme: Theme) {
    let third = rest.height / 3;
    let lower = bottom(&mut rest, third);
    let middle = bottom(&mut rest, third);
    let halves = |area: Rect| {
        let left = Rect { width: area.width / 2 - 1, ..area };
        [left, Rect { x: area.x + area.width / 2, width: area.width.div_ceil(2), ..area }]
    };
    let ([macs, nat], [drops, events]) = (halves(middle), halves(lower));
    for (number, (which, area)) in
        PANES.into_iter().zip([rest, macs, nat, drops, events]).enumerate()
    {
        let name = format!(" {} {} ", number + 1, which.title());
        let style = if which == ui.pane { theme.chosen() } else { Style::new() };
        let inner = Block::new().borders(Borders::TOP).inner(area);
        let place = pane(frame, inner, which, model, ui, theme);
        let block = Block::new().borders(Borders::TOP).title(Span::styled(name, style));
        frame.render_widget(block.title(Line::from(place).right_aligned()), area);
    }
}

/// Draws a pane's heading and as many of its rows as there is room for; says which they are.
fn pane(
    frame: &mut Frame<'_>,
    mut area: Rect,
    which: Pane,
    model: &Model,
    ui: &mut Ui,
    theme: Theme,
) -> String {
    let whole = which.table(model);
    let unfiltered = whole.rows.len();
    let table = ui.arrange(which, whole);
    let sort = ui.sort(which);
    let places = table.fit(area.width.into(), sort);
    if area.height > 1 {
        let titles: Vec<_> = places.iter().map(|place| table.title(*place, sort)).collect();
        let width = usize::from(area.width);
        let heading = format!("{:<width$}", titles.join(&" ".repeat(GAP)));
        frame.render_widget(Line::styled(heading, theme.chosen()), cut(&mut area, 1));
    }
    let page = usize::from(area.height);
    let first = ui.first(which, table.rows.len(), page);
    if which == ui.pane {
        ui.page = page.max(1);
    }
    if table.rows.is_empty() {
        let why = match unfiltered {
            0 => table.empty.clone(),
            _ => format!("no row has \"{}\": Esc shows all", ui.filter),
        };
        let why = Line::styled(why, theme.mood(Mood::Dim));
        frame.render_widget(why, cut(&mut area, 1));
    }
    for row in table.rows.iter().skip(first).take(page) {
        frame.render_widget(line(&table, row, &places, theme), cut(&mut area, 1));
    }
    place(&table, first, page, ui)
}

/// Which rows are on the screen, where not all are.
fn place(table: &Table, first: usize, page: usize, ui: &Ui) -> String {
    let (rows, last) = (table.rows.len(), table.rows.len().min(first + page));
    let mut parts = Vec::new();
    if rows > page && page > 0 {
        parts.push(format!("{}-{last} of {rows}", first + 1));
    }
    parts.extend(table.note.clone());
    if !ui.filter.is_empty() {
        parts.push(format!("with \"{}\"", ui.filter));
    }
    parts.join(", ")
}

fn line(table: &Table, row: &Row, places: &[(usize, usize)], theme: Theme) -> Line<'static> {
    let mut spans = Vec::new();
    for place in places {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        let style = match table.columns[place.0].kind {
            Kind::Bars => theme.bars(),
            _ => row.cells.get(place.0).map_or(Style::new(), |cell| theme.mood(cell.mood)),
        };
        spans.push(Span::styled(table.cell(row, *place), style));
    }
    Line::from(spans)
}

/// The latest events, below another pane.
fn events(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let block = Block::new().borders(Borders::TOP).title(" Events ");
    let mut inner = block.inner(area);
    frame.render_widget(block, area);
    let table = Pane::Events.table(model);
    let places = table.fit(inner.width.into(), None);
    if table.rows.is_empty() {
        let why = Line::styled(table.empty.clone(), theme.mood(Mood::Dim));
        return frame.render_widget(why, inner);
    }
    for row in table.rows.iter().take(inner.height.into()) {
        frame.render_widget(line(&table, row, &places, theme), cut(&mut inner, 1));
    }
}

/// The last line: a question, something to say, or the keys. `own` where no row lies below it.
fn status(frame: &mut Frame<'_>, area: Rect, own: bool, ui: &Ui, theme: Theme) {
    let (text, style) = match (&ui.mode, ui.message.as_ref().or(ui.trouble.as_ref())) {
        (Mode::Ask(question, answer), _) => {
            let asked = match question {
                Question::Delay => format!("delay in seconds, now {}: ", ui.delay.as_secs_f64()),
                Question::Filter => "only rows with: ".to_owned(),
            };
            let text = format!("{asked}{answer}");
            let end = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
            let x = area.x.saturating_add(end).min(area.right().saturating_sub(1));
            frame.set_cursor_position(Position { x, y: area.y });
            (text, Style::new().add_modifier(Modifier::BOLD))
        }
        (_, Some(message)) => (message.clone(), theme.mood(Mood::Bad)),
        _ if own => {
            let delay = format!("d delay {} s", ui.delay.as_secs_f64());
            let keys = ["h help", "q quit", "Tab pane", "< > sort", "/ filter", &delay];
            let keys = keys.map(str::to_owned);
            (header::fit(&keys, area.width.into()).replace(", ", "  "), theme.mood(Mood::Dim))
        }
        _ => return,
    };
    frame.render_widget(Clear, area);
    frame.render_widget(Line::styled(text, style), area);
}

fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let keys = HELP.iter().map(|(keys, _)| keys.chars().count()).max().unwrap_or(0);
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(key, what)| {
            Line::from(vec![
                Span::styled(format!("{key:<keys$}  "), theme.bars()),
                Span::raw(*what),
            ])
        })
        .collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) + 4;
    let wanted =
        (u16::try_from(width).unwrap_or(u16::MAX), u16::try_from(lines.len()).unwrap_or(0) + 2);
    let (width, height) = (wanted.0.min(area.width), wanted.1.min(area.height));
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let place = Rect { x, y, width, height };
    let block = Block::bordered().title(" keys ");
    // Too small for all of it: without the frame there is room for a little more.
    let text = if height < wanted.1 || width < wanted.0 {
        Paragraph::new(lines)
    } else {
        Paragraph::new(lines).block(block.padding(Padding::horizontal(1)))
    };
    frame.render_widget(Clear, place);
    frame.render_widget(text, place);
}

#[cfg(test)]
mod tests;
