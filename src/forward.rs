//! `[ADDR:]PORT:NODE:PORT[/udp]`: a published port as a person writes it, and `PORT[/udp]`, the
//! name it is withdrawn by. Pure.

use std::net::Ipv4Addr;

use control::api::{Protocol, Publish};

/// How it is written.
const SHAPE: &str = "[ADDR:]PORT:NODE:PORT[/udp], as in 8080:net1:80";

/// Reads a port to publish.
pub(crate) fn publish(text: &str) -> Result<Publish, String> {
    let (rest, protocol) = transport(text)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (address, [outside, node, inside]) = match parts.as_slice() {
        [a, b, c] => (None, [a, b, c]),
        [address, a, b, c] => (Some(address), [a, b, c]),
        _ => return Err(format!("a published port is {SHAPE}")),
    };
    let address = address.map(|address| {
        address.parse::<Ipv4Addr>().map_err(|_| format!("{address:?} is no IPv4 address"))
    });
    if node.is_empty() {
        return Err(format!("the node is missing: {SHAPE}"));
    }
    Ok(Publish {
        protocol,
        address: address.transpose()?,
        port: port(outside)?,
        node: (*node).to_owned(),
        node_port: port(inside)?,
    })
}

/// Reads a port to withdraw.
pub(crate) fn published(text: &str) -> Result<(Protocol, u16), String> {
    let (rest, protocol) = transport(text)?;
    Ok((protocol, port(rest)?))
}

fn transport(text: &str) -> Result<(&str, Protocol), String> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((rest, "tcp")) => Ok((rest, Protocol::Tcp)),
        Some((rest, "udp")) => Ok((rest, Protocol::Udp)),
        Some((_, other)) => Err(format!("/{other}: only tcp and udp have ports")),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("{text:?} is no port: 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        let plain = publish("8080:net1:80").unwrap();
        let wanted = Publish {
            protocol: Protocol::Tcp,
            address: None,
            port: 8080,
            node: "net1".into(),
            node_port: 80,
        };
        assert_eq!(plain, wanted);
        let whole = publish("203.0.113.2:53:net2:5353/udp").unwrap();
        assert_eq!(whole.address, Some(Ipv4Addr::new(203, 0, 113, 2)));
        assert_eq!((whole.protocol, whole.port, whole.node_port), (Protocol::Udp, 53, 5353));
        assert_eq!(published("53/udp"), Ok((Protocol::Udp, 53)));
        assert_eq!(published("80"), Ok((Protocol::Tcp, 80)));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (text, said) in [
            ("8080", "is [ADDR:]PORT"),
            ("8080:80", "is [ADDR:]PORT"),
            ("0:net1:80", "no port"),
            ("8080:net1:65536", "no port"),
            ("8080::80", "node is missing"),
            ("here:8080:net1:80", "no IPv4"),
            ("8080:net1:80/sctp", "tcp and udp"),
        ] {
            let error = publish(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
