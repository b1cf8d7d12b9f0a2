//! Which of a stack's offloads a link of ours may have: those that the virtio-net header can tell.
//!
//! The switch takes frames with that header before them (`struct virtio_net_hdr`), which has words
//! for TCP and UDP segments and for the Internet checksum. A frame of any other kind the kernel
//! hands over with a wrong header, so that it refuses it when it is sent on (tunnels), or cannot
//! hand over at all, and then takes the ring's slot for ever (SCTP). So whatever the running kernel
//! has of that sort is off at both ends, by the kernel's own names: what is not known here is off
//! too. The sender's stack then cuts such a frame before it leaves. Pure, but for [`restrict`].
//!
//! Segments in a tunnel's datagram of UDP are told as what the tunnel carries, and the switch can see
//! that (`wire::nested`). Where it has a way to send them whole they may come whole.

use std::io;

/// The kinds of segments that the header can tell, on any kernel this runs on.
const SEGMENTS: [&str; 4] = [
    "tx-generic-segmentation",
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-tcp-ecn-segmentation",
];
/// UDP segments, which it can tell since this version.
const UDP: (&str, (u32, u32)) = ("tx-udp-segmentation", sys::kernel::UDP_SEGMENTS);
/// The checksums it can tell; `tx-checksum-sctp` and `-fcoe-crc` are other sums.
const CHECKSUMS: [&str; 3] = ["tx-checksum-ipv4", "tx-checksum-ipv6", "tx-checksum-ip-generic"];

/// Of segments in tunnels, those that are told as what the tunnel carries.
const TUNNELS: [&str; 2] = ["tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation"];

/// Takes from an interface of the calling thread's namespace what the header cannot tell, but for
/// segments in tunnels where those may come.
pub(crate) fn restrict(interface: &str, tunnels: bool) -> io::Result<()> {
    let kernel = sys::kernel::version();
    let stays = |feature: &str| is_told(feature, kernel) || tunnels && TUNNELS.contains(&feature);
    let left = sys::features::turn_off(interface, |feature| !stays(feature))?;
    if !left.is_empty() {
        tracing::warn!(
            "{interface} keeps {}: the switch loses frames that make use of it",
            left.join(", ")
        );
    }
    Ok(())
}

/// Whether the header can tell of all that a feature lets a stack do. What is no matter of
/// segments or checksums it need not.
fn is_told(feature: &str, kernel: Option<(u32, u32)>) -> bool {
    let segments = feature.starts_with("tx-")
        && (feature.ends_with("-segmentation")
            || feature.ends_with("-fragmentation")
            || feature.starts_with("tx-gso-"));
    let checksum = feature.starts_with("tx-checksum-");
    match feature {
        name if name == UDP.0 => kernel.is_some_and(|version| version >= UDP.1),
        name if segments => SEGMENTS.contains(&name),
        name if checksum => CHECKSUMS.contains(&name),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Option<(u32, u32)> = Some((6, 18));

    #[test]
    fn what_the_header_tells_stays_on() {
        for feature in SEGMENTS.iter().chain(&CHECKSUMS) {
            assert!(is_told(feature, NEW) && is_told(feature, None), "{feature}");
        }
        let beside = ["tx-scatter-gather", "tx-vlan-hw-insert", "rx-checksum", "highdma", "rx-gro"];
        assert!(beside.iter().all(|feature| is_told(feature, NEW)));
    }

    #[test]
    fn what_it_cannot_tell_goes_known_or_not() {
        for feature in [
            "tx-sctp-segmentation",
            "tx-udp_tnl-segmentation",
            "tx-udp_tnl-csum-segmentation",
            "tx-gre-segmentation",
            "tx-gre-csum-segmentation",
            "tx-ipxip4-segmentation",
            "tx-ipxip6-segmentation",
            "tx-esp-segmentation",
            "tx-fcoe-segmentation",
            "tx-tunnel-remcsum-segmentation",
            "tx-tcp-mangleid-segmentation",
            "tx-tcp-accecn-segmentation",
            "tx-udp-fragmentation",
            "tx-gso-list",
            "tx-gso-partial",
            "tx-gso-robust",
            "tx-checksum-sctp",
            "tx-checksum-fcoe-crc",
            "tx-of_the_future-segmentation",
        ] {
            assert!(!is_told(feature, NEW), "{feature}");
        }
    }

    #[test]
    fn udp_segments_are_told_since_6_2() {
        let told = |release| is_told(UDP.0, sys::kernel::parse(release));
        assert!(told("6.2.0") && told("6.18.44-fc-v657") && told("7.0-rc1"));
        assert!(!told("6.1.90-generic") && !told("5.15.0") && !told("new"));
    }
}
