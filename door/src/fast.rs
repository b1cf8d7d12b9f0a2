//! The fast path, for the door: whether it runs, and the flows the kernel has.

use std::collections::HashMap;

use control::api::{FastFlow, FastPath, FastRoute, Page, PageQuery, Protocol};
use lab::Lab;
use lab::fast::FastPath as Asked;
use switch::{FlowInfo, PortId};

use crate::bridge::nodes;
use crate::open::{Answer, LabDoor};

/// Whether it runs; None where nobody asked.
pub(crate) fn state(lab: &Lab) -> Option<FastPath> {
    let state = lab.fast_path();
    let asked = state.asked.to_string();
    let packets = lab.with_switch(switch::Switch::repeated).flatten().unwrap_or(0);
    let shown = FastPath { asked, runs: state.runs, packets, why_not: state.why_not };
    (state.asked != Asked::Off).then_some(shown)
}

/// The flows, in the order of their places, which they keep.
pub(crate) fn flows(door: &LabDoor, page: &PageQuery) -> Answer<Page<FastFlow>> {
    let lab = door.lab()?;
    let (mut flows, names) = door.switch(|switch| {
        let names: HashMap<PortId, String> =
            switch.ports().into_iter().map(|info| (info.id, info.spec.name)).collect();
        (switch.flows().unwrap_or_default(), names)
    })?;
    flows.sort_unstable_by_key(|flow| flow.place);
    let nodes = nodes(&lab);
    let page = Page::cut(flows, page, |flow| flow.place.into());
    let name =
        |port: PortId| names.get(&port).cloned().unwrap_or_else(|| format!("port-{}", port.0));
    let row = |flow: &FlowInfo| FastFlow {
        ifname: name(flow.ingress),
        node: nodes.get(&flow.ingress).cloned(),
        src: flow.src.to_string(),
        vlan: flow.tag.map(|tag| tag.id().get()),
        dst: flow.dst.to_string(),
        out: name(flow.egress),
        others: flow.others.iter().copied().map(name).collect(),
        out_node: nodes.get(&flow.egress).cloned(),
        tag: match (flow.retag.pop, flow.retag.push) {
            (false, None) => "keep",
            (true, None) => "pop",
            (false, Some(_)) => "push",
            (true, Some(_)) => "set",
        }
        .into(),
        route: flow.route.map(|(ends, route)| FastRoute {
            protocol: match ends.protocol {
                wire::ipv4::protocol::TCP | switch::ALL_TCP => Protocol::Tcp,
                wire::ipv4::protocol::UDP => Protocol::Udp,
                _ => Protocol::Icmp,
            },
            src: ends.src,
            dst: ends.dst,
            new_src: route.src,
            new_dst: route.dst,
        }),
        packets: flow.frames,
        bytes: flow.bytes,
        age: flow.age.as_secs(),
        idle_ms: u64::try_from(flow.idle.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Page { items: page.items.iter().map(row).collect(), next: page.next })
}
