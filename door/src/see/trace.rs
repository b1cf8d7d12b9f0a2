//! A trace: the walks of frames as they pass, a line of JSON each, until it is ended.
//!
//! On the watcher's thread. Where the client is slow this thread waits, and the tap's queue fills;
//! what was lost is told in the place where it is missing.

use control::api::{Echo, FieldChange, Spent, TraceLine, Walk};
use gateway::Note;
use observe::changes::changes;
use switch::PortId;
use wire::icmp::{self, Icmp};
use wire::ipv4::{Ipv4, protocol};
use wire::{Ethernet, Summary, ethertype};

use super::names::Names;
use super::recorder::Sighting;
use super::run::{Progress, Sink};
use super::walk::Facts;

/// Turns sightings into lines.
#[derive(Default)]
pub(crate) struct Trace {
    out: Vec<u8>,
    lost: u64,
    told: u64,
}

impl Sink for Trace {
    fn frame(&mut self, sighting: &Sighting, names: &Names, _room: u64) -> u64 {
        let Some(walk) = walk(sighting, names) else { return 0 };
        if sighting.lost > self.lost {
            let count = sighting.lost - std::mem::replace(&mut self.lost, sighting.lost);
            self.line(&TraceLine::Lost { count });
        }
        self.told += 1;
        self.line(&TraceLine::Frame(Box::new(walk)));
        1
    }

    fn end(&mut self, progress: &Progress<'_>) {
        self.line(&TraceLine::End { told: self.told, lost: progress.watcher.lost() });
    }

    fn pending(&self) -> usize {
        self.out.len()
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

impl Trace {
    fn line(&mut self, line: &TraceLine) {
        match serde_json::to_vec(line) {
            Ok(text) => {
                self.out.extend(text);
                self.out.push(b'\n');
            }
            Err(error) => tracing::warn!("a walk that cannot be told: {error}"),
        }
    }
}

/// What a frame's decisions were; None for one too short to have any.
pub(crate) fn facts(sighting: &Sighting) -> Option<Facts> {
    let (src, dst, new_dst) = Facts::addresses(sighting.before(), sighting.after())?;
    Some(Facts {
        ingress: sighting.ingress?,
        src,
        dst,
        learned: sighting.learned,
        source: sighting.source,
        target: sighting.target,
        outcome: sighting.outcome,
        egress: sighting.egress.clone(),
        note: sighting.note,
        new_dst,
        answer: None,
    })
}

fn walk(sighting: &Sighting, names: &Names) -> Option<Walk> {
    let facts = facts(sighting)?;
    let before = sighting.before();
    let (verdict, reason) = facts.verdict();
    let at = match facts.ingress {
        PortId::LOCAL => facts.egress.first().map(|exit| exit.port),
        port => Some(port),
    };
    let network = at.and_then(|id| names.network(id));
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let switch = nanos(sighting.spent);
    let spent = (facts.ingress != PortId::LOCAL).then(|| Spent {
        ring: sighting.done.saturating_sub(sighting.taken).saturating_sub(switch),
        switch,
        gateway: nanos(sighting.station),
    });
    Some(Walk {
        time: sighting.taken,
        summary: Summary::new(before).with(sighting.vnet, sighting.vlan).to_string(),
        port: facts.origin(names),
        network: network.map(Into::into),
        steps: facts.steps(names),
        changes: sighting.after().map_or_else(Vec::new, |after| {
            let changes = changes(before, after).into_iter();
            changes
                .map(|c| FieldChange { field: c.field.into(), before: c.before, after: c.after })
                .collect()
        }),
        to: facts.ports().map(|port| names.port(port)).collect(),
        verdict,
        reason: reason.map(Into::into),
        arrives: None,
        kernel: None,
        spent,
        echo: echo(before, sighting.note.as_ref()),
    })
}

/// Which ICMP echo a frame is. What the gateway lost on the way has its translation all the same.
fn echo(bytes: &[u8], note: Option<&Note>) -> Option<Echo> {
    let eth = Ethernet::parse(bytes).filter(|eth| eth.ethertype() == ethertype::IPV4)?;
    let ip = Ipv4::parse_quoted(eth.payload()).ok()?;
    if ip.protocol() != protocol::ICMP || ip.fragment_offset() != 0 {
        return None;
    }
    let message = Icmp::parse(eth.payload().get(ip.header_len()..)?)?;
    let reply = match message.message_type() {
        icmp::ECHO_REQUEST => false,
        icmp::ECHO_REPLY => true,
        _ => return None,
    };
    let translated = note.and_then(|note| {
        let out = note.out.map(|translation| translation.outside.port);
        out.or(note.back.map(|translation| translation.inside.port))
    });
    Some(Echo { reply, seq: message.sequence(), id: message.id(), translated })
}
