//! Which sockets a published port takes: one on the address that was asked for, or one of IPv4 and one
//! of IPv6 on all addresses; on the first port of a range that is free in both.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use engine::{PortAsk, Refusal};
use nix::errno::Errno;
use socket2::{Domain, Socket, Type};
use topology::Protocol;

use super::datagram;

/// Connections that may wait to be let in: as many as the kernel takes.
const BACKLOG: i32 = 4096;
/// How often a port that the kernel chooses may be taken in the other family.
const TRIES: usize = 16;

/// A socket of the host's.
#[derive(Debug)]
pub(super) enum Bound {
    /// Of TCP.
    Tcp(TcpListener),
    /// Of UDP.
    Udp(UdpSocket),
}

impl Bound {
    pub(super) fn port(&self) -> io::Result<u16> {
        let address = match self {
            Self::Tcp(listener) => listener.local_addr()?,
            Self::Udp(socket) => socket.local_addr()?,
        };
        Ok(address.port())
    }
}

/// Why a port is not bound.
pub(super) struct Unbound {
    pub(super) why: Refusal,
    pub(super) lack: Lack,
}

/// What is missing where a port is not bound.
pub(super) enum Lack {
    /// Sense in what was asked, or something that nobody has foreseen.
    Sense,
    /// The port: somebody else has it, or may have it alone, or the host lacks its address or its family.
    Port,
    /// Whatever it takes to have one more, a descriptor as a rule: of this process, or of the machine.
    Means,
}

/// Binds what a port asks for.
///
/// # Errors
/// In Docker's own words, where every port that would do is taken.
pub(super) fn bind(ask: &PortAsk) -> Result<Vec<Bound>, Unbound> {
    let all = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let own;
    let addresses: &[IpAddr] = match ask.host {
        Some(address) => {
            own = [address];
            &own
        }
        None => &all,
    };
    let (Some(first), Some(last)) = (ask.first, ask.last) else {
        let mut tries = (0..TRIES).map(|_| on(ask.protocol, addresses, 0));
        let bound = tries.find(|bound| !matches!(bound, Err(e) if is_taken(e)));
        let why = || Refusal(format!("no port of the host is free for {}", ask.port));
        let refused = || Unbound { why: why(), lack: Lack::Port };
        return bound.ok_or_else(refused)?.map_err(|error| refuse(addresses, 0, &error));
    };
    let mut refused = None;
    for port in first..=last {
        match on(ask.protocol, addresses, port) {
            Ok(bound) => return Ok(bound),
            Err(error) if is_spent(&error) => return Err(refuse(addresses, port, &error)),
            Err(error) => refused = refused.or(Some(refuse(addresses, port, &error))),
        }
    }
    Err(refused.unwrap_or_else(|| Unbound {
        why: Refusal(format!("{first} to {last} is no range of ports")),
        lack: Lack::Sense,
    }))
}

/// Takes sockets that somebody else has bound for a port, and goes on holding. Where any address of the
/// host will do, those of IPv6 are ours beside one of IPv4.
///
/// # Errors
/// [`Refusal`] where one is no such socket.
pub(super) fn given(
    ask: &PortAsk,
    sockets: impl Iterator<Item = OwnedFd>,
) -> Result<Vec<Bound>, Refusal> {
    let take = |socket: OwnedFd| -> io::Result<Bound> {
        let socket = Socket::from(socket);
        socket.set_nonblocking(true)?;
        Ok(match ask.protocol {
            Protocol::Udp => {
                datagram::ask(&socket, socket.local_addr()?.is_ipv4())?;
                Bound::Udp(socket.into())
            }
            _ => Bound::Tcp(socket.into()),
        })
    };
    let mut bound = Vec::new();
    for socket in sockets {
        bound.push(take(socket).map_err(|e| Refusal(format!("a socket for {}: {e}", ask.port)))?);
    }
    if let (None, [one]) = (ask.host, bound.as_slice())
        && let Ok(port) = one.port()
        && let Ok(other) = self::one(ask.protocol, (Ipv6Addr::UNSPECIFIED, port).into())
    {
        bound.push(other);
    }
    Ok(bound)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrInUse
}

fn is_spent(error: &io::Error) -> bool {
    let spent = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| spent.contains(&Errno::from_raw(code)))
}

fn is_elsewhere(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}

fn refuse(addresses: &[IpAddr], port: u16, error: &io::Error) -> Unbound {
    let address = addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let place = SocketAddr::new(address, port);
    let why = match is_taken(error) {
        true => Refusal(format!("Bind for {place} failed: port is already allocated")),
        false => Refusal(format!("Bind for {place} failed: {error}")),
    };
    let lack = match error {
        error if is_taken(error) || is_elsewhere(error) => Lack::Port,
        error if is_spent(error) => Lack::Means,
        _ => Lack::Sense,
    };
    Unbound { why, lack }
}

/// One socket an address; the first one's port is that of all.
fn on(protocol: Protocol, addresses: &[IpAddr], port: u16) -> io::Result<Vec<Bound>> {
    let mut bound: Vec<Bound> = Vec::new();
    for address in addresses {
        let port = bound.first().map_or(Ok(port), Bound::port)?;
        match one(protocol, SocketAddr::new(*address, port)) {
            Ok(socket) => bound.push(socket),
            // A host without IPv6 has the port in IPv4 alone.
            Err(error) if !bound.is_empty() && !is_taken(&error) && !is_spent(&error) => {
                tracing::debug!("port {port} is not published at {address}: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

fn one(protocol: Protocol, at: SocketAddr) -> io::Result<Bound> {
    let kind = if protocol == Protocol::Udp { Type::DGRAM } else { Type::STREAM };
    let socket = Socket::new(Domain::for_address(at), kind, None)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if protocol != Protocol::Udp {
        // Connections of an earlier process that linger are no hindrance.
        socket.set_reuse_address(true)?;
    }
    if protocol == Protocol::Udp {
        // Before the first one comes.
        datagram::ask(&socket, at.is_ipv4())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    if protocol == Protocol::Udp {
        return Ok(Bound::Udp(socket.into()));
    }
    socket.listen(BACKLOG)?;
    Ok(Bound::Tcp(socket.into()))
}
