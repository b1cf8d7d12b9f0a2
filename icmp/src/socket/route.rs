//! Where probes go and come from: the socket's options, and the kernel's answer to whether there
//! is a way at all, asked before anything is sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::run::{Error, Route};

/// Any port: a datagram socket is connected to it, and nothing is sent.
const PORT: u16 = 1025;

/// Applies `route` to the socket of the probes.
pub(crate) fn apply(route: &Route, socket: &Socket) -> Result<(), Error> {
    device(route, socket)?;
    if let Some(source) = route.source {
        socket
            .bind(&SockAddr::from(SocketAddrV4::new(source, 0)))
            .map_err(|error| Error::Option(format!("send from {source}"), error))?;
    }
    if let Some(ttl) = route.ttl {
        (socket.set_ttl_v4(u32::from(ttl)))
            .and_then(|()| socket.set_multicast_ttl_v4(u32::from(ttl)))
            .map_err(|error| Error::Option(format!("set the TTL to {ttl}"), error))?;
    }
    if let Some(fragment) = route.fragment {
        sys::icmp::set_path_mtu_discovery(socket.as_fd(), fragment)
            .map_err(|error| Error::Option("set path MTU discovery".into(), error))?;
    }
    service(route, socket)
}

fn device(route: &Route, socket: &Socket) -> Result<(), Error> {
    let Some(device) = &route.device else { return Ok(()) };
    socket
        .bind_device(Some(device.as_bytes()))
        .map_err(|error| Error::Option(format!("use interface {device}"), error))
}

fn service(route: &Route, socket: &Socket) -> Result<(), Error> {
    let Some(tos) = route.tos else { return Ok(()) };
    socket
        .set_tos_v4(u32::from(tos))
        .map_err(|error| Error::Option(format!("set the type of service to {tos}"), error))
}

/// A socket that is connected to `towards` as probes will go.
fn connected(towards: Ipv4Addr, route: &Route) -> Result<Socket, Error> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).map_err(Error::Open)?;
    device(route, &socket)?;
    service(route, &socket)?;
    socket.connect(&SockAddr::from(SocketAddrV4::new(towards, PORT))).map_err(
        |error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::Broadcast(towards),
            _ => Error::Send(towards, error),
        },
    )?;
    Ok(socket)
}

/// The address probes to `towards` leave from.
///
/// # Errors
/// Where the kernel knows no way, with its reason.
pub(crate) fn source(towards: Ipv4Addr, route: &Route) -> Result<Ipv4Addr, Error> {
    if let Some(source) = route.source {
        return Ok(source);
    }
    let socket = connected(towards, route)?;
    let address = socket.local_addr().map_err(|error| Error::Send(towards, error))?;
    Ok(address.as_socket_ipv4().map_or(Ipv4Addr::UNSPECIFIED, |address| *address.ip()))
}

/// What the way to `towards` carries, as far as the kernel knows; 0 where it does not say.
pub(crate) fn mtu(towards: Ipv4Addr, route: &Route) -> u32 {
    connected(towards, route)
        .ok()
        .and_then(|socket| getsockopt(&socket, sockopt::IpMtu).ok())
        .and_then(|mtu| u32::try_from(mtu).ok())
        .unwrap_or(0)
}
