//! `cargo bench --bench throughput`: the same topology built for each forwarder in turn, measured
//! by the same load generators, in interleaved rounds; one table, JSON and an SVG chart.
//!
//! Everything happens in mount, network and pid namespaces of the benchmark's own: no packet
//! leaves the machine, and when the benchmark dies everything it made dies with it. A forwarder
//! that is not installed is named as absent; a row that fails is named as failed, with the cause.

// A benchmark is a run loop: it reads the clock, and its figures are floating point.
#![allow(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    unreachable_pub
)]

mod args;
mod load;
mod measure;
#[path = "../peers/mod.rs"]
mod peers;
mod plan;
mod report;
mod rows;
mod stats;
mod topology;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match args::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let outcome = if world::is_inside() { plan::run(&args) } else { world::enter() };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throughput: {error:#}");
            ExitCode::FAILURE
        }
    }
}
