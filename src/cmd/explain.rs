//! `uswitch explain`: the way an imagined packet would take, and whether it would arrive.

use std::net::Ipv6Addr;
use std::process::ExitCode;

use control::api::{Decision, ExplainAsk, Verdict};
use wire::IpProtocol;

use crate::door::{self, Which};
use crate::look;
use crate::say;

/// Say what would become of a packet, without sending it
///
/// Asks the decisions that real packets meet; nothing is learned, opened or sent. Exit code: 0 if
/// it would arrive, or if only the outside can know; 1 if something stops it; 2 if
/// there is no such lab or node.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The node that would send it; `inet` for the outside
    #[arg(add = crate::complete::nodes())]
    node: String,
    /// DEST[:PORT][/PROTOCOL]: an address or a node; PROTOCOL tcp or udp with a port, icmp (a ping), or what
    /// has no ports here, by name or number: gre, ipip, esp, sctp, 0 to 255. Unless it is said, tcp with a
    /// port, a ping without. IPv6: fd00::2, [fd00::2]:80, fe80::2%IFACE
    #[arg(value_name = "DEST", value_parser = destination, add = crate::complete::destinations())]
    to: Destination,
    /// JSON
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Destination {
    host: String,
    port: Option<u16>,
    protocol: Option<String>,
}

fn destination(text: &str) -> Result<Destination, String> {
    let (rest, protocol) = match text.rsplit_once('/') {
        None => (text, None),
        Some((rest, protocol)) => match protocol.parse::<IpProtocol>() {
            Ok(_) => (rest, Some(protocol.to_owned())),
            Err(error) => return Err(error.to_string()),
        },
    };
    let (host, port) = split(rest)?;
    if host.is_empty() {
        return Err("an address or a node is missing".into());
    }
    let port = match port {
        None => None,
        Some(port) => {
            let number = port.parse().ok().filter(|port| *port != 0);
            Some(number.ok_or_else(|| format!("{port:?} is no port from 1 to 65535"))?)
        }
    };
    Ok(Destination { host: host.into(), port, protocol })
}

/// The host and the port behind it. Of IPv6 an address that a port stands behind is in brackets
/// (RFC 3986, section 3.2.2).
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    let is_v6 = |text: &str| {
        let (address, _) = text.split_once('%').unwrap_or((text, ""));
        address.parse::<Ipv6Addr>().is_ok()
    };
    if is_v6(text) {
        return Ok((text, None));
    }
    let Some(rest) = text.strip_prefix('[') else {
        return Ok(match text.rsplit_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port)),
        });
    };
    match rest.split_once(']') {
        Some((host, "")) if is_v6(host) => Ok((host, None)),
        Some((host, behind)) if is_v6(host) && behind.starts_with(':') => {
            Ok((host, behind.strip_prefix(':')))
        }
        _ => Err(format!("{text:?}: an address of IPv6 stands in brackets, as in [fd00::2]:80")),
    }
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let Destination { host: to, port, protocol } = args.to;
    let ask = ExplainAsk { from: args.node, to, port, protocol };
    let walk = args.which.answer(client.explain(&ask))?;
    if args.json {
        door::json(&walk)?;
    } else {
        look::print("", &walk);
        match walk.kernel {
            Some(true) => say::line("the kernel would carry it by a flow, past the switch"),
            Some(false) => say::line("it would pass the switch"),
            None => {}
        }
        say::line(match walk.arrives {
            Some(true) => "it would arrive",
            Some(false) => "it would not arrive",
            None => "whether it would arrive, the lab cannot know",
        });
        let masked = walk.steps.iter().any(|step| step.decision == Decision::Nat);
        if walk.verdict == Verdict::Uplink && !masked {
            say::line(&format!(
                "an answer would need a route back to {}: no NAT stands in for it",
                ask.from
            ));
        }
    }
    Ok(ExitCode::from(u8::from(walk.arrives == Some(false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let of = |text: &str| destination(text).map(|d| (d.host, d.port, d.protocol));
        let said = |protocol: &str| Some(protocol.to_owned());
        assert_eq!(of("8.8.8.8"), Ok(("8.8.8.8".into(), None, None)));
        assert_eq!(of("net2:80"), Ok(("net2".into(), Some(80), None)));
        assert_eq!(of("8.8.8.8:53/udp"), Ok(("8.8.8.8".into(), Some(53), said("udp"))));
        for protocol in ["icmp", "gre", "sctp", "0", "255"] {
            let whole = format!("net2/{protocol}");
            assert_eq!(of(&whole), Ok(("net2".into(), None, said(protocol))));
        }
        for (text, host, port, protocol) in [
            ("fd00::2", "fd00::2", None, None),
            ("[fd00::2]", "fd00::2", None, None),
            ("[fd00::2]:80", "fd00::2", Some(80), None),
            ("[fe80::2%eth1]:53/udp", "fe80::2%eth1", Some(53), said("udp")),
            ("fe80::2%eth1/gre", "fe80::2%eth1", None, said("gre")),
        ] {
            assert_eq!(of(text), Ok((host.into(), port, protocol)), "{text}");
        }
        for wrong in ["[fd00::2", "[net2]:80", "[fd00::2]80", "[fd00::2]:0", "[]:80"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        for wrong in
            ["net2:0", "net2:x", "net2/nonsense", "net2/256", "net2/", "/gre", ":80", "net2:65536"]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
