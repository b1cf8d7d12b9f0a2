//! A network of EVPN, by a BGP speaker beside the host:
//! `bgp://ADDRESS[:PORT]/NET?vni=N[&port=N][&network=NAME][&rt=ASN:N]`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::Query;

pub(super) const BGP: &str = "bgp://ADDRESS[:PORT]/NET?vni=N[&port=N][&network=NAME][&rt=ASN:N]";
/// gobgpd's port for gRPC, as it comes.
const GRPC: u16 = 50051;

/// A network that hosts tell each other of by BGP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bgp {
    /// Where gobgpd takes gRPC.
    pub speaker: SocketAddr,
    /// What the network is called here; BGP has no word for that.
    pub name: String,
    /// Its number outside.
    pub vni: u32,
    /// The UDP port of all ends; None for 4789.
    pub port: Option<u16>,
    /// The network here; None for the first.
    pub network: Option<String>,
    /// The route target; None for the speaker's AS and the VNI.
    pub target: Option<Target>,
}

/// A route target (RFC 4360, 5668): which network a route is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose number it is: an AS. One beyond 65,535 leaves 16 bits for the number.
    pub asn: u32,
    /// The number.
    pub number: u32,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.asn, self.number)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let none = || {
            format!("{text:?} is no route target: ASN:N, with 16 bits for N where the ASN has more")
        };
        let (asn, number) = text.split_once(':').ok_or_else(none)?;
        let (Ok(asn), Ok(number)) = (asn.parse::<u32>(), number.parse::<u32>()) else {
            return Err(none());
        };
        let fits = u16::try_from(asn).is_ok() || u16::try_from(number).is_ok();
        fits.then_some(Self { asn, number }).ok_or_else(none)
    }
}

pub(super) fn read(rest: &str) -> Result<Bgp, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, name) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(format!("which network? /NET is missing: {BGP}"));
    }
    if host.contains(',') {
        return Err(format!("{host:?}: one gobgpd, this host's own: {BGP}"));
    }
    let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let alone = plain.parse().map(|address: IpAddr| SocketAddr::new(address, GRPC));
    let speaker = alone.or_else(|_| host.parse());
    let speaker = speaker.map_err(|_| format!("{host:?} is no address: {BGP}"))?;
    let (own, others): (Vec<_>, Vec<_>) =
        query.split('&').partition(|pair| pair.starts_with("rt="));
    if own.len() > 1 {
        return Err(format!("rt twice: {BGP}"));
    }
    let target =
        own.last().and_then(|pair| pair.strip_prefix("rt=")).map(str::parse).transpose()?;
    let Query { vni, port, network, local, .. } = Query::read(&others.join("&"), BGP)?;
    if local.is_some() {
        return Err(format!("this host's own address is its own: `--vtep`, not in {BGP}"));
    }
    let vni = vni.ok_or_else(|| format!("which number? ?vni=N is missing: {BGP}"))?;
    Ok(Bgp { speaker, name: name.into(), vni, port, network, target })
}

/// The speaker's address, without a port that goes without saying, and the network.
pub(super) fn place(bgp: &Bgp) -> String {
    let host = match bgp.speaker {
        SocketAddr::V6(own) if own.port() == GRPC => format!("[{}]", own.ip()),
        SocketAddr::V4(own) if own.port() == GRPC => own.ip().to_string(),
        other => other.to_string(),
    };
    format!("bgp://{host}/{}", bgp.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Join;

    #[test]
    fn a_network_of_bgp_is_read_and_written() {
        for text in [
            "bgp://127.0.0.1/prod?vni=100",
            "bgp://[fd00::1]/prod?vni=7&port=8472&network=dmz&rt=65000:100",
            "bgp://[::1]:50052/prod?vni=7",
            "bgp://10.9.0.1:6000/prod?vni=7&rt=4200000000:65535",
        ] {
            assert_eq!(text.parse::<Join>().unwrap().to_string(), text);
        }
        let Join::Bgp(own) = "bgp://127.0.0.1/prod?vni=100&network=dmz".parse().unwrap() else {
            panic!()
        };
        assert_eq!(own.speaker.to_string(), "127.0.0.1:50051");
        assert_eq!((own.vni, own.target, own.network.as_deref()), (100, None, Some("dmz")));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, says) in [
            ("bgp://10.0.0.1", "/NET is missing"),
            ("bgp://10.0.0.1/prod", "?vni=N is missing"),
            ("bgp://10.0.0.1/prod?vni=0", "no VNI: 1 to"),
            ("bgp://host/prod?vni=1", "no address"),
            ("bgp://10.0.0.1,10.0.0.2/prod?vni=1", "one gobgpd"),
            ("bgp://10.0.0.1/prod?vni=1&rt=1", "no route target"),
            ("bgp://10.0.0.1/prod?vni=1&rt=a:1", "no route target"),
            ("bgp://10.0.0.1/prod?vni=1&rt=65536:65536", "no route target"),
            ("bgp://10.0.0.1/prod?vni=1&local=10.0.0.1", "`--vtep`"),
            ("bgp://10.0.0.1/prod?vni=1&rd=5", "none of vni"),
        ] {
            let said = text.parse::<Join>().unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
