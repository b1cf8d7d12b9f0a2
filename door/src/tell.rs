//! The switch's and the gateway's events in the door's words, and the drops of a second as sums.
//! Pure: the pump feeds it.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use control::api::EventKind;
use switch::{DropReason, Event, PortId, PortInfo};
use wire::Timestamp;

use crate::router::session_of;

/// Port numbers as names. A port that is gone keeps its name until its number is reused.
#[derive(Default)]
pub(crate) struct Names(HashMap<PortId, String>);

impl Names {
    /// Learns the names there are.
    pub(crate) fn learn(&mut self, ports: &[PortInfo]) {
        self.0.extend(ports.iter().map(|info| (info.id, info.spec.name.clone())));
    }

    /// Whether every port of `event` has a name, and still that one.
    pub(crate) fn cover(&mut self, event: &Event) -> bool {
        match event {
            Event::Added { port, name } | Event::Removed { port, name } => {
                self.0.insert(*port, name.to_string());
                true
            }
            Event::Learned { port, .. } | Event::Link { port, .. } => self.0.contains_key(port),
            Event::Moved { from, to, .. } => self.0.contains_key(from) && self.0.contains_key(to),
            Event::Loop { ports, .. } => ports.iter().all(|port| self.0.contains_key(port)),
            Event::Aged(_) | Event::Renewed { .. } => true,
        }
    }

    pub(crate) fn of(&self, port: PortId) -> String {
        self.0.get(&port).cloned().unwrap_or_else(|| format!("port-{}", port.0))
    }

    /// An event of the switch.
    pub(crate) fn tell(&self, event: &Event) -> EventKind {
        match event {
            Event::Learned { mac, vlan, port } => EventKind::Learned {
                mac: mac.to_string(),
                vlan: vlan.get(),
                ifname: self.of(*port),
            },
            Event::Moved { mac, vlan, from, to } => EventKind::Moved {
                mac: mac.to_string(),
                vlan: vlan.get(),
                from: self.of(*from),
                to: self.of(*to),
            },
            Event::Loop { mac, vlan, ports: [one, other], shut } => EventKind::LoopFound {
                mac: mac.map(|mac| mac.to_string()),
                vlan: vlan.get(),
                ifname: self.of(*one),
                other: self.of(*other),
                shut: shut.map(|port| self.of(port)),
            },
            Event::Aged(count) => EventKind::Aged { count: *count as u64 },
            Event::Renewed { uplink, lost } => EventKind::RingRenewed {
                ring: if *uplink { "uplink" } else { "nodes" }.into(),
                count: *lost,
            },
            Event::Added { name, .. } => EventKind::PortAdded { ifname: name.to_string() },
            Event::Removed { name, .. } => EventKind::PortRemoved { ifname: name.to_string() },
            Event::Link { port, up: true } => EventKind::PortUp { ifname: self.of(*port) },
            Event::Link { port, up: false } => EventKind::PortDown { ifname: self.of(*port) },
        }
    }
}

/// An event of the gateway, whose address outside is `own`.
pub(crate) fn session(event: &gateway::Event, own: Ipv4Addr, now: Timestamp) -> EventKind {
    let session = Box::new(session_of(event, own, now));
    match event.kind {
        gateway::EventKind::Opened => EventKind::SessionOpened { session },
        gateway::EventKind::Closed(why) => EventKind::SessionClosed {
            session,
            reason: match why {
                gateway::Closing::Expired => "expired",
                gateway::Closing::Flushed => "flushed",
                gateway::Closing::Displaced => "displaced",
            }
            .into(),
        },
    }
}

/// Who dropped frames, why, and how many so far.
pub(crate) type Drops = BTreeMap<(&'static str, &'static str), u64>;

/// All drops so far. What the switch counts as refused by its station the gateway counts by its
/// reason, so it is left out here.
pub(crate) fn drops(
    switch: Option<&switch::Counters>,
    gateway: Option<&gateway::Counters>,
) -> Drops {
    let mut all = Drops::new();
    if let Some(c) = switch {
        let reasons = DropReason::ALL.iter().zip(c.drops);
        let named = reasons.filter(|(reason, _)| **reason != DropReason::Station);
        all.extend(named.map(|(reason, count)| (("switch", reason.name()), count)));
        all.insert(("switch", "ring-full"), c.ring_drops);
        all.insert(("switch", "send-error"), c.send_errors());
    }
    if let Some(c) = gateway {
        all.extend(c.drops_by_reason().map(|(why, count)| (("gateway", why.as_str()), count)));
    }
    all
}

/// What has been dropped since `before`.
pub(crate) fn dropped(before: &Drops, after: &Drops) -> Vec<EventKind> {
    let since = after
        .iter()
        .map(|(key, count)| (key, count.saturating_sub(before.get(key).copied().unwrap_or(0))));
    since
        .filter(|(_, count)| *count > 0)
        .map(|((by, reason), count)| EventKind::Drops {
            by: (*by).into(),
            reason: (*reason).into(),
            count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use wire::{MacAddr, VlanId};

    use super::*;

    #[test]
    fn names_outlive_their_ports() {
        let mut names = Names::default();
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let learned = Event::Learned { mac, vlan: VlanId::NONE, port: PortId(3) };
        assert!(!names.cover(&learned));
        names.0.insert(PortId(3), "veth3".into());
        assert!(names.cover(&learned));
        // The number is another port's, which is gone again before anybody looks.
        let (added, removed) = (
            Event::Added { port: PortId(3), name: "veth9".into() },
            Event::Removed { port: PortId(3), name: "veth9".into() },
        );
        assert!(names.cover(&added));
        assert_eq!(names.tell(&added), EventKind::PortAdded { ifname: "veth9".into() });
        let EventKind::Learned { ifname, .. } = names.tell(&learned) else { panic!() };
        assert_eq!(ifname, "veth9");
        assert!(names.cover(&removed));
        assert_eq!(names.tell(&removed), EventKind::PortRemoved { ifname: "veth9".into() });
        let unknown = names.tell(&Event::Link { port: PortId(4), up: false });
        assert_eq!(unknown, EventKind::PortDown { ifname: "port-4".into() });
    }

    #[test]
    fn drops_are_told_as_differences() {
        let mut counters = switch::Counters::default();
        counters.drops[DropReason::Runt.index()] = 5;
        counters.drops[DropReason::Station.index()] = 9;
        let before = drops(Some(&counters), None);
        counters.drops[DropReason::Runt.index()] = 7;
        counters.ring_drops = 1;
        let after = drops(Some(&counters), Some(&gateway::Counters::default()));
        let kind = |reason: &str, count| EventKind::Drops {
            by: "switch".into(),
            reason: reason.into(),
            count,
        };
        assert_eq!(dropped(&before, &after), [kind("ring-full", 1), kind("runt", 2)]);
        assert_eq!(dropped(&after, &after), []);
    }
}
