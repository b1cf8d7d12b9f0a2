//! The one that looks at the lab, for all pages: a thread of its own, which may have to wait for the
//! lab as long as the client does.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Client, ClientError};
use serde_json::json;

use crate::facts::Look;
use crate::hub::Hub;

/// Starts to look at the lab `name`, whose door is `socket`, until the hub ends.
///
/// # Errors
/// Where no thread is to be had.
pub(crate) fn start(name: &str, socket: &Path, hub: Arc<Hub>) -> io::Result<()> {
    let (name, socket) = (name.to_owned(), socket.to_owned());
    let work = move || {
        // When the lab of that process started, in seconds since 1970.
        let mut started: Option<(u32, u64)> = None;
        let mut took = Duration::ZERO;
        while hub.wait(took) {
            let begun = sys::clock::now();
            let look = Client::new(&socket).and_then(|client| Look::fetch(&client));
            took = Duration::from_nanos(sys::clock::now().saturating_sub(begun));
            match look {
                Ok(look) => {
                    let (pid, uptime) = look.process();
                    let since = match started {
                        Some((of, since)) if of == pid => since,
                        _ => now().saturating_sub(uptime),
                    };
                    started = Some((pid, since));
                    hub.publish(look.facts(since));
                }
                Err(error) => {
                    tracing::debug!("looking at lab {name}: {error}");
                    // A failed look is no measure of how long one takes.
                    took = Duration::ZERO;
                    lost(&hub, &name, &error);
                }
            }
        }
    };
    std::thread::Builder::new().name("looks".into()).spawn(work)?;
    Ok(())
}

/// The page keeps what it knew and says that it is old.
fn lost(hub: &Hub, name: &str, error: &ClientError) {
    let why = match error {
        ClientError::NoLab(_) => "it does not run".to_owned(),
        other => other.to_string(),
    };
    hub.amend(|facts| {
        let mut lab = facts.get("lab").cloned().unwrap_or_else(|| json!({ "name": name }));
        lab["running"] = json!(false);
        lab["why"] = json!(why);
        facts.insert("lab".into(), lab);
    });
}

#[expect(clippy::disallowed_methods, reason = "the wall clock, to say since when the lab runs")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
