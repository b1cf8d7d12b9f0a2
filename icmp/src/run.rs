//! The loop around a session: sends what is due, reads what comes, sleeps in between.
//!
//! Runs on the calling thread, in that thread's network namespace.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wire::Timestamp;

use crate::packet;
use crate::session::{Action, Event, Options, Session};
use crate::socket::IcmpSocket;
use crate::stats::Stats;

/// Longest sleep, so that a request to stop is seen.
const NAP: Duration = Duration::from_millis(200);
/// A refused send is tried again after this.
const RETRY: Duration = Duration::from_millis(10);

/// Where from and how.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Source address.
    pub source: Option<Ipv4Addr>,
    /// Interface.
    pub device: Option<String>,
    /// Time to live of the probes.
    pub ttl: Option<u8>,
}

/// What can go wrong before an answer can be waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither kind of socket may be opened.
    #[error(
        "cannot open an ICMP socket (run as root, or let your group in with the sysctl \
         net.ipv4.ping_group_range)"
    )]
    Open(#[source] io::Error),
    /// An option was refused.
    #[error("cannot {0}")]
    Option(String, #[source] io::Error),
    /// The kernel has no way to the destination.
    #[error("cannot send to {0}")]
    Send(Ipv4Addr, #[source] io::Error),
    /// The socket failed.
    #[error("cannot receive")]
    Receive(#[source] io::Error),
}

/// What a run came to.
pub type Report = Stats;

/// Pings `towards` until the options say it is over or `stop` is set, telling each event, and
/// each probe sent (None), to `watch`.
///
/// # Errors
/// [`Error`]; a refused send is one only where the cause will not pass (no route, not permitted).
pub fn ping(
    towards: Ipv4Addr,
    options: Options,
    route: &Route,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Option<&Event>, &Stats),
) -> Result<Report, Error> {
    let mut socket = open(route)?;
    let nonce: [u8; packet::NONCE] = rand::random();
    let ident = rand::random();
    let size = options.size;
    let mut session = Session::new(options, towards, socket.is_raw().then_some(ident), nonce);
    while !stop.load(Ordering::Relaxed) {
        let nap = match session.due(now()) {
            Action::Done => break,
            Action::Wait(until) => until.since(now()).min(NAP),
            Action::Send(seq) => {
                let probe = packet::request(ident, seq, nonce, size);
                let at = now();
                match socket.send(&probe, towards) {
                    Ok(()) => {
                        session.sent(at);
                        watch(None, session.stats());
                        Duration::ZERO
                    }
                    Err(error) if passing(&error) => RETRY,
                    Err(error) => return Err(Error::Send(towards, error)),
                }
            }
        };
        socket.wait(nap).map_err(Error::Receive)?;
        while let Some(arrival) = receive(&mut socket)? {
            let at = now();
            let event = packet::parse(arrival.message)
                .and_then(|message| session.received(&message, arrival.from, arrival.ttl, at));
            if let Some(event) = event {
                watch(Some(&event), session.stats());
            }
        }
    }
    Ok(session.stats().clone())
}

fn open(route: &Route) -> Result<IcmpSocket, Error> {
    let socket = IcmpSocket::open().map_err(Error::Open)?;
    let fail = |what: String| move |error| Error::Option(what, error);
    if let Some(device) = &route.device {
        socket.bind_device(device).map_err(fail(format!("use interface {device}")))?;
    }
    if let Some(source) = route.source {
        socket.bind(source).map_err(fail(format!("send from {source}")))?;
    }
    if let Some(ttl) = route.ttl {
        socket.set_ttl(ttl).map_err(fail(format!("set the TTL to {ttl}")))?;
    }
    Ok(socket)
}

/// The next arrival; a pending error of the socket (an ICMP error about an earlier probe, which
/// the datagram kind reports so) is not the end.
fn receive(socket: &mut IcmpSocket) -> Result<Option<crate::socket::Arrival<'_>>, Error> {
    match socket.receive() {
        Ok(arrival) => Ok(arrival),
        Err(error) if reported(&error) => Ok(None),
        Err(error) => Err(Error::Receive(error)),
    }
}

/// Errors of a send that the next moment may cure.
fn passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc_errno::ENOBUFS | libc_errno::EAGAIN))
        || reported(error)
}

fn reported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::HostUnreachable | io::ErrorKind::ConnectionRefused)
}

fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}

/// errno values as `raw_os_error` gives them.
mod libc_errno {
    pub(super) const EAGAIN: i32 = nix::errno::Errno::EAGAIN as i32;
    pub(super) const ENOBUFS: i32 = nix::errno::Errno::ENOBUFS as i32;
}
