//! `uswitch ls`: the labs that run, other users' too, and what is in the way of telling.

use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use control::Client;
use lab::called::program;
use lab::join::Labs;
use lab::{Ground, LabName, join, lock};
use nix::unistd::{Uid, User};
use serde::Serialize;

use crate::paint::Paint;
use crate::table::Table;
use crate::{door, exit, say, units};

/// List the labs that run: whose they are, since when
#[derive(clap::Args)]
pub(crate) struct Args {
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
}

/// A lab that runs.
#[derive(Serialize)]
struct Row {
    name: String,
    owner: String,
    pid: Option<u32>,
    /// Absent while it does not answer, as on its way up and down.
    topology: Option<String>,
    nodes: Option<usize>,
    /// Seconds.
    uptime: Option<u64>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let ground = door::ground();
    let Labs { running, troubles } = join::labs(&ground);
    let mut rows: Vec<Row> = running.iter().map(|name| row(&ground, name)).collect();
    rows.extend(lock::elsewhere().into_iter().map(|(name, owner)| Row::of_other(&name, owner)));
    if args.json {
        door::json(&rows)?;
    } else if !rows.is_empty() {
        show(rows);
    } else if troubles.is_empty() {
        say::line(&format!("no lab is running: `{} up` starts one", program()));
    }
    let errors: Vec<_> = troubles.into_iter().map(anyhow::Error::new).collect();
    errors.iter().for_each(|error| say::error(&format!("{error:#}")));
    Ok(errors.first().map_or(ExitCode::SUCCESS, |error| ExitCode::from(exit::code(error))))
}

fn show(rows: Vec<Row>) {
    let mut table = Table::new(&["LAB", "TOPOLOGY", ">NODES", "OWNER", ">PID", ">UP"]);
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    for row in rows {
        table.row([
            row.name,
            or(row.topology),
            or(row.nodes.map(|count| count.to_string())),
            row.owner,
            or(row.pid.map(|pid| pid.to_string())),
            or(row.uptime.map(units::span)),
        ]);
    }
    let (head, rows) = table.lines();
    say::line(&Paint::of_stdout().head(&head));
    rows.iter().for_each(|row| say::line(row));
}

impl Row {
    /// Of another user's lab, which does not answer us.
    fn of_other(name: &LabName, owner: u32) -> Self {
        let (name, owner) = (name.to_string(), called(owner));
        Self { name, owner, pid: None, topology: None, nodes: None, uptime: None }
    }
}

fn row(ground: &Ground, name: &LabName) -> Row {
    let asked = Client::new(&ground.socket(name)).and_then(|client| client.topology()).ok();
    Row {
        name: name.to_string(),
        owner: owner(ground, name),
        pid: asked.as_ref().map(|lab| lab.pid),
        topology: asked.as_ref().map(|lab| lab.kind.to_string()),
        nodes: asked.as_ref().map(|lab| lab.nodes.len()),
        uptime: asked.as_ref().map(|lab| lab.uptime),
    }
}

fn owner(ground: &Ground, name: &LabName) -> String {
    let found = std::fs::metadata(ground.lab(name));
    found.map_or_else(|_| "-".into(), |found| called(found.uid()))
}

fn called(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}
