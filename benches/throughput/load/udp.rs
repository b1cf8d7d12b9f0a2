//! UDP flat out from two threads of one node to a reader in another: more than fits. What arrived
//! at the application, and who lost the rest: the forwarder, or the receiver's own socket.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::measure::counters;
use crate::topology::{Node, finish};

const DATAGRAM: usize = 1472;
const SENDERS: usize = 2;

/// What came of an overload; datagrams a second.
pub struct Overload {
    pub offered: f64,
    pub arrived: f64,
    pub read: f64,
}

impl Overload {
    /// Goodput in bits a second.
    pub fn goodput(&self) -> f64 {
        self.read * DATAGRAM as f64 * 8.0
    }

    /// Percent of the offered that never reached the receiving host.
    pub fn lost_by_forwarder(&self) -> f64 {
        (1.0 - self.arrived / self.offered).max(0.0) * 100.0
    }

    /// Percent of the offered that the receiving host had no room for.
    pub fn lost_by_receiver(&self) -> f64 {
        ((self.arrived - self.read) / self.offered).max(0.0) * 100.0
    }
}

/// # Errors
/// When a socket is refused.
pub fn overload(from: &Node, to: &Node, window: Duration) -> Result<Overload> {
    let address = to.address;
    let receiver = to.run(move || Ok(UdpSocket::bind((address, 0))?))?;
    let target = receiver.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let reader = std::thread::spawn({
        let (stop, count) = (stop.clone(), count.clone());
        move || read(&receiver, &count, &stop)
    });
    let before = counters::received(std::slice::from_ref(to))?;
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            from.spawn(move || {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                socket.connect(target)?;
                let datagram = [0x5a; DATAGRAM];
                let (start, mut sent) = (Instant::now(), 0u64);
                while start.elapsed() < window {
                    match socket.send(&datagram) {
                        Ok(_) => sent += 1,
                        Err(e) if e.raw_os_error() == Some(nix::libc::ENOBUFS) => sent += 1,
                        Err(e) => return Err(e).context("overload sender"),
                    }
                }
                Ok(sent)
            })
        })
        .collect();
    let offered: Result<Vec<u64>> = senders.into_iter().map(finish).collect();
    std::thread::sleep(Duration::from_millis(50));
    stop.store(true, Relaxed);
    finish(reader)?;
    let arrived = counters::received(std::slice::from_ref(to))? - before;
    let a_second = |n: u64| n as f64 / window.as_secs_f64();
    Ok(Overload {
        offered: a_second(offered?.iter().sum()),
        arrived: a_second(arrived),
        read: a_second(count.load(Relaxed)),
    })
}

fn read(socket: &UdpSocket, count: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut datagram = [0; 2048];
    while !stop.load(Relaxed) {
        match socket.recv(&mut datagram) {
            Ok(_) => _ = count.fetch_add(1, Relaxed),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(e).context("overload receiver"),
        }
    }
    Ok(())
}
