//! The hosts of a network that a registry knows, or BGP tells of.

use control::api::Hosts;

use super::lines;
use crate::paint::Paint;
use crate::table::Table;
use crate::units;

/// How what etcd itself has said begins.
const SAYS: &str = "etcd says: ";

pub(super) fn lines_of(networks: Vec<Hosts>, paint: Paint) -> Vec<String> {
    if networks.is_empty() {
        return vec!["no registry knows other hosts: `run --join etcd://…` joins a network".into()];
    }
    networks.into_iter().flat_map(|network| of_network(network, paint)).collect()
}

fn of_network(network: Hosts, paint: Paint) -> Vec<String> {
    let Hosts { name, network: here, vni, alone, why, rows, repairs, .. } = &network;
    let repaired = if *repairs > 0 { format!(", {repairs} set again") } else { String::new() };
    let rows = units::count(*rows, "row", "rows");
    let by_bgp = network.registry.iter().any(|at| at.starts_with("bgp://"));
    let mut said = vec![format!("{name} is {here} here, VNI {vni}; {rows}{repaired}")];
    said.extend(network.speaks.as_ref().map(|speaks| format!("by {speaks}")));
    if network.state == "out" {
        let why = why.as_deref().unwrap_or_default();
        said.push(paint.bad(&format!("this host is out of it: {why}")));
    }
    if let Some(why) = why.as_ref().filter(|_| network.state == "joined") {
        said.push(paint.bad(why));
    }
    if let Some(seconds) = alone {
        let why = why.as_deref().unwrap_or("no answer");
        let (who, then) = if by_bgp { ("gobgpd", "") } else { ("etcd", ", and new claims fail") };
        let (what, why) = match why.strip_prefix(SAYS) {
            Some(says) => ("has refused this host", says),
            None => ("has not answered", why),
        };
        said.push(paint.bad(&format!(
            "{who} {what} for {}: {why}; what is known goes on{then}",
            units::span(*seconds)
        )));
    }
    for (node, why) in &network.cut_off {
        said.push(paint.bad(&format!("{node} is cut off from other hosts: {why}")));
    }
    let mut table = Table::new(&["HOST", "VTEP", ">NODES", ""]);
    for host in network.hosts {
        let own = if host.own { "this one" } else { "" };
        let nodes = host.nodes.len().to_string();
        table.row([host.name, host.vtep.to_string(), nodes, own.into()]);
    }
    said.extend(lines(&table, paint));
    said
}
