//! ICMP echo from one node to another address: flood (the next request leaves when the reply is
//! in) or paced; round trips in microseconds. A reply that does not come in time is counted lost.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};

use crate::topology::Node;

const PAYLOAD: usize = 56;
const IDENT: u16 = 0x5eed;
const TIMEOUT: Duration = Duration::from_millis(500);

/// Round trips seen, in microseconds.
pub struct RoundTrips {
    pub micros: Vec<f64>,
}

/// Pings for the length of the window; `gap` None floods.
///
/// # Errors
/// When the socket is refused, or more than one reply in a hundred is missing.
pub fn ping(
    from: &Node,
    target: Ipv4Addr,
    gap: Option<Duration>,
    window: Duration,
) -> Result<RoundTrips> {
    from.run(move || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))
            .context("opening an ICMP socket")?;
        socket.connect(&SocketAddr::new(IpAddr::V4(target), 0).into())?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        for sequence in 0..20 {
            once(&socket, sequence)?; // neighbours, tables and caches are warm after these
        }
        let (mut micros, mut lost) = (Vec::new(), 0usize);
        let start = Instant::now();
        let mut sequence = 100u16;
        let mut due = start;
        while start.elapsed() < window {
            if let Some(gap) = gap {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += gap;
            }
            sequence = sequence.wrapping_add(1);
            match once(&socket, sequence)? {
                Some(time) => micros.push(time.as_secs_f64() * 1e6),
                None => lost += 1,
            }
        }
        if micros.is_empty() || lost * 100 > micros.len() {
            bail!("{lost} echo requests to {target} unanswered, {} answered", micros.len());
        }
        Ok(RoundTrips { micros })
    })
}

/// One request; None where no reply came in time.
fn once(socket: &Socket, sequence: u16) -> Result<Option<Duration>> {
    let mut request = [0u8; 8 + PAYLOAD];
    request[0] = 8;
    request[4..6].copy_from_slice(&IDENT.to_be_bytes());
    request[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum = wire::checksum::checksum(&request);
    request[2..4].copy_from_slice(&sum.to_be_bytes());
    let sent = Instant::now();
    socket.send(&request).context("sending an echo request")?;
    let mut reply = [0u8; 256];
    loop {
        match (&*socket).read(&mut reply) {
            Ok(length) if is_reply(&reply[..length], sequence) => return Ok(Some(sent.elapsed())),
            Ok(_) if sent.elapsed() < TIMEOUT => {}
            Ok(_) => return Ok(None),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(e) => return Err(e).context("waiting for an echo reply"),
        }
    }
}

fn is_reply(packet: &[u8], sequence: u16) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    packet.get(header..header + 8).is_some_and(|icmp| {
        icmp[0] == 0 && icmp[4..6] == IDENT.to_be_bytes() && icmp[6..8] == sequence.to_be_bytes()
    })
}
