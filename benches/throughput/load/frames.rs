//! Raw frames from one node, flat out or at a rate, counted where they arrive: by the receiving
//! interface's own `rx_packets`, which costs the receiver nothing and lies the same way for all.
//!
//! The frames carry the EtherType for local experiments (0x88b5), so that no stack answers. What
//! the kernel refuses at the sender (ENOBUFS: the backlog is full) counts as offered and lost.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
};

use crate::measure::{Window, counters};
use crate::topology::{Node, finish};

/// Frames of one sendmmsg.
const BATCH: usize = 64;
/// A paced sender sends what is due at this grain.
const GRAIN: Duration = Duration::from_micros(50);

/// What a measurement of frames saw.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Frames a second the source offered.
    pub offered: f64,
    /// Frames a second that arrived, over all receivers.
    pub delivered: f64,
    /// The machine's CPU seconds a million frames delivered.
    pub cpu_per_million: f64,
}

impl Delivery {
    /// The share that did not arrive, in percent.
    pub fn lost(self) -> f64 {
        (1.0 - self.delivered / self.offered).max(0.0) * 100.0
    }
}

/// A frame of `length` bytes between hardware addresses.
pub fn plain(to: [u8; 6], from: [u8; 6], length: usize) -> Vec<u8> {
    let mut frame = vec![0; length];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}

/// Sends these frames from a node, over and over, for the length of the window (`rate` frames a second,
/// None: flat out) and counts at the receivers.
///
/// # Errors
/// When the socket is refused.
pub fn send(
    from: &Node,
    receivers: &[Node],
    frames: &[Vec<u8>],
    rate: Option<f64>,
    window: Duration,
) -> Result<Delivery> {
    let (interface, frames) = (from.interface.clone(), frames.to_vec());
    let before = counters::received(receivers)?;
    let source = from.spawn(move || {
        let socket = open(&interface)?;
        let start = Instant::now();
        let offered = source(&socket, &frames, rate, window)?;
        Ok((offered as f64, start.elapsed().as_secs_f64()))
    });
    let machine = Window::start()?;
    let (offered, seconds) = finish(source)?;
    std::thread::sleep(Duration::from_millis(30)); // what is still in the queues arrives
    let busy = machine.end()?.busy_seconds;
    let delivered = (counters::received(receivers)? - before) as f64;
    Ok(Delivery {
        offered: offered / seconds,
        delivered: delivered / seconds,
        cpu_per_million: busy / (delivered / 1e6),
    })
}

/// Sends one frame.
///
/// # Errors
/// When the socket is refused.
pub fn send_one(from: &Node, frame: Vec<u8>) -> Result<()> {
    let interface = from.interface.clone();
    from.run(move || {
        let socket = open(&interface)?;
        nix::sys::socket::send(socket.as_raw_fd(), &frame, MsgFlags::empty())?;
        Ok(())
    })
}

/// Sends each of these once, no faster than any forwarder takes them in.
///
/// # Errors
/// When the socket is refused.
pub fn send_each(from: &Node, all: Vec<Vec<u8>>) -> Result<()> {
    let interface = from.interface.clone();
    from.run(move || {
        let socket = open(&interface)?;
        for some in all.chunks(BATCH) {
            for frame in some {
                nix::sys::socket::send(socket.as_raw_fd(), frame, MsgFlags::empty())?;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })
}

/// A packet socket that sends by one interface and, having no protocol, receives nothing.
fn open(interface: &str) -> Result<OwnedFd> {
    let address = nix::ifaddrs::getifaddrs()?
        .filter(|i| i.interface_name == interface)
        .find_map(|i| i.address?.as_link_addr().copied())
        .with_context(|| format!("no interface {interface}"))?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .context("opening a packet socket")?;
    bind(socket.as_raw_fd(), &address).context("binding a packet socket")?;
    Ok(socket)
}

fn source(
    socket: &OwnedFd,
    frames: &[Vec<u8>],
    rate: Option<f64>,
    window: Duration,
) -> Result<u64> {
    let round = frames.len().next_multiple_of(BATCH);
    let slices: Vec<[IoSlice<'_>; 1]> =
        frames.iter().cycle().take(round).map(|frame| [IoSlice::new(frame)]).collect();
    let mut at = 0;
    let addresses = [None::<LinkAddr>; BATCH];
    let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, None);
    let (start, mut offered) = (Instant::now(), 0u64);
    loop {
        let elapsed = start.elapsed();
        if elapsed >= window {
            return Ok(offered);
        }
        let due = match rate {
            None => BATCH,
            Some(rate) => {
                let until = (elapsed + GRAIN).as_secs_f64();
                ((until * rate) as u64).saturating_sub(offered).min(BATCH as u64) as usize
            }
        };
        if due == 0 {
            std::hint::spin_loop();
            continue;
        }
        let fd = socket.as_raw_fd();
        let flags = MsgFlags::empty();
        match sendmmsg(fd, &mut headers, &slices[at..at + due], &addresses[..due], [], flags) {
            Ok(sent) => {
                let sent = sent.count();
                offered += sent as u64;
                at += sent;
                if at + BATCH > slices.len() {
                    at = 0;
                }
            }
            Err(Errno::ENOBUFS | Errno::EAGAIN) => offered += 1,
            Err(error) => return Err(error).context("sending frames"),
        }
    }
}
