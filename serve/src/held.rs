//! Sockets of published ports that an engine has bound itself, and goes on holding: podman binds each
//! before it starts the container (5.4 before it asks for the network, 4.3 after), and hands it to conmon,
//! which holds it until the container ends; nobody accepts there. So they are shared (`pidfd_getfd`), for
//! the port cannot be bound twice.
//!
//! From conmon alone: podman has its sockets wait, and whoever shares them would wait as well.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use engine::PortAsk;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::{Domain, SockRef, Type};
use topology::Protocol;

/// How far up a plugin's caller is looked for.
const GENERATIONS: usize = 4;
/// The engine that binds ports itself.
const ENGINE: &str = "podman";
/// What holds a container's sockets while it runs (its name, as the kernel cuts it).
const KEEPER: &str = "conmon";
/// What one is told that belongs to a program that was started in the container later: it holds none.
const LATER: &[u8] = b"--exec-process-spec";
/// Sockets at most: more than a container publishes ports.
const SOCKETS: usize = 16_384;

/// The processes that have called this one, the nearest first.
#[must_use]
pub fn callers() -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = parent("self");
    while let Some(pid) = next.filter(|pid| *pid > 1 && found.len() < GENERATIONS) {
        found.push(pid);
        next = parent(&pid.to_string());
    }
    found
}

fn parent(process: &str) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Whether a process is of an engine that binds ports itself.
#[must_use]
pub fn binds(process: i32) -> bool {
    let name = std::fs::read(format!("/proc/{process}/comm")).unwrap_or_default();
    name.trim_ascii_end() == ENGINE.as_bytes()
}

/// The processes that hold containers' sockets, as they are at one moment, each with its words. They are
/// this user's, and in the host's network: what a container calls its own is not believed, for whoever
/// shares a socket has to wait where it waits.
#[derive(Debug)]
pub struct Keepers(Vec<(i32, Vec<u8>)>);

impl Keepers {
    /// Looks at all processes.
    #[must_use]
    pub fn look() -> Self {
        Self(running())
    }

    /// Those that hold a container's.
    #[must_use]
    pub fn of(&self, container: &str) -> Vec<i32> {
        let has = |(_, words): &&(i32, Vec<u8>)| {
            let mut words = words.split(|byte| *byte == 0);
            words.any(|own| own == container.as_bytes())
        };
        self.0.iter().filter(has).map(|(pid, _)| *pid).collect()
    }
}

/// The processes that hold a container's sockets, now.
#[must_use]
pub fn keepers(container: &str) -> Vec<i32> {
    Keepers::look().of(container)
}

fn running() -> Vec<(i32, Vec<u8>)> {
    let network = |process: &Path| {
        let file = std::fs::metadata(process.join("ns/net")).ok()?;
        Some((file.dev(), file.ino()))
    };
    let own = network(Path::new("/proc/thread-self"));
    let user = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let path = entry.path();
        let read = |file: &str| std::fs::read(path.join(file)).unwrap_or_default();
        if read("comm").trim_ascii_end() == KEEPER.as_bytes()
            && std::fs::metadata(&path).is_ok_and(|process| process.uid() == user)
            && network(&path) == own
        {
            let words = read("cmdline");
            if !words.split(|byte| *byte == 0).any(|word| word == LATER) {
                found.push((pid, words));
            }
        }
    }
    found
}

/// The sockets that these processes hold for ports, each with its port's place in the list: of one
/// process, the first that has any.
#[must_use]
pub fn find(ports: &[PortAsk], processes: &[i32]) -> Vec<(usize, OwnedFd)> {
    let all = processes.iter().map(|pid| of(ports, *pid));
    if ports.is_empty() {
        Vec::new()
    } else {
        all.into_iter().find(|f| !f.is_empty()).unwrap_or_default()
    }
}

fn of(ports: &[PortAsk], process: i32) -> Vec<(usize, OwnedFd)> {
    let mut found: Vec<(usize, OwnedFd)> = Vec::new();
    let Some(pid) = Pid::from_raw(process) else { return found };
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return found };
    let folder = std::fs::read_dir(format!("/proc/{process}/fd"));
    for entry in folder.into_iter().flatten().flatten() {
        let socket = std::fs::read_link(entry.path());
        let socket = socket.is_ok_and(|path| path.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|_| socket && found.len() < SOCKETS) else { continue };
        // One that is closed meanwhile, or that may not be had, is none.
        let Ok(socket) = pidfd_getfd(&held, number, PidfdGetfdFlags::empty()) else { continue };
        let bound = bound(&socket);
        // A process may have the same socket twice.
        let new = |place: &usize| {
            let mut others = found.iter().filter(|(of, _)| of == place);
            !others.any(|(_, other)| self::bound(other) == bound)
        };
        let Some((protocol, at)) = bound else { continue };
        let place = ports.iter().position(|ask| is_for(ask, protocol, at));
        if let Some(place) = place.filter(new) {
            found.push((place, socket));
        }
    }
    found
}

/// Where a socket waits for others, if it does.
fn bound(socket: &OwnedFd) -> Option<(Protocol, SocketAddr)> {
    let socket = SockRef::from(socket);
    let internet = [Domain::IPV4, Domain::IPV6].contains(&socket.domain().ok()?);
    let protocol = match socket.r#type().ok()? {
        Type::STREAM if internet && socket.is_listener().ok()? => Protocol::Tcp,
        Type::DGRAM if internet && socket.peer_addr().is_err() => Protocol::Udp,
        _ => return None,
    };
    Some((protocol, socket.local_addr().ok()?.as_socket()?))
}

fn is_for(ask: &PortAsk, protocol: Protocol, at: SocketAddr) -> bool {
    let host = match ask.host {
        None => at.ip().is_unspecified(),
        Some(IpAddr::V4(own)) => at.ip() == IpAddr::V4(own) || at.ip() == own.to_ipv6_mapped(),
        Some(own) => at.ip() == own,
    };
    host && ask.protocol == protocol && ask.first == Some(at.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn ask(protocol: Protocol, port: u16) -> PortAsk {
        let host = Some([127, 0, 0, 1].into());
        PortAsk { protocol, port: 80, host, first: Some(port), last: Some(port) }
    }

    #[test]
    fn what_a_process_holds_for_a_port_is_shared() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let ports = [
            ask(Protocol::Tcp, tcp.local_addr().unwrap().port()),
            ask(Protocol::Udp, udp.local_addr().unwrap().port()),
            // Nobody's, and one that is of the other protocol.
            ask(Protocol::Udp, 1),
        ];
        let own = i32::try_from(std::process::id()).unwrap();
        let found = find(&ports, &[own]);
        if found.is_empty() {
            // A kernel before 5.6, or a filter of calls.
            return eprintln!("SKIPPED: pidfd_getfd is not to be had");
        }
        let places: std::collections::BTreeSet<_> = found.iter().map(|(of, _)| *of).collect();
        assert_eq!(places, [0, 1].into());
        assert!(find(&[], &[own]).is_empty() && find(&ports, &[]).is_empty());
        assert!(callers().iter().all(|pid| *pid > 1));
    }
}
