//! The switch's ports and addresses. Lines of text.

use control::api::{
    FastFlow, FastRoute, FdbEntry, Network, Port, PortRole, PortVlan, Protocol, Tunnel, VlanStats,
};

use super::lines;
use crate::paint::Paint;
use crate::storm;
use crate::table::Table;
use crate::units;

pub(super) fn ports(ports: &[Port], paint: Paint) -> Vec<String> {
    let limited = ports.iter().any(|port| !port.storm.is_none());
    let mut heads = vec![
        "PORT",
        "NODE",
        "STATE",
        ">MTU",
        ">RX FRAMES",
        ">BYTES",
        ">NOW",
        ">",
        ">TX FRAMES",
        ">BYTES",
        ">NOW",
        ">",
        ">ADDRS",
        "DROPPED",
    ];
    if limited {
        heads.push("STORM LIMIT");
    }
    let several = super::several_networks(ports.iter());
    if several {
        heads.insert(2, "NETWORK");
    }
    let mut table = Table::new(&heads);
    for port in ports {
        let (rx, tx) = (&port.stats64.rx, &port.stats64.tx);
        let rate = |side: fn(&control::api::PortRates) -> &control::api::Rate| {
            let unknown = ["-".to_owned(), "-".to_owned()];
            port.rates.as_ref().map(side).map_or(unknown, |rate| {
                [units::bit_rate(rate.bits_per_second), units::rate(rate.packets_per_second)]
            })
        };
        let [rx_bits, rx_frames] = rate(|rates| &rates.rx);
        let [tx_bits, tx_frames] = rate(|rates| &rates.tx);
        let node = match port.role {
            PortRole::Routed => "(uplink)",
            PortRole::Bridged => port.node.as_deref().unwrap_or("-"),
        };
        let mut cells = vec![
            port.ifname.clone(),
            node.into(),
            port.operstate.to_ascii_lowercase(),
            port.mtu.to_string(),
            rx.packets.to_string(),
            units::bytes(rx.bytes),
            rx_bits,
            rx_frames,
            tx.packets.to_string(),
            units::bytes(tx.bytes),
            tx_bits,
            tx_frames,
            port.fdb_entries.to_string(),
            drops(port),
        ];
        if limited {
            cells.push(storm::words(&port.storm).unwrap_or_else(|| "-".into()));
        }
        if several {
            cells.insert(2, port.network.clone().unwrap_or_else(|| "-".into()));
        }
        table.row(cells);
    }
    lines(&table, paint)
}

pub(super) fn tunnels(tunnels: Vec<Tunnel>, paint: Paint) -> Vec<String> {
    if tunnels.is_empty() {
        return vec!["no tunnel leads to another host".into()];
    }
    let heads = ["PORT", "NETWORK", ">VNI", "LOCAL", "REMOTE", ">MTU", ">RX FRAMES", ">BYTES"];
    let mut table =
        Table::new(&[&heads[..], &[">TX FRAMES", ">BYTES", "DROPPED", "FOREIGN"]].concat());
    let told: Vec<_> = tunnels.iter().filter_map(too_long).collect();
    for tunnel in tunnels {
        let remotes: Vec<_> = tunnel.remotes.iter().map(ToString::to_string).collect();
        let (rx, tx) = (&tunnel.stats64.rx, &tunnel.stats64.tx);
        let lost = rx.dropped + rx.errors + tx.errors;
        let foreign = match (tunnel.foreign_from, tunnel.foreign_by) {
            _ if tunnel.senders == "open" => "open".into(),
            (Some(last), Some(by)) => format!("{} ({last} by {by})", tunnel.foreign),
            (Some(last), None) => format!("{} ({last})", tunnel.foreign),
            (None, _) => "-".into(),
        };
        table.row([
            tunnel.ifname,
            tunnel.network,
            tunnel.vni.to_string(),
            std::net::SocketAddr::new(tunnel.local, tunnel.port).to_string(),
            remotes.join(" "),
            tunnel.mtu.to_string(),
            rx.packets.to_string(),
            units::bytes(rx.bytes),
            tx.packets.to_string(),
            units::bytes(tx.bytes),
            if lost == 0 { "-".into() } else { lost.to_string() },
            foreign,
        ]);
    }
    lines(&table, paint).into_iter().chain(told).collect()
}

/// That a network's packets do not fit what its tunnel sends by, and what mends it.
fn too_long(tunnel: &Tunnel) -> Option<String> {
    let Tunnel { ifname, network, local, fits, network_mtu: mtu, .. } = tunnel;
    (*fits > 0 && mtu > fits).then(|| {
        let whole = mtu + ns::vxlan::overhead(*local);
        format!(
            "network {network} is to have packets of {mtu} bytes, and {ifname} carries {fits} in one piece: \
             `uswitch network set {network} --mtu {fits}`, or raise the MTU of the interface with {local} to \
             {whole}"
        )
    })
}

/// What went nowhere, by reason.
fn drops(port: &Port) -> String {
    let mut all: Vec<_> =
        port.drops.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    if port.stats64.tx.errors > 0 {
        all.push(format!("send-error {}", port.stats64.tx.errors));
    }
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

pub(super) fn fdb(entries: &[FdbEntry], paint: Paint) -> Vec<String> {
    let several = super::several(entries.iter().map(|entry| &entry.network));
    let mut heads = vec!["MAC", "PORT", "NODE", ">VLAN", ">AGE", "STATE"];
    if several {
        heads.insert(3, "NETWORK");
    }
    let far = entries.iter().any(|entry| entry.dst.is_some());
    if far {
        heads.push("REMOTE END");
    }
    let mut table = Table::new(&heads);
    for entry in entries {
        let state = if entry.state.is_empty() { "learned" } else { &entry.state };
        let words = std::iter::once(state).chain(entry.flags.iter().map(String::as_str));
        let ages = entry.state.is_empty();
        let mut cells = vec![
            entry.mac.clone(),
            entry.ifname.clone(),
            entry.node.clone().unwrap_or_else(|| "-".into()),
            entry.vlan.map_or_else(|| "-".into(), |vlan| vlan.to_string()),
            if ages { units::span(entry.updated) } else { "-".into() },
            words.collect::<Vec<_>>().join(" "),
        ];
        if far {
            cells.push(entry.dst.map_or_else(|| "-".into(), |end| end.to_string()));
        }
        if several {
            cells.insert(3, entry.network.clone().unwrap_or_else(|| "-".into()));
        }
        table.row(cells);
    }
    lines(&table, paint)
}

pub(super) fn flows(flows: &[FastFlow], paint: Paint) -> Vec<String> {
    if flows.is_empty() {
        return vec!["the kernel has no flows".into()];
    }
    let heads =
        ["PORT", "NODE", ">VLAN", "FROM", "TO", "PORT", "NODE", "TAG", ">FRAMES", ">BYTES", ">AGE"];
    let routed = flows.iter().any(|flow| flow.route.is_some());
    let heads = heads.into_iter().chain(["PACKETS", "AS"].into_iter().filter(|_| routed));
    let mut table = Table::new(&heads.collect::<Vec<_>>());
    let or_none = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".into());
    for flow in flows {
        let mut cells = vec![
            flow.ifname.clone(),
            or_none(&flow.node),
            flow.vlan.map_or_else(|| "-".into(), |vlan| vlan.to_string()),
            flow.src.clone(),
            flow.dst.clone(),
            match flow.others.len() {
                0 => flow.out.clone(),
                more => format!("{} +{more}", flow.out),
            },
            or_none(&flow.out_node),
            flow.tag.clone(),
            flow.packets.to_string(),
            flow.bytes.to_string(),
            units::span(flow.age),
        ];
        if routed {
            let ends = |route: &FastRoute| {
                let FastRoute { protocol, src, dst, new_src, new_dst } = route;
                // Of TCP to a kernel beside the gateway all ports.
                if (*protocol, src.port(), dst.port()) == (Protocol::Tcp, 0, 0) {
                    let all = format!("{} > {}", src.ip(), dst.ip());
                    return [format!("{protocol} {all}"), all];
                }
                [format!("{protocol} {src} > {dst}"), format!("{new_src} > {new_dst}")]
            };
            cells.extend(flow.route.as_ref().map_or_else(|| ["-".into(), "-".into()], ends));
        }
        table.row(cells);
    }
    lines(&table, paint)
}

/// A port's VLANs, in the shape of `bridge -j vlan show`; `node` is a field of our own.
#[derive(serde::Serialize)]
pub(super) struct VlanRow {
    ifname: String,
    vlans: Vec<PortVlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

pub(super) fn vlans(ports: &[Port], networks: &[Network]) -> Vec<VlanRow> {
    let of_port = |port: &Port| VlanRow {
        ifname: port.ifname.clone(),
        vlans: port.vlans.clone(),
        node: port.node.clone(),
    };
    let several = networks.len() > 1;
    let of_gateway = |network: &Network| {
        // By the name that `vlan add` takes.
        let ifname = match several {
            true => format!("gateway:{}", network.name),
            false => "gateway".into(),
        };
        VlanRow { ifname, vlans: network.gateway_vlan_stats.clone(), node: None }
    };
    let all = ports.iter().map(of_port).chain(networks.iter().map(of_gateway));
    all.filter(|row| !row.vlans.is_empty()).collect()
}

pub(super) fn vlan_lines(rows: &[VlanRow], paint: Paint) -> Vec<String> {
    let heads = ["PORT", "NODE", "VLAN", ">RX FRAMES", ">BYTES", ">TX FRAMES", ">BYTES", "FLAGS"];
    let mut table = Table::new(&heads);
    for row in rows {
        for vlan in &row.vlans {
            let counted =
                |of: fn(&VlanStats) -> String| vlan.stats.as_ref().map_or_else(|| "-".into(), of);
            let last = vlan.vlan_end.map_or_else(String::new, |last| format!("-{last}"));
            table.row([
                row.ifname.clone(),
                row.node.clone().unwrap_or_else(|| "-".into()),
                format!("{}{last}", vlan.vlan),
                counted(|stats| stats.rx_packets.to_string()),
                counted(|stats| units::bytes(stats.rx_bytes)),
                counted(|stats| stats.tx_packets.to_string()),
                counted(|stats| units::bytes(stats.tx_bytes)),
                vlan.flags.join(", "),
            ]);
        }
    }
    lines(&table, paint)
}
