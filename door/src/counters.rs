//! All that is counted, for the door.

use std::collections::BTreeMap;

use control::api::{
    Counters, GatewayCounters, NamesCounters, NatCounters, NatUsage, Port, SwitchCounters,
};
use gateway::Gateway;
use switch::{FdbConfig, Refusal, Switch, Tally};

use crate::bridge::{self, by_reason};
use crate::open::LabDoor;

pub(crate) fn counters(door: &LabDoor) -> Counters {
    let switch = door.switch(|switch| of_switch(switch, &switch.tally().counters)).ok();
    Counters { switch, gateway: of_gateway(door) }
}

/// The same with all ports, of one moment.
pub(crate) fn with_ports(door: &LabDoor) -> (Vec<Port>, Counters) {
    let looked = door.switch(|switch| {
        let Tally { counters, ports } = switch.tally();
        (of_switch(switch, &counters), ports)
    });
    let (switch, ports) = looked.ok().unzip();
    let ports = ports.and_then(|mut ports: Vec<_>| {
        ports.sort_by_key(bridge::place);
        bridge::told(door, ports).ok()
    });
    (ports.unwrap_or_default(), Counters { switch, gateway: of_gateway(door) })
}

fn of_switch(switch: &Switch, c: &switch::Counters) -> SwitchCounters {
    SwitchCounters {
        received: c.received,
        forwarded: c.forwarded,
        flooded: c.flooded,
        members: c.members,
        local: c.local,
        uplink: c.uplink,
        drops: by_reason(&c.drops),
        send_errors: c.send_errors(),
        refused: refused(&c.refused),
        station_to_bridge: c.station_to_bridge,
        station_to_uplink: c.station_to_uplink,
        station_lost: c.station_lost,
        events_lost: c.events_lost,
        ring_packets: c.ring_packets,
        ring_drops: c.ring_drops,
        rings_renewed: c.rings_renewed,
        fdb_entries: switch.table().len() as u64,
        fdb_limit: FdbConfig::default().max_entries as u64,
        workers: switch.workers() as u64,
    }
}

fn refused(counts: &[u64; Refusal::COUNT]) -> BTreeMap<String, u64> {
    let named = Refusal::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
    named.map(|(why, count)| (why.name().to_owned(), *count)).collect()
}

fn of_gateway(door: &LabDoor) -> Option<GatewayCounters> {
    // Copied under the lock, named outside it.
    let look = |gateway: &mut Gateway| {
        (gateway.counters(), gateway.nat_usage(), gateway.sessions_by_address())
    };
    let (c, usage, by_address) = door.gateway(look).ok()?;
    let names = door.lab().ok()?.with_resolver(|names| (names.counters(), names.usage()));
    let consumed = [
        (gateway::Consumed::Arp, c.arp),
        (gateway::Consumed::Queued, c.queued),
        (gateway::Consumed::Held, c.held),
        (gateway::Consumed::Fragmented, c.fragmented),
        (gateway::Consumed::Dns, c.dns),
    ];
    let usage = usage.into_iter().map(|(protocol, sessions, mappings)| {
        let usage = NatUsage { sessions: sessions.into(), mappings: mappings as u64 };
        (protocol.as_str().to_owned(), usage)
    });
    let other = NatUsage { sessions: by_address.into(), mappings: 0 };
    let drops = c.drops_by_reason().map(|(reason, count)| (reason.as_str().to_owned(), count));
    Some(GatewayCounters {
        lan_in: c.lan_in,
        uplink_in: c.uplink_in,
        to_lan: c.to_lan,
        to_uplink: c.to_uplink,
        consumed: consumed.into_iter().map(|(how, n)| (how.as_str().to_owned(), n)).collect(),
        drops: drops.collect::<BTreeMap<_, _>>(),
        extra: c.extra,
        icmp_errors: c.icmp_errors,
        icmp_limited: c.icmp_limited,
        icmp_translated: c.icmp_translated,
        redirects: c.redirects,
        echo_replies: c.echo_replies,
        nat: NatCounters {
            opened: c.nat.opened,
            expired: c.nat.expired,
            flushed: c.nat.flushed,
            displaced: c.nat.displaced,
            events_lost: c.nat.events_lost,
            usage: usage.chain([("other".to_owned(), other)]).collect(),
        },
        names: names.map(of_names).unwrap_or_default(),
    })
}

fn of_names(
    (c, (connections, waiting)): (lab::resolver::Counters, (usize, usize)),
) -> NamesCounters {
    NamesCounters {
        answered: c.answered,
        denied: c.denied,
        refused: c.refused,
        forwarded: c.forwarded,
        repeated: c.repeated,
        crowded: c.crowded,
        failed: c.failed,
        malformed: c.malformed,
        streams: c.streams,
        displaced: c.gave_way,
        events_lost: c.events_lost,
        connections: connections as u64,
        waiting: waiting as u64,
    }
}
