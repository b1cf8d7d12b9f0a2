//! The rate of an interface in a namespace of somebody else's: a token bucket (`tc-tbf(8)`) for what it
//! sends, and for what it receives one at a device beside it (ifb) that all of that is led through. The
//! kernel does it by itself from then on. Called by `lab` for a container whose runtime asks for it.

use std::os::fd::BorrowedFd;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use nix::net::if_::if_nametoindex;
use sys::netns::inside;

use crate::error::{Doing, Result};
use crate::message::{self, Request};
use crate::netlink::Netlink;

/// How long a packet waits at most for its turn, beside the burst, as the reference plugin has it.
const LATENCY_MS: u64 = 25;
/// Ethernet's header and two tags, in bytes.
const HEADER: u32 = 22;

/// `TC_H_ROOT`, `TC_H_INGRESS` (linux/pkt_sched.h), and the handle of the latter's qdisc.
const ROOT: u32 = 0xffff_ffff;
const INGRESS: u32 = 0xffff_fff1;
const INGRESS_HANDLE: u32 = 0xffff_0000;

/// `TCA_OPTIONS`
const OPTIONS: u16 = 2;

/// A rate and how much may come at once beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits a second.
    pub rate: u64,
    /// Bits.
    pub burst: u64,
}

/// What an interface is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What it receives.
    pub received: Option<Rate>,
    /// What it sends.
    pub sent: Option<Rate>,
}

/// Holds an interface to its limits. `beside` is what the device is called that is made for what it
/// receives, `mtu` its largest packet in bytes, below which no burst may lie.
///
/// # Errors
/// When there is no such interface; where the kernel lacks what it takes, which the message names.
pub fn limit(
    netns: BorrowedFd<'_>,
    (name, beside): (&str, &str),
    limits: &Limits,
    mtu: u32,
) -> Result<()> {
    let index = |name: &str| inside(netns, || Ok(if_nametoindex(name)?));
    let own = index(name).doing(|| format!("looking for the interface {name} of a container"))?;
    let run = |requests: &[Request]| {
        inside(netns, || Netlink::open()?.run(requests).map_err(|refused| refused.error))
    };
    if let Some(rate) = &limits.sent {
        let done = run(&[bucket(own, rate, mtu)]);
        done.doing(|| format!("limiting what {name} sends (that takes sch_tbf of the kernel)"))?;
    }
    if let Some(rate) = &limits.received {
        let what = || {
            format!(
                "limiting what {name} receives (that takes ifb, sch_tbf, sch_ingress, cls_u32 and \
                 act_mirred of the kernel)"
            )
        };
        run(&[device(beside)]).doing(what)?;
        let other = index(beside).doing(what)?;
        run(&[
            bucket(other, rate, mtu),
            message::set_up(other, true),
            ingress(own),
            led(own, other),
        ])
        .doing(what)?;
    }
    Ok(())
}

/// Takes away the device of this name, if it is there: what was led through it no longer is.
///
/// # Errors
/// When the kernel refuses.
pub fn unlimit(netns: BorrowedFd<'_>, beside: &str) -> Result<()> {
    match crate::link::find(netns, beside)? {
        Some(index) => crate::link::delete(netns, index),
        None => Ok(()),
    }
}

fn device(name: &str) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.into()));
    link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Ifb)]));
    Request::create(RouteNetlinkMessage::NewLink(link))
}

fn of(index: u32, (handle, parent): (u32, u32), kind: &str, options: Option<Vec<u8>>) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = index.cast_signed();
    message.header.handle = TcHandle::from(handle);
    message.header.parent = TcHandle::from(parent);
    message.attributes.push(TcAttribute::Kind(kind.into()));
    message.attributes.extend(options.map(|o| TcAttribute::Other(DefaultNla::new(OPTIONS, o))));
    message
}

/// An attribute (`struct nlattr`): its length, its kind, and what it says.
fn attribute(kind: u16, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len() + 4).unwrap_or(u16::MAX);
    let mut all = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    all.extend(bytes);
    all.resize(all.len().next_multiple_of(4), 0);
    all
}

/// The interface's own queue is a token bucket (`struct tc_tbf_qopt`, linux/pkt_sched.h).
fn bucket(index: u32, limit: &Rate, mtu: u32) -> Request {
    const PARMS: u16 = 1;
    const RATE64: u16 = 4;
    const BURST: u16 = 6;
    /// `TC_LINKLAYER_ETHERNET`: the table of rates of old kernels is not wanted.
    const ETHERNET: u8 = 1;
    let word = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    let rate = (limit.rate / 8).max(1);
    let burst = word(limit.burst / 8).max(mtu.saturating_add(HEADER));
    let queued = word((rate / 1000).saturating_mul(LATENCY_MS).saturating_add(burst.into()));
    let mut parms = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    parms.extend(word(rate).to_ne_bytes());
    // No peak rate.
    parms.extend([0; 12]);
    parms.extend(queued.to_ne_bytes());
    // The bucket in ticks and its packets, for kernels that know no BURST.
    parms.extend([0; 8]);
    let options = [
        attribute(PARMS, &parms),
        attribute(BURST, &burst.to_ne_bytes()),
        attribute(RATE64, &rate.to_ne_bytes()),
    ];
    let message = of(index, (0, ROOT), "tbf", Some(options.concat()));
    Request::create(RouteNetlinkMessage::NewQueueDiscipline(message))
}

fn ingress(index: u32) -> Request {
    let message = of(index, (INGRESS_HANDLE, INGRESS), "ingress", None);
    Request::create(RouteNetlinkMessage::NewQueueDiscipline(message))
}

/// All that comes in by the one interface goes through the other (`struct tc_u32_sel` with a key that
/// everything fits, linux/pkt_cls.h; `struct tc_mirred`, linux/tc_act/tc_mirred.h).
fn led(index: u32, through: u32) -> Request {
    const SELECTOR: u16 = 5;
    const ACTIONS: u16 = 7;
    const KIND: u16 = 1;
    const PARMS: u16 = 2;
    const TERMINAL: u8 = 1;
    const STOLEN: u32 = 4;
    const REDIRECT: u32 = 1;
    const FIRST: u32 = 1 << 16;
    const ETH_P_ALL: u16 = 3;
    let mut selector = vec![TERMINAL, 0, 1, 0];
    selector.extend([0; 12 + 16]);
    let words = [0, 0, STOLEN, 0, 0, REDIRECT, through];
    let redirect = attribute(PARMS, &words.map(u32::to_ne_bytes).concat());
    let action = [attribute(KIND, b"mirred\0"), attribute(OPTIONS, &redirect)].concat();
    let options = [attribute(SELECTOR, &selector), attribute(ACTIONS, &attribute(1, &action))];
    let mut message = of(index, (0, INGRESS_HANDLE), "u32", Some(options.concat()));
    message.header.info = FIRST | u32::from(ETH_P_ALL.to_be());
    Request::create(RouteNetlinkMessage::NewTrafficFilter(message))
}
