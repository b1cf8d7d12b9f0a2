//! What the splits of a run come to: each part's least, mean and most; the lost probes by where
//! they stopped. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::names::OUTSIDE;
use super::way::{Fate, Leg, Part, Unsplit};
use crate::table::Table;
use crate::units::micros;

/// Kinds of parts, and causes of losses, told apart; further ones are counted together.
const KINDS: usize = 64;
/// Stretches of lost probes that are named of a cause.
const NAMED: usize = 8;

/// The sums so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: Vec<Row>,
    losses: Vec<Loss>,
    /// Lost for other causes.
    other: u64,
    whole: Duration,
    unseen: u64,
    clock: u64,
    /// Frames the lab had no room to tell of.
    pub(super) missed: u64,
}

#[derive(Debug)]
struct Row {
    place: String,
    leg: Leg,
    /// By where it stands on the way: the sender is there twice.
    order: usize,
    count: u32,
    sum: Duration,
    min: Duration,
    max: Duration,
}

#[derive(Debug)]
struct Loss {
    fate: Fate,
    count: u64,
    /// First and last of each stretch, by the probes' numbers.
    stretches: Vec<(u64, u64)>,
}

impl Tally {
    /// Takes a round trip in.
    pub(super) fn add(&mut self, split: &Result<Vec<Part>, Unsplit>) {
        let parts = match split {
            Ok(parts) => parts,
            Err(Unsplit::Unseen) => return self.unseen += 1,
            Err(Unsplit::Clock) => return self.clock += 1,
        };
        for (order, part) in parts.iter().enumerate() {
            self.whole += part.time;
            let same =
                |row: &Row| row.order == order && row.place == part.place && row.leg == part.leg;
            match self.rows.iter().position(same) {
                Some(at) => self.rows[at].add(part.time),
                None if self.rows.len() == KINDS => {}
                None => self.rows.push(Row {
                    place: part.place.clone(),
                    leg: part.leg,
                    order,
                    count: 1,
                    sum: part.time,
                    min: part.time,
                    max: part.time,
                }),
            }
        }
    }

    /// Takes a loss in; `number` grows.
    pub(super) fn lose(&mut self, number: u64, fate: Fate) {
        let found = self.losses.iter().position(|loss| loss.fate == fate);
        let loss = match found {
            Some(at) => &mut self.losses[at],
            None if self.losses.len() == KINDS => return self.other += 1,
            None => {
                self.losses.push(Loss { fate, count: 0, stretches: Vec::new() });
                let last = self.losses.len() - 1;
                &mut self.losses[last]
            }
        };
        loss.count += 1;
        let stretches = loss.stretches.len();
        match loss.stretches.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            // One more than is named, so that it is known that there are more.
            _ if stretches <= NAMED => loss.stretches.push((number, number)),
            _ => {}
        }
    }

    /// What stands below the summary.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.rows.is_empty() {
            let (head, rows) = self.table().lines();
            lines.push(head);
            lines.extend(rows);
        }
        for loss in &self.losses {
            lines.push(format!("lost {}: {}", loss.numbers(), loss.fate.text));
        }
        for (count, what) in [
            (self.other, "lost for other causes"),
            (self.unseen, "answered, but not seen whole at the switch: not split"),
            (self.clock, "answered while the wall clock was stepped: not split"),
            (self.missed, "frames that the lab had no room to tell of"),
        ] {
            if count > 0 {
                lines.push(format!("{count} {what}"));
            }
        }
        lines
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["WHERE", ">MIN µs", ">AVG µs", ">MAX µs", ">SHARE"]);
        let figure = |time: Duration| format!("{:.1}", micros(time));
        for row in self.in_order() {
            let share = row.sum.as_secs_f64() * 100.0 / self.whole.as_secs_f64().max(1e-9);
            let (min, avg, max) = (figure(row.min), figure(row.mean()), figure(row.max));
            table.row([row.words(), min, avg, max, format!("{share:.0}%")]);
        }
        table
    }

    fn in_order(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.order);
        rows
    }

    /// The same for `--json`.
    pub(super) fn json(&self) -> Value {
        let part = |row: &Row| {
            json!({
                "where": row.place, "leg": row.leg.as_str(), "count": row.count,
                "min_us": micros(row.min), "avg_us": micros(row.mean()), "max_us": micros(row.max),
            })
        };
        let loss = |loss: &Loss| {
            json!({
                "seen": loss.fate.kind, "reason": loss.fate.text, "count": loss.count,
                "first_seq": loss.stretches.first().map(|(first, _)| first & 0xffff),
            })
        };
        json!({
            "parts": self.in_order().into_iter().map(part).collect::<Vec<_>>(),
            "losses": self.losses.iter().map(loss).collect::<Vec<_>>(),
            "other_losses": self.other, "not_seen_whole": self.unseen,
            "clock_stepped": self.clock, "frames_missed": self.missed,
        })
    }
}

impl Row {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum += time;
        (self.min, self.max) = (self.min.min(time), self.max.max(time));
    }

    fn mean(&self) -> Duration {
        self.sum / self.count.max(1)
    }

    fn words(&self) -> String {
        let stack = !self.place.starts_with("switch") && self.place != OUTSIDE;
        let whose = if stack { "'s stack" } else { "" };
        let back = if self.leg == Leg::Back { ", back" } else { "" };
        format!("{}{whose}{back}", self.place)
    }
}

impl Loss {
    fn numbers(&self) -> String {
        let named = self.stretches.iter().take(NAMED).map(|(first, last)| {
            let [first, last] = [first & 0xffff, last & 0xffff];
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        });
        let more = if self.stretches.len() > NAMED { ", …" } else { "" };
        let seqs = named.collect::<Vec<_>>().join(", ");
        match self.count {
            1 => format!("icmp_seq={seqs}"),
            count => format!("icmp_seq={seqs}{more} ({count})"),
        }
    }
}
