//! The loop around a session: sends what is due, reads what comes, sleeps in between.
//!
//! Runs on the calling thread, in that thread's network namespace. A round trip is taken between
//! the kernel's stamps where it makes them (of departures only where there is a pause between
//! probes: reading them costs a call each), else between looks at the monotonic clock.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
pub use sys::icmp::Fragment;
use wire::Timestamp;

use crate::clocks::Clocks;
use crate::packet::{self, Message};
use crate::session::{Action, Event, Options, Refusal, Session};
use crate::socket::{self, IcmpSocket, Notice};
use crate::stats::Stats;

/// Longest sleep, so that a request to stop is seen.
const NAP: Duration = Duration::from_millis(200);
/// Notices read at a time, so that a storm of them does not keep answers waiting.
const NOTICES: usize = 64;

/// Where from and how.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Source address.
    pub source: Option<Ipv4Addr>,
    /// Interface.
    pub device: Option<String>,
    /// Time to live of the probes.
    pub ttl: Option<u8>,
    /// Type of service of the probes.
    pub tos: Option<u8>,
    /// Whether probes may be fragmented; None leaves that to the kernel.
    pub fragment: Option<Fragment>,
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
    /// A broadcast address, or a rule that forbids the destination.
    #[error("cannot send to {0}: it is a broadcast address, or a local rule forbids it")]
    Broadcast(Ipv4Addr),
    /// The socket failed.
    #[error("cannot receive")]
    Receive(#[source] io::Error),
}

/// What a run came to.
pub type Report = Stats;

/// What is told while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// Something was seen.
    Event(&'a Event),
    /// A probe left.
    Sent,
    /// The loop woke.
    Awake,
}

/// One run of probes, ready to begin.
pub struct Pinger {
    socket: IcmpSocket,
    session: Session,
    probe: Vec<u8>,
    towards: Ipv4Addr,
    source: Ipv4Addr,
    route: Route,
    clocks: Clocks,
    /// The kernel stamps departures, and counts them as the session does.
    departures: bool,
    /// Something may come by the error queue.
    notices: bool,
}

/// Pings `towards` until the options say it is over or `stop` is set, telling what happens to
/// `watch`.
///
/// # Errors
/// [`Error`], where the destination cannot be sent to at all.
pub fn ping(
    towards: Ipv4Addr,
    options: Options,
    route: &Route,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Moment<'_>, &Session),
) -> Result<Report, Error> {
    let mut pinger = Pinger::open(towards, options, route)?;
    pinger.run(stop, watch)?;
    Ok(pinger.session.stats().clone())
}

impl Pinger {
    /// Opens the socket and asks the kernel for the way; 0.0.0.0 is this host.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(towards: Ipv4Addr, options: Options, route: &Route) -> Result<Self, Error> {
        let source = socket::source(towards, route)?;
        let towards = if towards.is_unspecified() { source } else { towards };
        let socket = IcmpSocket::open().map_err(Error::Open)?;
        socket::apply(route, socket.options())?;
        let ident = rand::random();
        let payload = packet::payload(rand::random(), options.size, &options.pattern);
        socket
            .filter(ident, &payload)
            .map_err(|error| Error::Option("filter what arrives".into(), error))?;
        let departures = !options.whole && !options.adaptive && !options.interval.is_zero();
        socket.stamp(departures);
        let probe = packet::request(ident, 1, &payload);
        let session = Session::new(options, towards, socket.is_raw().then_some(ident), payload);
        let clocks = Clocks::new(sys::clock::both());
        let route = route.clone();
        let notices = departures || !socket.is_raw();
        Ok(Self { socket, session, probe, towards, source, route, clocks, departures, notices })
    }

    /// The destination.
    #[must_use]
    pub fn towards(&self) -> Ipv4Addr {
        self.towards
    }

    /// Where probes leave from.
    #[must_use]
    pub fn source(&self) -> Ipv4Addr {
        self.source
    }

    /// The identifier of its probes; None where the kernel chooses it.
    #[must_use]
    pub fn ident(&self) -> Option<u16> {
        self.session.ident()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.session.stats()
    }

    /// Runs until the options say it is over or `stop` is set.
    ///
    /// # Errors
    /// [`Error::Receive`].
    pub fn run(
        &mut self,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(Moment<'_>, &Session),
    ) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            let mut due = self.session.due(now());
            let sending = matches!(due, Action::Send(_));
            // All that may leave leaves before an answer is looked for, as ping does.
            while let Action::Send(seq) = due
                && !stop.load(Ordering::Relaxed)
            {
                self.send(seq, watch);
                due = self.session.due(now());
            }
            match due {
                Action::Wait(until) if !sending => {
                    let nap = until.since(now()).min(NAP);
                    self.socket.wait(nap).map_err(Error::Receive)?;
                    watch(Moment::Awake, &self.session);
                }
                Action::Done if !sending => break,
                _ => {}
            }
            self.notices(watch);
            self.arrivals(watch)?;
        }
        self.session.end(now());
        Ok(())
    }

    fn send(&mut self, seq: u16, watch: &mut dyn FnMut(Moment<'_>, &Session)) {
        if let Some(silent) = self.session.silent() {
            watch(Moment::Event(&silent), &self.session);
        }
        packet::number(&mut self.probe, seq);
        let at = now();
        let mut sent = self.socket.send(&self.probe, self.towards);
        if sent.as_ref().is_err_and(reported) {
            // What failed is an earlier probe: the datagram kind tells it with the next one.
            self.notices(watch);
            sent = self.socket.send(&self.probe, self.towards);
        }
        let Err(error) = sent else {
            self.session.sent(at);
            return watch(Moment::Sent, &self.session);
        };
        if self.departures {
            // The kernel may have counted it, or not.
            self.departures = false;
            self.socket.stamp(false);
        }
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        let short = matches!(errno, Errno::ENOBUFS | Errno::ENOMEM | Errno::EAGAIN);
        if short && self.session.held_up(at) {
            return;
        }
        let why = match errno {
            Errno::EMSGSIZE => Refusal::TooLong { mtu: socket::mtu(self.towards, &self.route) },
            errno => Refusal::Errno(errno as i32),
        };
        let event = self.session.refused(why, at);
        watch(Moment::Event(&event), &self.session);
    }

    /// What the kernel says of our probes.
    fn notices(&mut self, watch: &mut dyn FnMut(Moment<'_>, &Session)) {
        for _ in 0..NOTICES {
            let Some(notice) = self.notices.then(|| self.socket.notice()).flatten() else { return };
            match notice {
                Notice::Left(count, stamp) if self.departures => {
                    let look = sys::clock::both();
                    if let Some(at) = self.clocks.moment(stamp, Timestamp::ZERO, look) {
                        self.session.stamped(u64::from(count) + 1, at);
                    }
                }
                Notice::Complaint(from, complaint) => {
                    let message = Message::Error(complaint);
                    let event = self.session.received(&message, from, None, now());
                    if let Some(event) = event {
                        watch(Moment::Event(&event), &self.session);
                    }
                }
                Notice::Left(..) | Notice::Other => {}
            }
        }
    }

    /// What has arrived, until nothing is left or expected.
    fn arrivals(&mut self, watch: &mut dyn FnMut(Moment<'_>, &Session)) -> Result<(), Error> {
        loop {
            let arrival = match self.socket.receive() {
                Ok(Some(arrival)) => arrival,
                Ok(None) => {
                    self.clocks.empty(sys::clock::both());
                    return Ok(());
                }
                Err(error) if reported(&error) => return Ok(()),
                Err(error) => return Err(Error::Receive(error)),
            };
            let look = sys::clock::both();
            let stamp = arrival.stamp;
            let moment = stamp.and_then(|stamp| self.clocks.moment(stamp, Timestamp::ZERO, look));
            let at = moment.unwrap_or_else(|| Timestamp::from_nanos(look.monotonic));
            let event = packet::parse(arrival.message)
                .and_then(|message| self.session.received(&message, arrival.from, arrival.ttl, at));
            if let Some(mut event) = event {
                if let Event::Reply(reply) = &mut event {
                    reply.stamp = stamp.filter(|_| moment.is_some());
                }
                watch(Moment::Event(&event), &self.session);
            }
            // A flood goes on at once: what is not expected can wait for the next look.
            if self.session.in_flight() == 0 && !matches!(self.session.due(now()), Action::Wait(_))
            {
                return Ok(());
            }
        }
    }
}

/// A pending error of the socket: an ICMP error about an earlier probe, which the datagram kind
/// reports so.
fn reported(error: &io::Error) -> bool {
    let pending = [
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::ECONNREFUSED,
        Errno::EPROTO,
        Errno::ENOPROTOOPT,
        Errno::EOPNOTSUPP,
        Errno::EHOSTDOWN,
        Errno::ENONET,
        Errno::EACCES,
    ];
    error.raw_os_error().is_some_and(|raw| pending.contains(&Errno::from_raw(raw)))
}

fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}
