//! Asking the host's resolvers, for names that the lab does not know: a thread with the sockets, in
//! the host's network. Only where there is a real uplink.
//!
//! Which server when, and which response is one, `names::Exchange` decides; here is IO alone. The
//! worker that got the query hands it over by a bounded channel and a byte in a pipe, and waits for
//! neither; responses lie in a channel until the station is ticked, which the thread asks the switch
//! for. A full channel refuses, and the server tells whoever asked. The thread ends when the station
//! lets go of its end.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::SystemTime;

use crossbeam_channel::{Receiver, Sender, bounded};
use names::resolv::Resolv;
use names::{Action, Exchange, Request, Response, Socket, Upstream};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use switch::Waker;
use wire::Timestamp;

/// More than the server lets wait.
const ROOM: usize = 256;
/// Whom the host asks.
const RESOLV: &str = "/etc/resolv.conf";

/// The station's end.
struct Handle {
    requests: Sender<Request>,
    responses: Receiver<Response>,
    pipe: PipeWriter,
}

impl Upstream for Handle {
    fn ask(&mut self, request: Request) -> bool {
        if self.requests.try_send(request).is_err() {
            return false;
        }
        match self.pipe.write_all(&[1]) {
            Ok(()) => true,
            // What is in it already wakes the thread.
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    fn take(&mut self) -> Option<Response> {
        self.responses.try_recv().ok()
    }
}

/// Starts the thread; `waker` is how it has the station ticked.
///
/// # Errors
/// When there is no pipe or no thread to be had.
pub(crate) fn start(waker: Waker) -> io::Result<Box<dyn Upstream>> {
    let (requests, asked) = bounded(ROOM);
    let (answered, responses) = bounded(ROOM);
    let (reader, pipe) = io::pipe()?;
    // The worker never waits.
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let thread = Thread {
        requests: asked,
        responses: answered,
        pipe: reader,
        waker,
        exchange: Exchange::default(),
        lines: BTreeMap::new(),
        servers: Servers::default(),
        buffer: vec![0; usize::from(u16::MAX)],
    };
    std::thread::Builder::new().name("upstream".into()).spawn(move || thread.run())?;
    Ok(Box::new(Handle { requests, responses, pipe }))
}

struct Thread {
    requests: Receiver<Request>,
    responses: Sender<Response>,
    pipe: PipeReader,
    waker: Waker,
    exchange: Exchange,
    lines: BTreeMap<Socket, Line>,
    servers: Servers,
    buffer: Vec<u8>,
}

/// A socket to a server.
enum Line {
    Datagram(UdpSocket),
    Stream { stream: TcpStream, out: Vec<u8>, got: Vec<u8> },
}

impl Thread {
    fn run(mut self) {
        loop {
            let next = self.exchange.tick(&mut draw, now());
            self.act();
            let Ok(ready) = self.wait(next) else { return };
            for socket in ready {
                self.read(socket);
            }
        }
    }

    /// Does what the exchange wants done, and hands over what is finished.
    fn act(&mut self) {
        while !self.exchange.actions.is_empty() {
            for action in std::mem::take(&mut self.exchange.actions) {
                let (socket, line) = match action {
                    Action::Close(socket) => {
                        self.lines.remove(&socket);
                        continue;
                    }
                    Action::Datagram(socket, server, query) => (socket, datagram(server, &query)),
                    Action::Stream(socket, server, query) => (socket, stream(server, &query)),
                };
                match line {
                    Ok(line) => drop(self.lines.insert(socket, line)),
                    Err(error) => {
                        tracing::debug!("a resolver of the host's cannot be asked: {error}");
                        self.exchange.failed(socket, &mut draw, now());
                    }
                }
            }
        }
        let mut any = false;
        for response in self.exchange.finished.drain(..) {
            any |= self.responses.try_send(response).is_ok();
        }
        if any {
            self.waker.wake();
        }
    }

    /// Waits for requests, for sockets, or for a time; the sockets that are ready. An error once
    /// nobody asks any more.
    fn wait(&mut self, next: Option<Timestamp>) -> io::Result<Vec<Socket>> {
        let timeout = next.map_or(PollTimeout::NONE, |at| {
            // Rounded up: what is due then is due.
            let millis = at.since(now()).as_millis() + 1;
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        let mut places = vec![PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        places.extend(self.lines.values().map(|line| PollFd::new(line.fd(), line.wanted())));
        match poll(&mut places, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = places.iter().map(|place| place.any().unwrap_or(false)).collect();
        drop(places);
        let sockets = self.lines.keys().copied().zip(ready.iter().skip(1));
        let sockets = sockets.filter(|(_, ready)| **ready).map(|(socket, _)| socket).collect();
        if ready.first() == Some(&true) {
            let mut bytes = [0; ROOM];
            if self.pipe.read(&mut bytes)? == 0 {
                return Err(ErrorKind::BrokenPipe.into());
            }
            while let Ok(request) = self.requests.try_recv() {
                let servers = self.servers.now();
                self.exchange.ask(request, servers, &mut draw, now());
            }
        }
        Ok(sockets)
    }

    fn read(&mut self, socket: Socket) {
        let Some(line) = self.lines.get_mut(&socket) else { return };
        match line.message(&mut self.buffer) {
            Ok(Some(message)) => self.exchange.received(socket, message, &mut draw, now()),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!("a resolver of the host's does not answer: {error}");
                self.exchange.failed(socket, &mut draw, now());
            }
        }
    }
}

fn datagram(server: SocketAddr, query: &[u8]) -> io::Result<Line> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Then the kernel takes nothing from others, and says where nobody listens.
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    socket.send(query)?;
    Ok(Line::Datagram(socket))
}

fn stream(server: SocketAddr, query: &[u8]) -> io::Result<Line> {
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    let domain = socket2::Domain::for_address(server);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let out = [&length.to_be_bytes()[..], query].concat();
    Ok(Line::Stream { stream: socket.into(), out, got: Vec::new() })
}

impl Line {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram(socket) => socket.as_fd(),
            Self::Stream { stream, .. } => stream.as_fd(),
        }
    }

    fn wanted(&self) -> PollFlags {
        match self {
            Self::Stream { out, .. } if !out.is_empty() => PollFlags::POLLOUT,
            _ => PollFlags::POLLIN,
        }
    }

    /// The message that has come whole, if one has.
    fn message(&mut self, buffer: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
        let Self::Stream { stream, out, got } = self else {
            let Self::Datagram(socket) = self else { return Ok(None) };
            let length = patient(socket.recv(buffer))?;
            return Ok(length.map(|length| buffer[..length].to_vec()));
        };
        if !out.is_empty() {
            let sent = patient(stream.write(out))?.unwrap_or(0);
            out.drain(..sent);
            return Ok(None);
        }
        match patient(stream.read(buffer))? {
            Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Some(length) => got.extend(&buffer[..length]),
            None => {}
        }
        let Some([high, low]) = got.get(..2) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        Ok(got.get(2..2 + length).map(<[u8]>::to_vec))
    }
}

/// None where it would have to be waited for.
fn patient(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The host's resolvers, as its file says; looked at anew when that has changed.
#[derive(Default)]
struct Servers {
    seen: Option<(Option<SystemTime>, u64)>,
    servers: Vec<IpAddr>,
}

impl Servers {
    fn now(&mut self) -> &[IpAddr] {
        let found = std::fs::metadata(RESOLV).ok();
        let seen = found.map_or((None, 0), |found| (found.modified().ok(), found.len()));
        if self.seen.is_none_or(|before| before != seen) {
            let text = std::fs::read(RESOLV).unwrap_or_default();
            self.servers = Resolv::parse(&String::from_utf8_lossy(&text)).servers;
            self.seen = Some(seen);
        }
        &self.servers
    }
}

fn draw() -> u16 {
    rand::random()
}

fn now() -> Timestamp {
    Timestamp::from_nanos(sys::clock::now())
}
