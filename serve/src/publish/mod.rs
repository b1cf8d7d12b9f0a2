//! Ports of the host that lead to containers, as docker-proxy's do: a socket of the host's, and a
//! connection of our own to the container by the host's place in its network. So the world, the host by
//! any of its addresses, other containers and the container itself use one mechanism, and no rule of a
//! firewall. The container sees the gateway's address.
//!
//! A thread of its own runs all of it; what binds and who is told of a port that is taken is the
//! caller's thread. Bounds stand where they hold (`tcp`, `udp`).

mod bind;
mod datagram;
mod tcp;
mod udp;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use engine::{PortAsk, Refusal};
use lab::led::Led;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::found::{Found, exactly, is_open, known};
use bind::{Bound, Lack, Unbound};

/// The port of a resolver.
const NAMES: u16 = 53;

/// All published ports, by endpoint.
pub(crate) struct Publisher {
    held: Mutex<BTreeMap<String, Leads>>,
    /// Bound for those who are about to publish them: single ports.
    reserved: Mutex<Vec<(PortAsk, Vec<Bound>)>>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The ports of an endpoint: as they were asked for, as they are, and each socket.
type Leads = (Vec<PortAsk>, Vec<Led>, Vec<Lead>);

/// A port that leads somewhere. Dropping it ends that, connections too, and then the port is free.
struct Lead {
    task: Option<JoinHandle<()>>,
    handle: Handle,
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = self.handle.block_on(task);
        }
    }
}

impl Publisher {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self> {
        let failed = |error| Error::Thread("the publisher", error);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("publish".into())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        let (stop, thread) = (Some(stop), Some(thread));
        let (held, reserved) = (Mutex::default(), Mutex::default());
        Ok(Self { held, reserved, handle, stop, thread })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Leads>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserved(&self) -> MutexGuard<'_, Vec<(PortAsk, Vec<Bound>)>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds a single port for whoever publishes it next, if it can be had: it is found for nobody else.
    pub(crate) fn reserve(&self, ask: PortAsk) {
        match bind::bind(&ask) {
            Ok(sockets) => self.reserved().push((ask, sockets)),
            Err(Unbound { why, .. }) => tracing::debug!("port {}: {why}", ask.port),
        }
    }

    /// Lets go of what was bound so and nobody has published.
    pub(crate) fn release(&self) {
        self.reserved().clear();
    }

    /// Binds a port: the one that was found before goes before others.
    fn bind(&self, ask: &PortAsk, found: Option<u16>) -> std::result::Result<Vec<Bound>, Unbound> {
        let single = found.map_or_else(|| ask.clone(), |port| exactly(ask, port));
        let reserved = self.reserved().extract_if(.., |(own, _)| *own == single).next();
        if let Some((_, sockets)) = reserved {
            return Ok(sockets);
        }
        if found.is_some() {
            match bind::bind(&single) {
                Err(Unbound { why, lack: Lack::Port }) => tracing::warn!("{why}: another is found"),
                bound => return bound,
            }
        }
        bind::bind(ask)
    }

    /// Publishes the ports of an endpoint, instead of those it has: `all` of them, or none; else those that
    /// can be had, and none of them where they take more than there is. A port that sockets are given for, by
    /// its place in the list, has those. Says which were found for those that would have had another too, as
    /// they were `found` before where that can be.
    ///
    /// # Errors
    /// [`Refusal`] in Docker's own words where a port is taken.
    pub(crate) fn publish(
        &self,
        endpoint: &str,
        (to, all): (IpAddr, bool),
        (asked, found): (&[PortAsk], &[Found]),
        mut given: Vec<(usize, OwnedFd)>,
    ) -> std::result::Result<Vec<Found>, Refusal> {
        self.withdraw(endpoint);
        let mut bound = Vec::new();
        for (place, (ask, found)) in asked.iter().zip(known(asked, found)).enumerate() {
            let own: Vec<_> = given.extract_if(.., |(of, _)| *of == place).collect();
            let sockets = match own.is_empty() {
                // The engine's own resolver has its port at each of its networks' addresses.
                true if !all && is_of_names(ask) => {
                    tracing::info!("for {to}, port {}: the engine's resolver has 53", ask.port);
                    Vec::new()
                }
                true => match self.bind(ask, found) {
                    Err(Unbound { why, lack: Lack::Port }) if !all => {
                        tracing::info!("for {to}, port {}: {why}", ask.port);
                        Vec::new()
                    }
                    // With what is left, engines are to be heard.
                    Err(Unbound { why, lack: Lack::Means }) if !all => {
                        tracing::warn!("for {to}, no port is published here: {why}");
                        return Ok(Vec::new());
                    }
                    bound => bound.map_err(|unbound| unbound.why)?,
                },
                false => bind::given(ask, own.into_iter().map(|(_, socket)| socket))?,
            };
            bound.push(sockets);
        }
        let (mut led, mut leads, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for (ask, sockets) in asked.iter().zip(bound) {
            let inside = SocketAddr::new(to, ask.port);
            if let Some(port) = sockets.first().and_then(|socket| socket.port().ok()) {
                led.push(Led { protocol: ask.protocol, address: ask.host, port, inside });
                if is_open(ask) {
                    found.push(Found { ask: ask.clone(), port });
                }
            }
            for socket in sockets {
                leads.push(self.lead(socket, inside)?);
            }
        }
        if !leads.is_empty() {
            self.held().insert(endpoint.to_owned(), (asked.to_vec(), led, leads));
        }
        Ok(found)
    }

    /// Whether an endpoint has this port published.
    pub(crate) fn has(&self, endpoint: &str, ask: &PortAsk) -> bool {
        self.held().get(endpoint).is_some_and(|(asked, ..)| asked.contains(ask))
    }

    /// Whether these are the ports that an endpoint has published.
    pub(crate) fn is(&self, endpoint: &str, ports: &[PortAsk]) -> bool {
        self.held().get(endpoint).map_or(ports.is_empty(), |(asked, ..)| asked == ports)
    }

    /// The endpoints that have a port published which would do for one of these.
    pub(crate) fn holding(&self, asked: &[PortAsk]) -> Vec<String> {
        let does = |led: &Led| {
            let place = (led.address, led.port);
            asked.iter().any(|ask| ask.would_take(led.protocol, place))
        };
        let held = self.held();
        let those = held.iter().filter(|(_, (_, led, _))| led.iter().any(does));
        those.map(|(endpoint, _)| endpoint.clone()).collect()
    }

    /// The ports of an endpoint, as they are.
    pub(crate) fn leading(&self, endpoint: &str) -> Vec<Led> {
        self.held().get(endpoint).map(|(_, led, _)| led.clone()).unwrap_or_default()
    }

    fn lead(&self, socket: Bound, to: SocketAddr) -> std::result::Result<Lead, Refusal> {
        let _here = self.handle.enter();
        let failed =
            |error: std::io::Error| Refusal(format!("publishing a port for {to}: {error}"));
        let task = match socket {
            Bound::Tcp(listener) => {
                let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
                self.handle.spawn(tcp::lead(listener, to))
            }
            Bound::Udp(socket) => {
                let socket = tokio::net::UdpSocket::from_std(socket).map_err(failed)?;
                self.handle.spawn(udp::lead(socket, to))
            }
        };
        Ok(Lead { task: Some(task), handle: self.handle.clone() })
    }

    /// Withdraws the ports of an endpoint, and ends their connections.
    pub(crate) fn withdraw(&self, endpoint: &str) {
        let gone = self.held().remove(endpoint);
        drop(gone);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.held().clear();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether that is the port of a resolver at all addresses, be it of one family.
fn is_of_names(ask: &PortAsk) -> bool {
    ask.host.is_none_or(|host| host.is_unspecified())
        && (ask.first, ask.last) == (Some(NAMES), Some(NAMES))
}

#[cfg(test)]
mod tests;
