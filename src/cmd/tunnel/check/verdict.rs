//! What the probes of a way between two hosts came to, and what it means: the reason and the mend. Pure.

use std::net::IpAddr;
use std::time::Duration;

/// The shortest packet that every link of IPv4 carries whole (RFC 791), and the least MTU of a network.
const LEAST: u32 = 68;

/// What came of echoes of one size.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Echo {
    /// Answers as they ought to be; the mean round trip.
    Answered(Duration),
    /// They do not fit: the path's MTU.
    TooLong(u32),
    /// Answers came that are not what was sent, or whose checksum is wrong.
    Changed,
    /// A router, or this kernel, said why not.
    Refused(String),
    /// Nothing came back.
    Silent,
}

/// What came of TCP.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tcp {
    /// Taken or refused: what was sent arrived whole.
    Answered,
    /// Nothing came back.
    Silent,
    /// It could not be sent.
    Refused(String),
}

/// Between the two ends of the tunnel, outside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outside {
    pub(super) vtep: IpAddr,
    pub(super) small: Echo,
    /// As long as the tunnel's longest packet is with what VXLAN puts before it; may not be cut.
    pub(super) large: Echo,
    /// The longest that was answered, where the large one was lost without a word.
    pub(super) carries: Option<u32>,
}

/// From a node here to one there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inside {
    pub(super) small: Echo,
    pub(super) large: Echo,
    pub(super) tcp: Tcp,
    pub(super) tcp_large: Tcp,
}

/// Why a way does not do, and the mend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) why: String,
    pub(super) mend: String,
}

/// What is checked.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) vni: u32,
    /// The UDP port of both ends.
    pub(super) udp_port: u16,
    /// This host's end.
    pub(super) local: IpAddr,
    pub(super) network: String,
    /// The network's longest packet, in bytes.
    pub(super) packet: u32,
    /// The same with what the tunnel puts before it.
    pub(super) outer: u32,
    /// Who answers at the other end, as people call it.
    pub(super) node: String,
}

impl Echo {
    pub(super) fn is_answered(&self) -> bool {
        matches!(self, Self::Answered(_))
    }
}

/// What is wrong, the first cause first; None where all is well.
pub(super) fn fault(
    way: &Way,
    outside: Option<&Outside>,
    inside: Option<&Inside>,
) -> Option<Fault> {
    let answers = outside.is_some_and(|outside| outside.small.is_answered());
    let nothing = inside.is_none_or(|inside| {
        !inside.small.is_answered() && inside.small != Echo::Changed && inside.tcp != Tcp::Answered
    });
    if nothing && let Some(outside) = outside.filter(|_| !answers) {
        return Some(gone(way, outside, inside.is_some()));
    }
    if let Some(narrow) = outside.and_then(|outside| narrow(way, outside)) {
        return Some(narrow);
    }
    let Some(inside) = inside else { return Some(nobody()) };
    if nothing {
        return Some(shut(way, outside.map(|outside| outside.vtep), inside));
    }
    within(way, inside, outside.is_some_and(|outside| outside.large.is_answered()))
}

/// The other host.
fn gone(way: &Way, outside: &Outside, asked: bool) -> Fault {
    let Outside { vtep, small, .. } = outside;
    let also = if asked { ", and nobody behind it" } else { "" };
    let said = match small {
        Echo::Refused(why) => format!(" ({why})"),
        _ => String::new(),
    };
    Fault {
        why: format!("{vtep} does not answer{said}{also}"),
        mend: format!("see that the host is up and reached: `ping -I {} {vtep}`", way.local),
    }
}

/// The underlay's MTU.
fn narrow(way: &Way, outside: &Outside) -> Option<Fault> {
    let Outside { vtep, small, large, carries } = outside;
    let carries = match large {
        Echo::TooLong(mtu) => Some(*mtu),
        Echo::Silent | Echo::Refused(_) if small.is_answered() => *carries,
        Echo::Changed => return Some(changed("outside the tunnel", *vtep)),
        _ => return None,
    };
    let Way { network, packet, outer, .. } = way;
    // A router may say any number, one of old times 0 (RFC 1191, section 5).
    let carries = carries.filter(|carries| *carries >= LEAST);
    let fits = carries.map_or(String::new(), |carries| format!(", {carries} do"));
    let inner = carries.and_then(|carries| carries.checked_sub(outer - packet));
    let less = match inner.filter(|inner| *inner >= LEAST) {
        Some(inner) => format!(", or `uswitch network set {network} --mtu {inner}`"),
        None => String::new(),
    };
    Some(Fault {
        why: format!("packets of {outer} bytes do not get to {vtep} in one piece{fits}"),
        mend: format!("raise the MTU between the hosts to {outer}{less}, on all hosts"),
    })
}

fn nobody() -> Fault {
    Fault {
        why: "nobody is known there who could answer through the tunnel".into(),
        mend: "name an address of a node there: `uswitch tunnel check ADDRESS`".into(),
    }
}

/// Nothing comes through the tunnel.
fn shut(way: &Way, vtep: Option<IpAddr>, inside: &Inside) -> Fault {
    let Way { vni, udp_port, node, .. } = way;
    let said = match &inside.small {
        Echo::Refused(why) => format!(" ({why})"),
        Echo::TooLong(mtu) => format!(" (MTU {mtu})"),
        _ => String::new(),
    };
    let outside = vtep.map_or(String::new(), |vtep| format!("{vtep} answers, but "));
    Fault {
        why: format!("{outside}nothing comes back through the tunnel from {node}{said}"),
        mend: format!(
            "let UDP port {udp_port} in at both hosts and between them, and see in `show tunnel` there \
             that VNI {vni} leads here"
        ),
    }
}

/// Something comes through the tunnel.
fn within(way: &Way, inside: &Inside, wide: bool) -> Option<Fault> {
    let Way { packet, outer, node, .. } = way;
    let offload = "`ethtool -K INTERFACE tx off` for the interface between the hosts, at both";
    let why = |why: String, mend: &str| Some(Fault { why, mend: mend.to_owned() });
    match inside {
        Inside { small: Echo::Changed, .. } | Inside { large: Echo::Changed, .. } => {
            let said = format!("echoes come back from {node} changed, or with a wrong checksum");
            why(said, &format!("turn checksum offload off: {offload}"))
        }
        Inside { small, .. } if !small.is_answered() => why(
            format!("{node} is reached by TCP and answers no echo"),
            "let ICMP in at that node, without which no MTU can be checked",
        ),
        Inside { large: Echo::TooLong(mtu), .. } => why(
            format!("packets of {packet} bytes do not fit on the way to {node}, {mtu} do"),
            "give the network one MTU on all hosts: `uswitch network set NETWORK --mtu BYTES`",
        ),
        Inside { large, .. } if !large.is_answered() && wide => why(
            format!(
                "packets of {packet} bytes do not come back from {node}, though the hosts' own do"
            ),
            "give the network one MTU on all hosts: compare `show tunnel` there",
        ),
        Inside { large, .. } if !large.is_answered() => why(
            format!("packets of {packet} bytes do not come back from {node}, short ones do"),
            &format!("raise the MTU between the hosts to {outer}"),
        ),
        Inside { tcp: Tcp::Refused(error), .. } | Inside { tcp_large: Tcp::Refused(error), .. } => {
            why(format!("TCP to {node} cannot be tried: {error}"), "run it as root of this host")
        }
        Inside { tcp: Tcp::Silent, .. } => why(
            format!(
                "echoes pass and TCP does not: {node} drops its checksums, or its port 9 is shut"
            ),
            &format!(
                "turn checksum offload off: {offload}; or let the node refuse what it does not serve"
            ),
        ),
        Inside { tcp_large: Tcp::Silent, .. } => why(
            format!("short segments of TCP get to {node} and long ones do not"),
            "turn the offload of tunnels off: `ethtool -K INTERFACE tx-udp_tnl-segmentation off \
             tx-udp_tnl-csum-segmentation off`, at both hosts",
        ),
        _ => None,
    }
}

fn changed(place: &str, from: IpAddr) -> Fault {
    Fault {
        why: format!("echoes come back from {from} changed, {place}"),
        mend: "look at the network between the hosts: it changes packets".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way {
        Way {
            vni: 100,
            udp_port: 4789,
            local: [10, 9, 0, 1].into(),
            network: "lan".into(),
            packet: 1450,
            outer: 1500,
            node: "n2".into(),
        }
    }

    const OK: Echo = Echo::Answered(Duration::from_millis(1));

    fn outside(small: Echo, large: Echo, carries: Option<u32>) -> Outside {
        Outside { vtep: [10, 9, 0, 2].into(), small, large, carries }
    }

    fn inside(small: Echo, large: Echo, tcp: Tcp, tcp_large: Tcp) -> Inside {
        Inside { small, large, tcp, tcp_large }
    }

    #[test]
    fn a_network_is_not_told_to_have_an_mtu_that_none_can_have() {
        let fine = || inside(OK, OK, Tcp::Answered, Tcp::Answered);
        for (carries, less) in [(0, false), (49, false), (68, false), (117, false), (118, true)] {
            let narrow = outside(OK, Echo::TooLong(carries), None);
            let fault = fault(&way(), Some(&narrow), Some(&fine())).unwrap();
            assert!(fault.mend.starts_with("raise the MTU between the hosts to 1500"));
            let said = fault.mend.contains("`uswitch network set lan --mtu 68`");
            assert_eq!(said, less, "{carries}: {}", fault.mend);
            assert_eq!(fault.why.ends_with(" do"), carries >= 68, "{carries}: {}", fault.why);
            assert_eq!(fault.mend.contains("--mtu"), less, "{carries}: {}", fault.mend);
        }
    }

    #[test]
    fn each_cause_has_its_reason_and_its_mend() {
        use Echo::{Changed, Silent, TooLong};
        let fine = || inside(OK, OK, Tcp::Answered, Tcp::Answered);
        let none = || inside(Silent, Silent, Tcp::Silent, Tcp::Silent);
        for (outside, inside, why, mend) in [
            (outside(Silent, Silent, None), none(), "10.9.0.2 does not answer", "ping -I 10.9.0.1"),
            (outside(OK, OK, None), none(), "nothing comes back through", "UDP port 4789"),
            (outside(OK, TooLong(1400), None), fine(), "1500 bytes", "network set lan --mtu 1350"),
            (outside(OK, Silent, Some(1300)), fine(), "one piece, 1300 do", "lan --mtu 1250"),
            // A host that answers no echo of its own may still be one whose nodes do.
            (
                outside(Silent, Silent, None),
                inside(OK, Silent, Tcp::Answered, Tcp::Silent),
                "1450 bytes do not come back from n2, short ones do",
                "to 1500",
            ),
            (
                outside(OK, OK, None),
                inside(OK, Silent, Tcp::Answered, Tcp::Silent),
                "though the hosts' own do",
                "compare `show tunnel`",
            ),
            (
                outside(OK, OK, None),
                inside(OK, Changed, Tcp::Answered, Tcp::Answered),
                "wrong checksum",
                "tx off",
            ),
            (
                outside(OK, OK, None),
                inside(OK, OK, Tcp::Silent, Tcp::Silent),
                "TCP does not",
                "tx off",
            ),
            (
                outside(OK, OK, None),
                inside(OK, OK, Tcp::Answered, Tcp::Silent),
                "long ones do not",
                "tx-udp_tnl-segmentation off",
            ),
        ] {
            let fault = fault(&way(), Some(&outside), Some(&inside)).unwrap();
            assert!(fault.why.contains(why), "{why}: {fault:?}");
            assert!(fault.mend.contains(mend), "{mend}: {fault:?}");
        }
        assert_eq!(fault(&way(), Some(&outside(OK, OK, None)), Some(&fine())), None);
        assert_eq!(fault(&way(), Some(&outside(Silent, Silent, None)), Some(&fine())), None);
        assert_eq!(fault(&way(), None, Some(&fine())), None);
        let unasked = fault(&way(), Some(&outside(OK, OK, None)), None).unwrap();
        assert!(unasked.why.contains("nobody is known"), "{unasked:?}");
    }
}
