//! Replies as bytes: what goes back is the query's identifier and question, letter by letter
//! (clients tell forged replies by the case of their letters), and no more than fits.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NS, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::resolver::{HEADER, Over};

/// Seconds that an answer may be kept: nodes come and go.
const TTL: u32 = 1;
/// Least that fits into a datagram for everybody (RFC 1035 section 4.2.1).
const PLAIN: usize = 512;
/// Most we put into one: what passes every link of IPv6 in one piece.
pub const LARGEST: u16 = 1232;

/// What of a query its reply repeats, and how long that may be.
#[derive(Clone, Debug)]
pub struct Echo {
    id: u16,
    op: OpCode,
    recursion: bool,
    checking_disabled: bool,
    question: Query,
    /// Whether EDNS was spoken, and DNSSEC asked for.
    edns: Option<bool>,
    limit: usize,
}

impl Echo {
    pub(crate) fn new(message: &Message, question: &Query, over: Over) -> Self {
        let told = message.edns.as_ref();
        let limit = match over {
            Over::Tcp => usize::from(u16::MAX),
            Over::Udp(fits) => {
                let asked = told.map_or(PLAIN, |edns| usize::from(edns.max_payload()));
                asked.clamp(PLAIN, usize::from(LARGEST)).min(fits)
            }
        };
        Self {
            id: message.metadata.id,
            op: message.metadata.op_code,
            recursion: message.metadata.recursion_desired,
            checking_disabled: message.metadata.checking_disabled,
            question: question.clone(),
            edns: told.map(|edns| edns.flags().dnssec_ok),
            limit,
        }
    }

    fn message(&self, code: ResponseCode) -> Message {
        let mut message = Message::new(self.id, MessageType::Response, self.op);
        message.metadata.recursion_desired = self.recursion;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.metadata.response_code = code;
        message.add_query(self.question.clone());
        if let Some(dnssec) = self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST).set_dnssec_ok(dnssec);
            message.set_edns(edns);
        }
        message
    }

    /// These records, or that there are none of the type.
    pub(crate) fn records(&self, records: Vec<Record>, soa: &Soa) -> Vec<u8> {
        let mut message = self.message(ResponseCode::NoError);
        message.metadata.authoritative = true;
        if records.is_empty() {
            message.add_authorities(soa.record());
        }
        message.add_answers(records);
        self.bytes(message)
    }

    /// There is no such name (RFC 2308 section 2.1).
    pub(crate) fn denial(&self, soa: &Soa) -> Vec<u8> {
        let mut message = self.message(ResponseCode::NXDomain);
        message.metadata.authoritative = true;
        message.add_authorities(soa.record());
        self.bytes(message)
    }

    pub(crate) fn error(&self, code: ResponseCode) -> Vec<u8> {
        self.bytes(self.message(code))
    }

    /// Nobody could be asked, or nobody answered.
    #[must_use]
    pub fn failure(&self) -> Vec<u8> {
        self.error(ResponseCode::ServFail)
    }

    /// Another's response to [`crate::Forward::query`] as our reply: under the query's identifier,
    /// and cut where it is too long.
    #[must_use]
    pub fn fit(&self, mut response: Vec<u8>) -> Vec<u8> {
        if response.len() < HEADER {
            return self.failure();
        }
        if response.len() > self.limit {
            return self.bytes(self.truncated(ResponseCode::from(0, response[3] & 0xf)));
        }
        response[..2].copy_from_slice(&self.id.to_be_bytes());
        response
    }

    fn truncated(&self, code: ResponseCode) -> Message {
        let mut message = self.message(code);
        message.metadata.truncation = true;
        message
    }

    fn bytes(&self, message: Message) -> Vec<u8> {
        let code = message.metadata.response_code;
        match message.to_vec() {
            Ok(bytes) if bytes.len() <= self.limit => bytes,
            Ok(_) => {
                let cut = self.truncated(code).to_vec().unwrap_or_default();
                // Where not even the question fits, its beginning says that more was meant.
                if cut.len() <= self.limit { cut } else { self.stump(code) }
            }
            Err(_) => self.stump(ResponseCode::ServFail),
        }
    }

    fn stump(&self, code: ResponseCode) -> Vec<u8> {
        let [high, low] = self.id.to_be_bytes();
        let flags = 0x82 | u8::from(self.op) << 3 | u8::from(self.recursion);
        vec![high, low, flags, 0x80 | code.low(), 0, 0, 0, 0, 0, 0, 0, 0]
    }
}

/// A reply of the header alone, to a query that was not read further than that.
pub(crate) fn bare(head: &[u8], code: ResponseCode) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    if let Some([high, low, flags]) = head.get(..3) {
        // Opcode and "recursion desired" are the query's.
        reply[..3].copy_from_slice(&[*high, *low, 0x80 | flags & 0x79]);
    }
    reply[3] = code.low();
    reply
}

/// The query as others are to be asked: its question and flags, and our own EDNS where it had one.
pub(crate) fn onward(message: &Message, question: &Query) -> Option<Vec<u8>> {
    let mut onward = Message::new(0, MessageType::Query, OpCode::Query);
    onward.metadata.recursion_desired = true;
    onward.metadata.checking_disabled = message.metadata.checking_disabled;
    onward.metadata.authentic_data = message.metadata.authentic_data;
    onward.add_query(question.clone());
    if let Some(told) = &message.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST).set_dnssec_ok(told.flags().dnssec_ok);
        onward.set_edns(edns);
    }
    onward.to_vec().ok()
}

/// The question of a query as it stands on the wire.
#[must_use]
pub fn question(message: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return message.get(HEADER..at + 5),
            1..=63 => at += 1 + length,
            // No question points elsewhere: there is nothing before it.
            _ => return None,
        }
    }
}

/// The addresses of a question's type.
pub(crate) fn addresses(question: &Query, addresses: &[IpAddr]) -> Vec<Record> {
    let kind = question.query_type();
    let data = addresses.iter().filter_map(|address| match (address, kind) {
        (IpAddr::V4(address), RecordType::A | RecordType::ANY) => Some(RData::A(A(*address))),
        (IpAddr::V6(address), RecordType::AAAA | RecordType::ANY) => {
            Some(RData::AAAA(AAAA(*address)))
        }
        _ => None,
    });
    data.map(|data| Record::from_rdata(question.name().clone(), TTL, data)).collect()
}

/// The name of an address.
pub(crate) fn pointer(question: &Query, owner: &str) -> Vec<Record> {
    let owner = absolute(owner).map(|name| RData::PTR(PTR(name)));
    owner.map(|data| Record::from_rdata(question.name().clone(), TTL, data)).into_iter().collect()
}

/// Who answers for a zone.
pub(crate) fn name_server(question: &Query, soa: &Soa) -> Vec<Record> {
    let server = absolute(&soa.server).map(|name| RData::NS(NS(name)));
    server.map(|data| Record::from_rdata(question.name().clone(), TTL, data)).into_iter().collect()
}

/// A zone's start of authority: with a denial it says how long that may be kept.
#[derive(Debug)]
pub(crate) struct Soa {
    apex: String,
    server: String,
}

impl Soa {
    pub(crate) fn new(apex: &str, server: &str) -> Self {
        Self { apex: apex.into(), server: server.into() }
    }

    /// None where the lab's name makes no domain (`a..b`).
    pub(crate) fn record(&self) -> Option<Record> {
        let server = absolute(&self.server)?;
        let person = absolute(&format!("hostmaster.{}", self.server)).unwrap_or_else(Name::root);
        let soa = SOA::new(server, person, 1, 3600, 600, 86_400, TTL);
        Some(Record::from_rdata(absolute(&self.apex)?, TTL, RData::SOA(soa)))
    }
}

fn absolute(name: &str) -> Option<Name> {
    let mut name = if name.is_empty() { Name::root() } else { Name::from_ascii(name).ok()? };
    name.set_fqdn(true);
    let mut bytes = Vec::new();
    // Too long for a message: better none than half a reply.
    name.emit(&mut BinEncoder::new(&mut bytes)).ok().map(|()| name)
}
