//! `[ADDR:]PORT:NODE:PORT[/udp]`: a published port as a person writes it, and `[ADDR:]PORT[/udp]`,
//! the name it is withdrawn by. Pure.

use std::net::Ipv4Addr;

use control::api::{Protocol, Publish};

/// Reads a port to publish.
pub(crate) fn publish(text: &str) -> Result<Publish, String> {
    text.parse().map_err(|why: topology::Invalid| why.to_string())
}

/// A published port as it is named to withdraw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) protocol: Protocol,
    /// The uplink's address, where that was said.
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) port: u16,
    /// The node and its port that it leads to, where that was said.
    pub(crate) inside: Option<(String, u16)>,
}

/// Reads a port to withdraw: `[ADDR:]PORT[/udp]` as `show published` prints it, or all that it was
/// published by.
pub(crate) fn published(text: &str) -> Result<Named, String> {
    let (rest, protocol) = Protocol::of_port(text).map_err(|why| why.to_string())?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (address, outside) = match parts.as_slice() {
        [outside] => (None, *outside),
        [address, outside] => (Some(*address), *outside),
        _ => {
            let Publish { protocol, address, port, node, node_port } = publish(text)?;
            return Ok(Named { protocol, address, port, inside: Some((node, node_port)) });
        }
    };
    let (address, port) = (address.map(ipv4).transpose()?, port(outside)?);
    Ok(Named { protocol, address, port, inside: None })
}

fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("{text:?} is no IPv4 address"))
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
        let own = Some(Ipv4Addr::new(203, 0, 113, 2));
        let to = |node: &str, port| Some((node.to_owned(), port));
        for (text, protocol, address, port, inside) in [
            ("53/udp", Protocol::Udp, None, 53, None),
            ("80", Protocol::Tcp, None, 80, None),
            ("203.0.113.2:9000/tcp", Protocol::Tcp, own, 9000, None),
            ("8080:net1:80", Protocol::Tcp, None, 8080, to("net1", 80)),
            ("203.0.113.2:53:net2:5353/udp", Protocol::Udp, own, 53, to("net2", 5353)),
        ] {
            let named = Named { protocol, address, port, inside };
            assert_eq!(published(text), Ok(named), "{text}");
        }
        assert!(published("net1:80").is_err() && published("0").is_err());
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
