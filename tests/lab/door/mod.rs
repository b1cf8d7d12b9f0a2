//! The control door and the verbs that go through it, against a running lab under real traffic.
//!
//! | module | what it shows |
//! |---|---|
//! | `show` | tables and JSON, held against the kernel's own counters and its own tools' shapes |
//! | `change` | nodes and ports in and out while others talk, NAT types, flushes |
//! | `exec` | exit codes, signals, /sys, resolv.conf, as root and as an ordinary user |
//! | `monitor` | each event after its cause; what is lost is told |
//! | `hostile` | clients that do not behave, while frames flow; who may open the door |
//! | `words` | completions and the manual |
//! | `metrics` | the text by a strict reader, its figures beside those of `show` |
//! | `moment` | what is told while frames pass is of one moment |

mod change;
mod exec;
mod hostile;
mod metrics;
mod moment;
mod monitor;
pub(crate) mod show;
mod words;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab;
use crate::support::Sandbox;

/// How long anything may take; generous, for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What `uswitch ARGS` printed, as JSON.
#[track_caller]
pub(crate) fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(&sandbox.uswitch(args).ok().out).unwrap()
}

/// What a tool of the machine printed, as JSON.
fn tool_json(sandbox: &Sandbox, program: &str, args: &[&str]) -> Value {
    serde_json::from_str(&sandbox.tool(program, args)).unwrap()
}

/// Looks until there is something; `what` is what failures call it.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The row of `rows` whose `key` is `value`.
#[track_caller]
pub(crate) fn row<'a>(rows: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = rows.as_array().unwrap().iter().find(|row| row[key] == value);
    found.unwrap_or_else(|| panic!("no row with {key} {value}: {rows}"))
}
