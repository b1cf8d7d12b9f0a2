//! `top -b`: every look as plain text, all panes one below the other, nothing cut off. For files
//! and other programs.

use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::Watched;
use super::feed::{Feed, Message, Patience, queue};
use super::header;
use super::model::Model;
use super::panes::{PANES, Pane};
use super::sample::{Sample, Want};
use super::table::{Kind, Table};
use super::ui::Ui;
use crate::say;

/// Everything is printed, so everything is fetched.
const WANT: Want = Want { fdb: true, sessions: true };

/// Prints look after look, `count` of them unless there is no end.
///
/// # Errors
/// When the lab is not there, or ends.
pub(super) fn print(
    watched: &Watched<'_>,
    delay: Duration,
    count: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let Watched { name, socket, network } = watched;
    let client = control::Client::new(socket)?;
    let mut model = Model::new(Sample::fetch(&client, WANT, network.as_deref())?);
    let (tell, told) = queue::<()>();
    let feed = Feed::start(watched, &tell)?;
    let ui = Ui::new(delay);
    let (mut printed, mut trust) = (0, Patience::default());
    loop {
        say::line(&text(&model, &ui));
        printed += 1;
        if count == Some(printed) {
            return Ok(ExitCode::SUCCESS);
        }
        let (mut due, mut asked) = (super::clock() + delay, false);
        loop {
            let left = due.saturating_sub(super::clock());
            if left.is_zero() && !asked {
                asked = feed.ask(WANT);
            }
            // Once asked, the answer or the end is what comes next.
            let patience = if asked { delay.max(Duration::from_secs(1)) } else { left };
            match told.recv_timeout(patience) {
                Ok(Message::Look(Ok(look))) => {
                    trust.renew();
                    model.take(*look);
                    break;
                }
                Ok(Message::Look(Err(error))) => {
                    if let Some(why) = trust.lost(&error) {
                        anyhow::bail!("lab {name} has ended{why}");
                    }
                    (due, asked) = (super::clock() + delay, false);
                }
                Ok(Message::Event(event)) => model.tell(event),
                Ok(Message::Ended) => anyhow::bail!("lab {name} has ended"),
                Ok(Message::Dead) | Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("a thread of top died");
                }
                Ok(Message::Other(())) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

fn text(model: &Model, ui: &Ui) -> String {
    let mut lines: Vec<String> =
        header::lines(model).iter().map(|parts| parts.join(", ")).collect();
    for pane in PANES {
        let table = ui.arrange(pane, pane.table(model));
        // Only a lab's first second has no events; a heading without rows says nothing.
        if pane != Pane::Events || !table.rows.is_empty() {
            lines.push(String::new());
            lines.extend(print_table(&table));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn print_table(table: &Table) -> Vec<String> {
    let shown = (0..table.columns.len()).filter(|index| table.columns[*index].kind != Kind::Bars);
    let width = |index: usize| {
        let column = &table.columns[index];
        column.title.chars().count().max(column.least).max(table.widest(index))
    };
    let places: Vec<_> = shown.map(|index| (index, width(index))).collect();
    let join = |cells: Vec<String>| cells.join(" ").trim_end().to_owned();
    let mut lines = vec![join(places.iter().map(|place| table.title(*place, None)).collect())];
    for row in &table.rows {
        lines.push(join(places.iter().map(|place| table.cell(row, *place)).collect()));
    }
    if table.rows.is_empty() {
        lines.push(table.empty.clone());
    }
    lines.extend(table.note.clone());
    lines
}
