//! Somebody beside a gateway who repeats all that he may, as the kernel does.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use gateway::{
    Answer, Endpoint, Node, Opens, Protocol, Repeat, Repeated, Repeater, SessionId, Side,
};
use wire::{MacAddr, Timestamp};

use super::packet::{ACK, FIN, Pkt, RST, SYN};

/// A decision that was written down, as the kernel has it.
#[derive(Debug)]
pub struct Flow {
    pub generation: u64,
    pub from: (Side, Node),
    pub came: [MacAddr; 2],
    pub leaves: MacAddr,
    pub repeat: Repeat,
    pub over: bool,
    /// A FIN has passed.
    pub ended: bool,
    /// It is for the answer to a SYN, and what follows; whether that has passed.
    pub answered: Option<bool>,
    /// It waits for the answer of its session.
    pub awaits: bool,
    pub owed: Repeated,
}

/// Whoever repeats: by a copy of every decision that may be, for as long as it holds.
#[derive(Debug, Default)]
pub struct Kernel {
    pub generation: u64,
    pub flows: Vec<Flow>,
    /// Decisions that wait for an answer.
    pub pending: Vec<Flow>,
    pub carried: u64,
    /// Of these, answers to SYNs.
    pub answered: u64,
}

#[derive(Debug, Default, Clone)]
pub struct Beside(Arc<Mutex<Kernel>>);

impl Beside {
    pub fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.0.lock().unwrap()
    }
}

impl Repeater for Beside {
    fn changed(&mut self) {
        self.kernel().generation += 1;
    }

    fn over(&mut self, session: Option<SessionId>) -> Vec<Repeated> {
        let mut kernel = self.kernel();
        let of = |flow: &&mut Flow| {
            let own = flow.repeat.way.session;
            own.is_some() && (session.is_none() || own == session)
        };
        let mut told = Vec::new();
        for flow in kernel.flows.iter_mut().filter(of) {
            flow.over = true;
            if flow.owed.frames > 0 || flow.owed.answered {
                told.push(Repeated { frames: 0, ..flow.owed });
            }
            flow.repeat.way.session = None;
            flow.owed.way.session = None;
        }
        told
    }

    fn take(&mut self) -> Vec<Repeated> {
        let mut kernel = self.kernel();
        let owing = kernel.flows.iter_mut().filter(|flow| flow.owed.frames > 0);
        let told = owing.map(|flow| {
            let told = flow.owed;
            (flow.owed.frames, flow.owed.answered) = (0, false);
            (flow.owed.packets, flow.owed.bytes, flow.owed.ended) = (0, 0, None);
            told
        });
        let told = told.collect();
        kernel.flows.retain(|flow| !flow.over);
        told
    }

    fn sessions(&mut self) -> Vec<Repeated> {
        let mut kernel = self.kernel();
        let of = |flow: &&mut Flow| {
            let owes = flow.owed.packets > 0 || flow.owed.answered;
            flow.repeat.way.session.is_some() && owes
        };
        let told = kernel.flows.iter_mut().filter(of).map(|flow| {
            let told = Repeated { frames: 0, ..flow.owed };
            (flow.owed.packets, flow.owed.bytes, flow.owed.ended) = (0, 0, None);
            flow.owed.answered = false;
            told
        });
        told.collect()
    }
}

/// What tells packets apart, where they may be repeated at all.
pub fn ends(packet: &Pkt) -> Option<(Protocol, [Endpoint; 2])> {
    let port = |at: usize| u16::from_be_bytes([packet.body[at], packet.body[at + 1]]);
    let (protocol, ports) = match (packet.protocol, packet.body[0]) {
        (6, _) if packet.body[13] & (RST | ACK) == ACK => (Protocol::Tcp, [port(0), port(2)]),
        (17, _) => (Protocol::Udp, [port(0), port(2)]),
        (1, 8) => (Protocol::Icmp, [port(4), 0]),
        (1, 0) => (Protocol::Icmp, [0, port(4)]),
        _ => return None,
    };
    let [src, dst] = ports;
    let whole = packet.fragment == (0, false) && packet.options.is_empty() && packet.ttl > 1;
    whole.then(|| (protocol, [Endpoint::new(packet.src, src), Endpoint::new(packet.dst, dst)]))
}

/// The node that an address is of.
pub fn node_of(side: Side, address: Ipv4Addr) -> Node {
    let o = address.octets();
    match side {
        Side::Uplink => Node::NOBODY,
        Side::Leg(_) if o[1] == 100 => Node(o[3].into()),
        Side::Leg(_) => Node(0x100 | u16::from(o[3])),
    }
}

/// The packet that a route makes of another.
pub fn routed(packet: &Pkt, [src, dst]: [Endpoint; 2]) -> Pkt {
    let (from, to) = (src.to_string(), dst.to_string());
    let made = match packet.protocol {
        6 => Pkt::tcp(&from, &to, packet.body[13], &packet.body[20..]),
        17 => Pkt::udp(&from, &to, &packet.body[8..]),
        _ => {
            let (from, to) = (src.address.to_string(), dst.address.to_string());
            Pkt::echo(&from, &to, packet.body[0], src.port | dst.port, &packet.body[8..])
        }
    };
    Pkt { ttl: packet.ttl - 1, id: packet.id, df: packet.df, ..made }
}

impl Kernel {
    /// Writes a decision down, and of what opens a connection both or none; and what is to be done with
    /// its answer, which comes from `router` to `own`.
    pub fn put(&mut self, flow: Flow, [router, own]: [MacAddr; 2]) {
        match (flow.repeat.opening, flow.repeat.answer) {
            (Some(Opens::Asks), Some(Answer { mtu, until, way })) => {
                let Repeat { came: [src, dst], leaves: [new_src, new_dst], .. } = flow.repeat;
                let (opening, answer, atomic) = (None, None, way.to == Side::Uplink);
                let (came, leaves) = ([new_dst, new_src], [dst, src]);
                let reverse = Repeat {
                    came,
                    leaves,
                    mtu,
                    until,
                    way,
                    opening,
                    answer,
                    atomic,
                    ..flow.repeat
                };
                let back = Flow {
                    from: (way.from, node_of(way.from, new_dst.address)),
                    came: [own, router],
                    leaves: flow.came[1],
                    repeat: reverse,
                    answered: Some(false),
                    owed: Repeated { way, ..flow.owed },
                    ..flow
                };
                self.flows.extend([back, Flow { awaits: true, ..flow }]);
            }
            (opening, _) => self.plain(flow, opening),
        }
    }

    fn plain(&mut self, flow: Flow, opening: Option<Opens>) {
        match opening {
            Some(Opens::Asks) => return self.pending.push(flow),
            Some(Opens::Answers) => {}
            None => return self.flows.push(flow),
        }
        let [src, dst] = flow.repeat.came;
        let answers = |asked: &Flow| {
            asked.repeat.protocol == flow.repeat.protocol
                && asked.repeat.leaves == [dst, src]
                && asked.repeat.way.session == flow.repeat.way.session
        };
        if let Some(at) = self.pending.iter().rposition(answers) {
            let asked = self.pending.swap_remove(at);
            self.flows.extend([asked, flow]);
        }
    }

    pub fn holds(&self, flow: &Flow, now: Timestamp) -> bool {
        !flow.over && flow.generation == self.generation && flow.repeat.until > now
    }

    /// Sends a packet on by itself, where it may.
    pub fn carries(
        &mut self,
        from: (Side, Node),
        came: [MacAddr; 2],
        packet: &Pkt,
        now: Timestamp,
    ) -> Option<(Side, MacAddr, Pkt)> {
        let (protocol, ends) = ends(packet)?;
        let length = packet.ip().len();
        let is_answer = protocol == Protocol::Tcp && packet.body[13] & SYN != 0;
        let answered = |of: &Flow| {
            let mut own =
                self.flows.iter().filter(|flow| flow.repeat.way.session == of.repeat.way.session);
            own.any(|flow| flow.answered == Some(true))
        };
        let at = self.flows.iter().position(|flow| {
            let repeat = &flow.repeat;
            (flow.from, flow.came) == (from, came)
                && (repeat.protocol, repeat.came) == (protocol, ends)
                && self.holds(flow, now)
                && length <= repeat.mtu
                && (packet.df || !repeat.atomic)
                && match flow.answered {
                    Some(answered) => answered != is_answer,
                    None => !is_answer && (!flow.awaits || answered(flow)),
                }
        })?;
        self.carried += 1;
        let flow = &mut self.flows[at];
        let owed = &mut flow.owed;
        (owed.frames, owed.packets) = (owed.frames + 1, owed.packets + u64::from(!is_answer));
        if is_answer {
            (flow.answered, owed.answered) = (Some(true), true);
            self.answered += 1;
        }
        (owed.bytes, owed.seen) = (owed.bytes + length as u64, now);
        if protocol == Protocol::Tcp && packet.body[13] & FIN & 1 != 0 && !flow.ended {
            (flow.ended, owed.ended) = (true, Some(now));
        }
        Some((flow.repeat.way.to, flow.leaves, routed(packet, flow.repeat.leaves)))
    }
}
