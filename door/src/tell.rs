//! The switch's and the gateway's events in the door's words, and the drops of a second as sums.
//! Pure: the pump feeds it.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use control::api::EventKind;
use switch::{DropReason, Event, NetworkId, PortId, PortInfo, PortRole};
use wire::Timestamp;

use crate::router::session_of;

/// Port numbers as names, and their networks where there are several. A port that is gone keeps its name
/// until its number is reused.
#[derive(Default)]
pub(crate) struct Names(HashMap<PortId, Named>);

#[derive(Clone, Default)]
struct Named {
    name: String,
    network: Option<String>,
}

impl Names {
    /// Learns the names there are.
    pub(crate) fn learn(&mut self, ports: &[PortInfo], networks: &HashMap<NetworkId, String>) {
        let named = |info: &PortInfo| {
            let bridged = info.spec.role == PortRole::Bridged && networks.len() > 1;
            let network = networks.get(&info.spec.network).filter(|_| bridged).cloned();
            (info.id, Named { name: info.spec.name.clone(), network })
        };
        self.0.extend(ports.iter().map(named));
    }

    /// Whether every port of `event` has a name, and still that one.
    pub(crate) fn cover(&mut self, event: &Event) -> bool {
        match event {
            // Of its number nothing is known yet, even where one of that name has had it.
            Event::Added { port, name } => {
                self.0.insert(*port, Named { name: name.to_string(), network: None });
                false
            }
            Event::Removed { port, name } => {
                let known = self.0.get(port).is_some_and(|named| *named.name == **name);
                if !known {
                    self.0.insert(*port, Named { name: name.to_string(), network: None });
                }
                known
            }
            Event::Learned { port, .. } | Event::Link { port, .. } => self.0.contains_key(port),
            Event::Moved { from, to, .. } => self.0.contains_key(from) && self.0.contains_key(to),
            Event::Loop { ports, .. } => ports.iter().all(|port| self.0.contains_key(port)),
            Event::Aged(_) | Event::Renewed { .. } => true,
        }
    }

    pub(crate) fn of(&self, port: PortId) -> String {
        let named = self.0.get(&port).map(|named| named.name.clone());
        named.unwrap_or_else(|| format!("port-{}", port.0))
    }

    fn network(&self, port: PortId) -> Option<String> {
        self.0.get(&port)?.network.clone()
    }

    /// An event of the switch.
    pub(crate) fn tell(&self, event: &Event) -> EventKind {
        match event {
            Event::Learned { mac, vlan, port } => EventKind::Learned {
                network: self.network(*port),
                mac: mac.to_string(),
                vlan: vlan.get(),
                ifname: self.of(*port),
            },
            Event::Moved { mac, vlan, from, to } => EventKind::Moved {
                network: self.network(*to),
                mac: mac.to_string(),
                vlan: vlan.get(),
                from: self.of(*from),
                to: self.of(*to),
            },
            Event::Loop { mac, vlan, ports: [one, other], shut } => EventKind::LoopFound {
                network: self.network(*one),
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
            Event::Added { port, name } => {
                EventKind::PortAdded { network: self.network(*port), ifname: name.to_string() }
            }
            Event::Removed { port, name } => {
                EventKind::PortRemoved { network: self.network(*port), ifname: name.to_string() }
            }
            Event::Link { port, up } => {
                let (network, ifname) = (self.network(*port), self.of(*port));
                match up {
                    true => EventKind::PortUp { network, ifname },
                    false => EventKind::PortDown { network, ifname },
                }
            }
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
        names.0.insert(PortId(3), Named { name: "veth3".into(), network: Some("dmz".into()) });
        assert!(names.cover(&learned));
        assert_eq!(names.tell(&learned).network(), Some("dmz"));
        // The number is another port's, which is gone again before anybody looks.
        let (added, removed) = (
            Event::Added { port: PortId(3), name: "veth9".into() },
            Event::Removed { port: PortId(3), name: "veth9".into() },
        );
        assert!(!names.cover(&added), "its network is not known");
        let told = EventKind::PortAdded { network: None, ifname: "veth9".into() };
        assert_eq!(names.tell(&added), told);
        let EventKind::Learned { ifname, .. } = names.tell(&learned) else { panic!() };
        assert_eq!(ifname, "veth9");
        assert!(names.cover(&removed));
        let told = EventKind::PortRemoved { network: None, ifname: "veth9".into() };
        assert_eq!(names.tell(&removed), told);
        // Another of that name, perhaps in another network.
        names.0.insert(PortId(3), Named { name: "veth9".into(), network: Some("dmz".into()) });
        assert!(!names.cover(&added), "its network is not known");
        assert_eq!(names.tell(&added).network(), None);
        let unknown = names.tell(&Event::Link { port: PortId(4), up: false });
        assert_eq!(unknown, EventKind::PortDown { network: None, ifname: "port-4".into() });
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
