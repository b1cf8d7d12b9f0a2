//! The probes of a way between two hosts: echoes outside the tunnel from the host, echoes and TCP inside
//! it from a node. Runs on a thread of its own, which goes from the host's namespace to the node's.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use icmp::run::Fragment;
use icmp::session::Refusal;
use icmp::{Event, Moment, Options, Patience, Route};

use super::echo6;
use super::verdict::{Echo, Inside, Outside, Tcp};

/// Echoes of a size, and between them.
pub(super) const COUNT: u64 = 3;
pub(super) const INTERVAL: Duration = Duration::from_millis(50);
/// For an answer. TCP says a thing again after a second: what is answered sooner is what was said first.
pub(super) const PATIENCE: Duration = Duration::from_millis(900);
/// Payload of a small echo, as ping's.
const SMALL: usize = 56;
/// IPv4's header and ICMP's, and TCP's beside IPv4's, without options.
const ECHO_HEADERS: u32 = 28;
const TCP_HEADERS: u32 = 40;
/// What every host of IPv4 takes (RFC 791), and of IPv6 (RFC 8200); the longest that gets through is looked
/// for from there on.
const LEAST: u32 = 576;
const LEAST6: u32 = 1280;
/// A small echo's packet, in bytes.
pub(super) const SHORT: u32 = 84;
/// Where nobody listens, as a rule (discard, RFC 863).
const PORT: u16 = 9;
/// Segments of a burst, and bursts.
const SEGMENTS: usize = 10;
const TRIES: usize = 3;

/// From this host's end to another's.
pub(super) fn outside(local: IpAddr, vtep: IpAddr, outer: u32) -> Outside {
    let least = if vtep.is_ipv6() { LEAST6 } else { LEAST };
    let echo = |length: u32, count| match (local, vtep) {
        (IpAddr::V6(local), IpAddr::V6(vtep)) => echo6::echo(local, vtep, length, count),
        (IpAddr::V4(local), IpAddr::V4(vtep)) => {
            self::echo(vtep, Some(local), payload(length), count)
        }
        _ => Echo::Refused(format!("{local} and {vtep} are of two families")),
    };
    let small = echo(SHORT, COUNT);
    if !small.is_answered() {
        return Outside { vtep, small, large: Echo::Silent, carries: None };
    }
    let large = echo(outer, COUNT);
    let mut carries = None;
    if matches!(large, Echo::Silent | Echo::Refused(_)) {
        let (mut fits, mut lost) = (least - 1, outer);
        // Where the whole is less than that, there is nothing to look for.
        while lost.saturating_sub(fits) > 1 {
            let middle = fits.midpoint(lost);
            match echo(middle, 2) {
                Echo::Answered(_) => fits = middle,
                _ => lost = middle,
            }
        }
        carries = (fits >= least).then_some(fits);
    }
    Outside { vtep, small, large, carries }
}

/// From a node to the first of `there` that answers, and which it was; `packet` is the network's MTU.
///
/// # Errors
/// Where the node cannot be entered.
pub(super) fn inside(
    node: BorrowedFd<'_>,
    there: &[(String, Ipv4Addr)],
    packet: u32,
) -> anyhow::Result<Option<(usize, Inside)>> {
    sys::netns::enter(node).context("entering a node to check from")?;
    let mut last = None;
    for (place, (_, address)) in there.iter().enumerate() {
        let small = echo(*address, None, SMALL, COUNT);
        let tcp = again(|| knock(*address));
        let answered = small.is_answered() || tcp == Tcp::Answered;
        if answered || last.is_none() {
            let large =
                if answered { echo(*address, None, payload(packet), COUNT) } else { Echo::Silent };
            let tcp_large = if answered { again(|| burst(*address, packet)) } else { Tcp::Silent };
            last = Some((place, Inside { small, large, tcp, tcp_large }));
        }
        if answered {
            break;
        }
    }
    Ok(last)
}

/// What an echo carries so that its packet is that long.
fn payload(length: u32) -> usize {
    length.saturating_sub(ECHO_HEADERS) as usize
}

fn echo(to: Ipv4Addr, source: Option<Ipv4Addr>, size: usize, count: u64) -> Echo {
    let options = Options {
        count: Some(count),
        interval: INTERVAL,
        patience: Patience::Each(PATIENCE),
        size,
        ..Options::default()
    };
    let route = Route { source, fragment: Some(Fragment::Do), ..Route::default() };
    let mut fits = None;
    let mut refused = None;
    let watch = &mut |moment: Moment<'_>, _: &icmp::session::Session| match moment {
        Moment::Event(Event::Refused { why: Refusal::TooLong { mtu }, .. }) => fits = Some(*mtu),
        // Destination unreachable: fragmentation needed (RFC 1191).
        Moment::Event(Event::Error { kind: 3, code: 4, info, .. }) => fits = Some(*info),
        Moment::Event(Event::Refused { why: Refusal::Errno(errno), .. }) => {
            refused = Some(std::io::Error::from_raw_os_error(*errno).to_string());
        }
        _ => {}
    };
    let stats = match icmp::ping(to, options, &route, &AtomicBool::new(false), watch) {
        Ok(stats) => stats,
        Err(error) => return Echo::Refused(format!("{:#}", anyhow::Error::new(error))),
    };
    let said = stats.kinds.first().map(|kind| icmp::text::name(kind.kind, kind.code).to_string());
    match (stats.summary(), fits) {
        _ if stats.corrupt + stats.changed + stats.truncated > 0 => Echo::Changed,
        (Some(summary), _) if stats.received > 0 => Echo::Answered(summary.avg),
        (_, Some(mtu)) => Echo::TooLong(mtu),
        _ => said.or(refused).map_or(Echo::Silent, Echo::Refused),
    }
}

/// Tries again what was not answered: a packet may be lost.
fn again(probe: impl Fn() -> Tcp) -> Tcp {
    let mut came = Tcp::Silent;
    for _ in 0..TRIES {
        came = probe();
        if came != Tcp::Silent {
            break;
        }
    }
    came
}

/// A connection where nobody listens, as a rule: both answers are answers.
fn knock(to: Ipv4Addr) -> Tcp {
    let to = SocketAddrV4::new(to, PORT);
    match TcpStream::connect_timeout(&to.into(), PATIENCE) {
        Ok(_) => Tcp::Answered,
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Tcp::Answered,
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::WouldBlock => Tcp::Silent,
            _ => Tcp::Refused(error.to_string()),
        },
    }
}

/// Segments of the full length, of a connection that the other end does not know.
fn burst(to: Ipv4Addr, packet: u32) -> Tcp {
    let mss = u16::try_from(packet.saturating_sub(TCP_HEADERS)).unwrap_or(u16::MAX);
    let bytes = usize::from(mss) * SEGMENTS;
    match sys::burst::reset(SocketAddrV4::new(to, PORT), mss, bytes, PATIENCE) {
        Ok(true) => Tcp::Answered,
        Ok(false) => Tcp::Silent,
        Err(error) => Tcp::Refused(error.to_string()),
    }
}
