//! What it costs to look: the same load while nobody looks, while a capture's filter matches
//! nothing of it, and while all of it is captured. The three take turns in one lab, and the two are
//! told as ratios to the first.

use std::time::Duration;

use anyhow::Result;

use super::{Values, lan};
use crate::args::Args;
use crate::load::ping;
use crate::load::tcp::{self, Direction};
use crate::peers::Lab;
use crate::stats::{median, percentile};

/// Times each of the three is measured.
const TURNS: usize = 3;
/// None of the load is this.
const NOTHING: &str = "udp port 9";

pub fn frames(lab: &Lab, args: &Args) -> Result<Values> {
    in_turn("watch/frames", lab, || {
        Ok(lan::unicast(lab, 60, None, args.window(0.3))?.delivered / 1e3)
    })
}

pub fn bulk(lab: &Lab, args: &Args) -> Result<Values> {
    in_turn("watch/tcp", lab, || {
        let flow = Direction { from: &lab.nodes[0], to: &lab.nodes[1], flows: 1 };
        Ok(tcp::bulk(&[flow], args.window(0.4))?.0 / 1e9)
    })
}

pub fn round_trips(lab: &Lab, args: &Args) -> Result<Values> {
    let window = args.window(0.3);
    in_turn("watch/rtt", lab, || {
        let seen = ping::ping(&lab.nodes[0], lab.nodes[1].address, None, window)?;
        Ok(percentile(&seen.network, 0.5))
    })
}

fn in_turn(row: &str, lab: &Lab, measure: impl Fn() -> Result<f64>) -> Result<Values> {
    if !lab.can_be_watched() {
        return Ok(vec![]);
    }
    let mut samples = [const { Vec::new() }; 3];
    for turn in 0..TURNS {
        for state in (0..3).map(|n| (n + turn) % 3) {
            let watching = match state {
                0 => None,
                1 => Some(lab.watch(NOTHING)?),
                _ => Some(lab.watch("")?),
            };
            // Buffers have been touched and programs have come to rest.
            std::thread::sleep(Duration::from_millis(100));
            samples[state].push(measure()?);
            if let Some(watching) = watching {
                watching.end()?;
            }
        }
    }
    let [off, filtered, all] = samples.map(|samples| median(&samples));
    Ok(vec![
        (format!("{row}/off"), off),
        (format!("{row}/filtered"), filtered / off),
        (format!("{row}/all"), all / off),
    ])
}
