//! `uswitch ls`: the labs that run.

use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use control::Client;
use lab::called::program;
use lab::{Ground, LabName, join};
use nix::unistd::{Uid, User};
use serde::Serialize;

use crate::paint::Paint;
use crate::table::Table;
use crate::{door, say, units};

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
    let rows: Vec<Row> = join::labs(&ground).iter().map(|name| row(&ground, name)).collect();
    if args.json {
        door::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say::line(&format!("no lab is running: `{} up` starts one", program()));
        return Ok(ExitCode::SUCCESS);
    }
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
    Ok(ExitCode::SUCCESS)
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
    let Ok(found) = std::fs::metadata(ground.lab(name)) else { return "-".into() };
    let user = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
    user.map_or_else(|| found.uid().to_string(), |user| user.name)
}
