//! `cargo bench --bench containers`: what an engine's containers have of our networks, beside what they have of
//! the engine's own bridge, on one machine in one run, in turn: how long it takes to bring a container
//! into a network, and how much goes through it then.
//!
//! | module | what |
//! |---|---|
//! | `docker` | dockerd, asked at its own socket: start, `-p`, connect, disconnect |
//! | `cni` | ADD and DEL, beside the reference plugins |
//! | `podman` | `podman start` with netavark, beside its own bridge |
//! | `traffic` | TCP, UDP, connections: to a container, the host, the world, and from it by a published port |
//! | `report` | samples, medians, the table, JSON |
//!
//! The engines are those of a Debian suite that `tests/engines/fetch` has unpacked; they run on a machine of
//! namespaces, whose world is another one. No packet leaves the machine.

// A benchmark is a run loop: it reads the clock, and its figures are floating point.
#![allow(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs
)]

mod cni;
mod docker;
#[path = "../throughput/load/mod.rs"]
#[allow(dead_code)]
mod load;
#[path = "../../tests/engines/machine.rs"]
#[allow(dead_code)]
mod machine;
#[path = "../throughput/measure/mod.rs"]
#[allow(dead_code)]
mod measure;
mod podman;
mod report;
#[path = "../throughput/stats.rs"]
#[allow(dead_code)]
mod stats;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../throughput/topology.rs"]
#[allow(dead_code)]
mod topology;
mod traffic;
#[path = "../throughput/world.rs"]
#[allow(dead_code)]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use crate::machine::Machine;
use crate::report::Report;

#[derive(Parser, Debug)]
#[command(
    name = "containers",
    about = "Containers on our networks beside the engines' own bridges"
)]
struct Args {
    /// The Debian suite whose engines are measured: bookworm, trixie, sid
    #[arg(long, default_value = "trixie")]
    suite: String,
    /// Parts to run, comma-separated: docker, traffic, cni, podman; all if absent
    #[arg(long, value_delimiter = ',')]
    parts: Vec<String>,
    /// Rows of traffic to run: comma-separated beginnings of names (`world`, `published/tcp`); all if absent
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// How often a container is brought into each network
    #[arg(long, default_value_t = 12)]
    starts: usize,
    /// How often traffic is measured through each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of a measurement of traffic in seconds
    #[arg(long, default_value_t = 0.6)]
    seconds: f64,
    /// The JSON that is written
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench/containers.json"))]
    out: PathBuf,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn part(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| part == name)
    }
}

fn run(args: &Args) -> Result<()> {
    let Some(machine) = Machine::with(&args.suite, "docker") else {
        bail!("as root, after `tests/engines/fetch {}`", args.suite);
    };
    let mut report = Report::new(&machine);
    let mut serve = machine.start_sh("echo $$ >/run/serve.pid; exec uswitch serve");
    serve.wait_for("serving Docker");
    if args.part("docker") || args.part("traffic") {
        let docker = docker::Docker::start(&machine)?;
        if args.part("docker") {
            docker.starts(args.starts, &mut report)?;
            docker.connects(args.starts, &mut report)?;
            report.save(&args.out)?;
        }
        if args.part("traffic") {
            traffic::measure(&docker, args, &mut report)?;
            report.save(&args.out)?;
        }
        docker.end();
    }
    if args.part("cni") {
        cni::measure(&machine, args.starts, &mut report)?;
        report.save(&args.out)?;
    }
    if args.part("podman") {
        podman::measure(&machine, args.starts, &mut report)?;
    }
    machine.sh("kill $(cat /run/serve.pid)");
    serve.ended();
    report.print();
    report.save(&args.out)
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if !args.bench {
        println!("containers: a benchmark; run it with `cargo bench --bench containers`");
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("containers: {error:#}");
            ExitCode::FAILURE
        }
    }
}
