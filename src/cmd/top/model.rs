//! What has been seen of a lab: the last two looks, a history a port, the latest events. Pure: each
//! sample brings its own time. Rates are what was counted between two looks; of the first look the
//! lab's own rates are taken.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddrV4;

use control::api::{Event, EventKind, Port, PortRates, Rate, Session};

use super::sample::Sample;

/// Looks kept for the bars of a port.
pub(super) const HISTORY: usize = 240;
/// Events kept; the oldest go.
pub(super) const EVENTS: usize = 1000;

/// A reason for which frames go nowhere, and how often it has come true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drop {
    /// `switch`, `gateway`, or `kernel`.
    pub(super) by: &'static str,
    pub(super) reason: String,
    pub(super) count: u64,
    /// Since the look before; None of the first look.
    pub(super) rate: Option<u64>,
    /// The ports it happened at, with a count each.
    pub(super) at: Vec<(String, u64)>,
}

/// What has been seen.
#[derive(Debug)]
pub(super) struct Model {
    now: Sample,
    before: Option<Sample>,
    /// By interface index: a port plugged in again is another one.
    ports: BTreeMap<u32, Seen>,
    sessions: BTreeMap<Flow, u64>,
    events: VecDeque<Event>,
}

/// What is known of a port beside the last look.
#[derive(Debug, Default)]
struct Seen {
    rates: Option<PortRates>,
    history: VecDeque<u64>,
}

/// What tells a session from others.
type Flow = (String, SocketAddrV4, SocketAddrV4, SocketAddrV4);

impl Model {
    /// Begins with a first look.
    pub(super) fn new(first: Sample) -> Self {
        let mut model = Self {
            now: first,
            before: None,
            ports: BTreeMap::new(),
            sessions: BTreeMap::new(),
            events: VecDeque::new(),
        };
        model.reckon();
        model
    }

    /// The next look.
    pub(super) fn take(&mut self, sample: Sample) {
        // Another process: another lab of the same name, that counts from the beginning.
        let same = sample.topology.pid == self.now.topology.pid;
        let before = std::mem::replace(&mut self.now, sample);
        self.before = same.then_some(before);
        if !same {
            self.ports.clear();
        }
        self.reckon();
    }

    /// Something happened.
    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn reckon(&mut self) {
        let before = self.before.iter().flat_map(|sample| &sample.ports);
        let before: HashMap<u32, &Port> = before.map(|port| (port.ifindex, port)).collect();
        let mut ports = BTreeMap::new();
        for port in &self.now.ports {
            let mut seen = self.ports.remove(&port.ifindex).unwrap_or_default();
            seen.rates = self.reckon_port(port, before.get(&port.ifindex).copied());
            let rates = seen.rates.clone().unwrap_or_default();
            if seen.history.len() == HISTORY {
                seen.history.pop_front();
            }
            seen.history
                .push_back(rates.rx.bits_per_second.saturating_add(rates.tx.bits_per_second));
            ports.insert(port.ifindex, seen);
        }
        self.ports = ports;
        self.sessions = self.reckon_sessions();
    }

    fn reckon_port(&self, port: &Port, before: Option<&Port>) -> Option<PortRates> {
        if self.before.is_none() {
            return port.rates.clone();
        }
        // Plugged in between the two looks: all it has counted was since.
        let then = before.map(|port| port.stats64.clone()).unwrap_or_default();
        let now = &port.stats64;
        let rate = |packets: (u64, u64), bytes: (u64, u64)| {
            Some(Rate {
                packets_per_second: self.rate(packets.0, packets.1)?,
                bits_per_second: self.rate(bytes.0, bytes.1)?.saturating_mul(8),
            })
        };
        Some(PortRates {
            rx: rate((now.rx.packets, then.rx.packets), (now.rx.bytes, then.rx.bytes))?,
            tx: rate((now.tx.packets, then.tx.packets), (now.tx.bytes, then.tx.bytes))?,
        })
    }

    fn reckon_sessions(&self) -> BTreeMap<Flow, u64> {
        let before = self.before.as_ref().and_then(|sample| sample.sessions.as_ref());
        let (Some(now), Some(before)) = (&self.now.sessions, before) else {
            return BTreeMap::new();
        };
        let then: BTreeMap<Flow, u64> =
            before.items.iter().map(|session| (flow(session), bytes(session))).collect();
        let rate = |session: &Session| {
            let then = then.get(&flow(session)).copied().unwrap_or(0);
            Some((flow(session), self.rate(bytes(session), then)?.saturating_mul(8)))
        };
        now.items.iter().filter_map(rate).collect()
    }

    /// So many between the two looks is so many a second.
    fn rate(&self, now: u64, before: u64) -> Option<u64> {
        let elapsed = self.now.at.checked_sub(self.before.as_ref()?.at)?.as_nanos();
        // A counter that has gone back began again.
        let counted = u128::from(now.checked_sub(before).unwrap_or(now));
        let rate = (counted * 1_000_000_000).checked_div(elapsed)?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// The last look.
    pub(super) fn now(&self) -> &Sample {
        &self.now
    }

    /// Events, the newest first, each with the seconds since.
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &EventKind)> {
        let ago = |event: &Event| self.now.wall.saturating_sub(event.time) / 1_000_000_000;
        self.events.iter().rev().map(move |event| (ago(event), &event.kind))
    }

    /// Bits a second of a port, both ways together, the newest last.
    pub(super) fn history(&self, port: &Port) -> Vec<u64> {
        let seen = self.ports.get(&port.ifindex);
        seen.map(|seen| seen.history.iter().copied().collect()).unwrap_or_default()
    }

    /// How busy a port is.
    pub(super) fn port_rates(&self, port: &Port) -> Option<PortRates> {
        self.ports.get(&port.ifindex)?.rates.clone()
    }

    /// All ports together; None until it is known of each.
    pub(super) fn total_rates(&self) -> Option<PortRates> {
        let mut total = PortRates::default();
        for port in &self.now.ports {
            let rates = self.port_rates(port)?;
            for (sum, one) in [(&mut total.rx, rates.rx), (&mut total.tx, rates.tx)] {
                sum.packets_per_second =
                    sum.packets_per_second.saturating_add(one.packets_per_second);
                sum.bits_per_second = sum.bits_per_second.saturating_add(one.bits_per_second);
            }
        }
        Some(total)
    }

    /// Bits a second of a session, both ways together.
    pub(super) fn session_rate(&self, session: &Session) -> Option<u64> {
        self.sessions.get(&flow(session)).copied()
    }

    /// Every reason for which frames went nowhere.
    pub(super) fn drops(&self) -> Vec<Drop> {
        let before = self.before.as_ref().map(counted).unwrap_or_default();
        let mut drops = Vec::new();
        for ((by, reason), count) in counted(&self.now) {
            let then = before.get(&(by, reason.clone())).copied().unwrap_or(0);
            let at = |port: &Port| Some((port.ifname.clone(), *port.drops.get(&reason)?));
            let at = match by {
                "switch" => self.now.ports.iter().filter_map(at).collect(),
                _ => Vec::new(),
            };
            drops.push(Drop { by, rate: self.rate(count, then), reason, count, at });
        }
        drops
    }
}

fn flow(session: &Session) -> Flow {
    (session.protocol.clone(), session.inside, session.outside, session.remote)
}

/// Of IP, both ways together.
fn bytes(session: &Session) -> u64 {
    session.bytes_out.saturating_add(session.bytes_in)
}

/// The switch's word for what its station refused.
const STATION: &str = "station";

/// Who drops, and why, with how often. What never happened is left out.
fn counted(sample: &Sample) -> BTreeMap<(&'static str, String), u64> {
    let mut counted = BTreeMap::new();
    let mut add = |by, reason: &str, count| {
        if count > 0 {
            counted.insert((by, reason.to_owned()), count);
        }
    };
    let gateway = sample.counters.gateway.is_some();
    if let Some(switch) = &sample.counters.switch {
        // What the station refuses the gateway counts by its own reason.
        let own = switch.drops.iter().filter(|(reason, _)| *reason != STATION || !gateway);
        own.for_each(|(reason, count)| add("switch", reason, *count));
        add("kernel", "ring full", switch.ring_drops);
        add("kernel", "send refused", switch.send_errors);
        add("gateway", "nowhere to send", switch.station_lost);
    }
    if let Some(gateway) = &sample.counters.gateway {
        gateway.drops.iter().for_each(|(reason, count)| add("gateway", reason, *count));
    }
    counted
}

#[cfg(test)]
mod tests;
