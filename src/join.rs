//! `--join`: the other hosts of a network, as `vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N][&network=NAME]`.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use control::api::AddTunnel;

/// Reads one. Its own end is not said there: `--vtep`, or [`towards`] the first.
pub(crate) fn read(text: &str) -> Result<AddTunnel, String> {
    let form = "vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N][&network=NAME]";
    let rest = text.strip_prefix("vtep://").ok_or_else(|| format!("{text:?} is not {form}"))?;
    let (hosts, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut ask = AddTunnel {
        vni: 0,
        local: Ipv4Addr::UNSPECIFIED,
        remotes: Vec::new(),
        network: None,
        port: None,
    };
    for host in hosts.split(',') {
        let address =
            host.parse().map_err(|_| format!("{host:?} is no address of IPv4: {form}"))?;
        ask.remotes.push(address);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = |what: &str| format!("{value:?} is no {what}");
        match key {
            "vni" => ask.vni = value.parse().map_err(|_| number("VNI"))?,
            "port" => ask.port = Some(value.parse().map_err(|_| number("port"))?),
            "network" => ask.network = Some(value.into()),
            _ => return Err(format!("{key:?} is none of vni, port, network: {form}")),
        }
    }
    if ask.vni == 0 {
        return Err(format!("which network? ?vni=N is missing: {form}"));
    }
    Ok(ask)
}

/// The address by which this host would speak to another; nothing is sent.
///
/// # Errors
/// ENETUNREACH where there is no way there.
pub(crate) fn towards(remote: Ipv4Addr) -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((remote, lab::tunnel::PORT))?;
    match socket.local_addr()?.ip() {
        std::net::IpAddr::V4(address) => Ok(address),
        std::net::IpAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_the_network_are_read() {
        let ask = read("vtep://10.0.0.2,10.0.0.3?vni=100&network=dmz&port=8472").unwrap();
        assert_eq!(ask.remotes, [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]);
        assert_eq!((ask.vni, ask.port, ask.network.as_deref()), (100, Some(8472), Some("dmz")));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, says) in [
            ("10.0.0.2", "is not vtep://"),
            ("etcd://10.0.0.2/net", "is not vtep://"),
            ("vtep://10.0.0.2", "vni=N is missing"),
            ("vtep://host?vni=1", "no address"),
            ("vtep://10.0.0.2?vni=x", "no VNI"),
            ("vtep://10.0.0.2?vin=1", "none of vni"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
