//! `show ports` and `show fdb` in the shape of `brctl show` and `brctl showmacs`, for readers of old
//! pages. Pure.

use control::api::{FdbEntry, Port, PortRole};

/// As `brctl show` (bridge-utils, `br_cmd_show`): a line a bridge with its first port, a line for
/// each further one.
pub(super) fn show(ports: &[Port], gateways: &[FdbEntry]) -> Vec<String> {
    let mut lines = vec!["bridge name\tbridge id\t\tSTP enabled\tinterfaces".to_owned()];
    let mut networks: Vec<&str> = Vec::new();
    for network in ports.iter().filter_map(|port| port.network.as_deref()) {
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    for network in networks {
        let own = gateways
            .iter()
            .find(|entry| entry.network.as_deref() == Some(network) && entry.state == PERMANENT);
        let id = own.map_or_else(|| "0".repeat(12), |entry| entry.mac.replace(':', ""));
        let of_it = |port: &&Port| {
            port.network.as_deref() == Some(network) && port.role == PortRole::Bridged
        };
        for (number, port) in ports.iter().filter(of_it).enumerate() {
            lines.push(if number == 0 {
                format!("{network}\t\t8000.{id}\tno\t\t{}", port.ifname)
            } else {
                format!("\t\t\t\t\t\t\t{}", port.ifname)
            });
        }
    }
    lines
}

/// The state of an address that is the switch's own.
const PERMANENT: &str = "permanent";

/// As `brctl showmacs`: ports by number, as they stand in `brctl show`.
pub(super) fn showmacs(entries: &[FdbEntry], ports: &[Port]) -> Vec<String> {
    let mut lines = vec!["port no\tmac addr\t\tis local?\tageing timer".to_owned()];
    for entry in entries {
        let number = ports.iter().position(|port| port.ifname == entry.ifname);
        let number = number.map_or(0, |place| place + 1);
        let local = if entry.state == PERMANENT { "yes" } else { "no" };
        let age = if entry.state.is_empty() { entry.updated } else { 0 };
        lines.push(format!("{number:>3}\t{}\t{local}\t\t{age:>4}.00", entry.mac));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(network: &str, ifname: &str) -> Port {
        let port = serde_json::json!({
            "ifindex": 2, "ifname": ifname, "flags": [], "mtu": 1500, "operstate": "UP",
            "stats64": control::api::Stats64::default(), "network": network, "role": "bridged",
            "fdb_entries": 0, "drops": {},
        });
        serde_json::from_value(port).unwrap()
    }

    fn entry(network: &str, ifname: &str, mac: &str, state: &str) -> FdbEntry {
        FdbEntry {
            dst: None,
            mac: mac.into(),
            ifname: ifname.into(),
            node: None,
            network: Some(network.into()),
            vlan: None,
            updated: 7,
            flags: Vec::new(),
            master: None,
            state: state.into(),
        }
    }

    #[test]
    fn bridges_have_their_ports_below_each_other() {
        let ports = [port("lan", "veth1"), port("lan", "veth2"), port("dmz", "veth3")];
        let own = [entry("lan", "gateway", "02:00:0a:64:00:01", PERMANENT)];
        assert_eq!(
            show(&ports, &own),
            [
                "bridge name\tbridge id\t\tSTP enabled\tinterfaces",
                "lan\t\t8000.02000a640001\tno\t\tveth1",
                "\t\t\t\t\t\t\tveth2",
                "dmz\t\t8000.000000000000\tno\t\tveth3",
            ]
        );
    }

    #[test]
    fn addresses_stand_with_the_number_of_their_port() {
        let ports = [port("lan", "veth1"), port("lan", "veth2")];
        let entries = [
            entry("lan", "gateway", "02:00:0a:64:00:01", PERMANENT),
            entry("lan", "veth2", "02:00:0a:64:00:14", ""),
        ];
        assert_eq!(
            showmacs(&entries, &ports)[1..],
            ["  0\t02:00:0a:64:00:01\tyes\t\t   0.00", "  2\t02:00:0a:64:00:14\tno\t\t   7.00",]
        );
    }
}
