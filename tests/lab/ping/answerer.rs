//! A peer made of raw frames: it takes each echo request off the wire and sends what the test
//! makes of it, when the test says so. ARP is left to the kernel, whose own echo is off.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::PEER;
use crate::support::Wire;

const ETHERNET: usize = 14;
const IP: usize = 20;

/// An echo request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    frame: Vec<u8>,
    /// When it was read.
    came: Instant,
}

impl Request {
    fn read(frame: &[u8]) -> Option<Self> {
        let ip = frame.get(ETHERNET..)?;
        let whole = ip.len() >= IP + 8 && frame[12..14] == [8, 0] && ip[0] == 0x45;
        let echo = whole && ip[9] == 1 && ip[IP] == 8;
        echo.then(|| Self { frame: frame.to_vec(), came: Instant::now() })
    }

    /// The IP header.
    pub(super) fn ip(&self) -> &[u8] {
        &self.frame[ETHERNET..ETHERNET + IP]
    }

    /// The ICMP message.
    pub(super) fn icmp(&self) -> &[u8] {
        let total = usize::from(u16::from_be_bytes([self.ip()[2], self.ip()[3]]));
        &self.frame[ETHERNET + IP..ETHERNET + total]
    }

    /// Its sequence number.
    pub(super) fn seq(&self) -> u16 {
        u16::from_be_bytes([self.icmp()[6], self.icmp()[7]])
    }

    /// The honest answer.
    pub(super) fn answer(&self) -> Answer {
        let mut message = self.icmp().to_vec();
        message[0] = 0;
        Answer {
            from: address(&self.ip()[16..20]),
            ttl: 64,
            message,
            sound: true,
            after: Duration::ZERO,
            until: None,
        }
    }

    /// An ICMP error, or a redirect, about it; `rest` is what follows the checksum.
    pub(super) fn error(&self, kind: u8, code: u8, rest: [u8; 4]) -> Answer {
        let mut message = vec![kind, code, 0, 0];
        message.extend(rest);
        message.extend(self.ip());
        message.extend(&self.icmp()[..8]);
        Answer { message, ..self.answer() }
    }

    fn frame(&self, answer: &Answer) -> Vec<u8> {
        let mut message = answer.message.clone();
        wire::icmp::fill_checksum(&mut message);
        if !answer.sound {
            message[2] ^= 0x55;
        }
        let mut ip = vec![0; IP];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&u16::try_from(IP + message.len()).unwrap().to_be_bytes());
        ip[8] = answer.ttl;
        ip[9] = 1;
        ip[12..16].copy_from_slice(&answer.from.octets());
        ip[16..20].copy_from_slice(&self.ip()[12..16]);
        let sum = wire::checksum::checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        [&self.frame[6..12], &self.frame[..6], &[8, 0], &ip, &message].concat()
    }
}

fn address(octets: &[u8]) -> Ipv4Addr {
    Ipv4Addr::from(<[u8; 4]>::try_from(octets).unwrap())
}

/// What is sent for a request.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) from: Ipv4Addr,
    pub(super) ttl: u8,
    /// The ICMP message; its checksum is filled in.
    pub(super) message: Vec<u8>,
    /// The checksum is right.
    pub(super) sound: bool,
    /// After the request came.
    pub(super) after: Duration,
    /// Not before the request with this number came; then ahead of that one's answer.
    pub(super) until: Option<u16>,
}

impl Answer {
    pub(super) fn after(self, millis: u64) -> Self {
        Self { after: Duration::from_millis(millis), ..self }
    }

    /// Kept back until the request `seq` is there, however slow the machine is.
    pub(super) fn until(self, seq: u16) -> Self {
        Self { until: Some(seq), ..self }
    }

    pub(super) fn from(self, from: [u8; 4]) -> Self {
        Self { from: from.into(), ..self }
    }

    pub(super) fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    pub(super) fn unsound(self) -> Self {
        Self { sound: false, ..self }
    }

    /// Only so many bytes of payload.
    pub(super) fn cut(mut self, payload: usize) -> Self {
        self.message.truncate(8 + payload);
        self
    }

    /// One byte of the payload changed.
    pub(super) fn changed(mut self, at: usize) -> Self {
        self.message[8 + at] ^= 1;
        self
    }
}

/// A frame that is not sent yet.
struct Waiting {
    at: Instant,
    until: Option<u16>,
    frame: Vec<u8>,
}

/// The running peer.
pub(super) struct Answerer {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Answerer {
    /// Starts one that sends what `script` makes of each request.
    pub(super) fn start(script: impl Fn(&Request) -> Vec<Answer> + Send + 'static) -> Self {
        Self::at(PEER, "vb", script)
    }

    /// The same at an interface of another namespace.
    pub(super) fn at(
        netns: &str,
        interface: &str,
        script: impl Fn(&Request) -> Vec<Answer> + Send + 'static,
    ) -> Self {
        let mut wire = Wire::open(netns, interface);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stopped, seeing) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let mut waiting: Vec<Waiting> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let came =
                    wire.next(Duration::from_millis(1), |frame| Request::read(frame).is_some());
                let now = Instant::now();
                if let Some(request) = came.and_then(|frame| Request::read(&frame)) {
                    let answers = script(&request);
                    for held in &mut waiting {
                        held.until = held.until.filter(|&seq| seq != request.seq());
                    }
                    waiting.extend(answers.iter().map(|a| Waiting {
                        at: now + a.after,
                        until: a.until,
                        frame: request.frame(a),
                    }));
                    seeing.lock().unwrap().push(request);
                }
                let (due, later): (Vec<_>, Vec<_>) =
                    waiting.into_iter().partition(|held| held.at <= now && held.until.is_none());
                waiting = later;
                for held in due {
                    wire.send(&held.frame);
                }
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    /// The requests came `interval` apart, each within half of it: neither the pinger nor this peer
    /// was kept from running for longer.
    pub(super) fn was_steady(&self, interval: Duration) -> bool {
        let seen = self.seen.lock().unwrap();
        let apart = |pair: &[Request]| pair[1].came - pair[0].came;
        seen.windows(2).all(|pair| (interval / 2..=interval * 3 / 2).contains(&apart(pair)))
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}
