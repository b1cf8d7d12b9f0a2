//! A port that looks for loops, tried out before frames pass: it is held shut, a probe leaves by it, and
//! it opens where none comes back. So no frame goes round a ring that is made or closed.

use std::time::Duration;

use wire::Timestamp;

use super::config::Error;
use super::switch::Switch;
use crate::core::PortId;

/// How long a probe may take to leave.
const LEAVE: Duration = Duration::from_secs(2);
/// And to come back: so long, and until every worker has had so many turns, for on busy cores those of
/// a probe's way are far apart.
const RETURN: Duration = Duration::from_millis(50);
const TURNS: usize = 64;
/// Between two looks, and between two askings.
const LOOK: Duration = Duration::from_millis(1);
const ASK: Duration = Duration::from_millis(20);

impl Switch {
    /// Keeps a port shut that looks for loops (`loop_protect`), until [`Switch::try_out`]; false for
    /// others, which are left as they are. Workers know it after [`Switch::sync`].
    pub fn hold(&self, id: PortId) -> bool {
        let looks = self.lock().get(&id).is_some_and(|port| port.spec.settings.loop_protect);
        if looks {
            self.guards.hold(id);
        }
        looks
    }

    /// Opens a held port whose link is up, unless a probe that leaves by it comes back; true where that
    /// was seen, and a port of the loop is shut. One whose link stays down is opened unasked.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn try_out(&self, id: PortId) -> Result<bool, Error> {
        let begun = now();
        let before = self.guards.shut_ports(begun);
        self.guards.ask(id);
        let mut asked = None::<Timestamp>;
        let left = loop {
            let now = now();
            if let Some(left) = self.guards.asked(id) {
                break Some(left);
            }
            if now.since(begun) >= LEAVE {
                break None;
            }
            if asked.is_none_or(|at| now.since(at) >= ASK) {
                // Whoever is told anything looks at what is due.
                self.change(id, |_| {})?;
                asked = Some(now);
            }
            std::thread::sleep(LOOK);
        };
        let seen = || {
            let shut = self.guards.shut_ports(now());
            shut.iter().any(|(id, until)| before.get(id) != Some(until))
        };
        let mut turns = 0;
        while let Some(left) = left
            && !seen()
            && (now().since(left) < RETURN || turns < TURNS)
        {
            self.sync_workers()?;
            turns += 1;
            std::thread::sleep(LOOK);
        }
        let seen = seen();
        self.guards.release(id);
        self.change(id, |_| {})?;
        self.sync()?;
        Ok(seen)
    }
}

fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}
