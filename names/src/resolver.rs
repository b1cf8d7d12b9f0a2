//! One query, one answer: what the lab knows it answers, what it does not know it passes on or
//! denies. Pure; called by the server for each message, whatever it came by.
//!
//! RFC 1035 for the messages, 2308 for "there is none", 6891 for EDNS, 8482 and 8906 for what is
//! asked oddly. Bytes that are no query get no answer, and a query that cannot be read FORMERR.

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::reply::{self, Echo, Soa};
use crate::subnet::{Subnet, of_reverse_name, reverse_name};
use crate::zone::{Found, GATEWAY, Reverse, View, Zone};

/// What the sender of a query is told, and when.
#[derive(Debug)]
pub enum Answer {
    /// This, now.
    Reply(Vec<u8>, Said),
    /// Others are to be asked first.
    Forward(Forward),
    /// Nothing: it was no query.
    Nothing,
}

/// What kind of reply it is, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The name is there.
    Answered,
    /// It is not (NXDOMAIN).
    Denied,
    /// The question was refused, not understood, or not one for us.
    Refused,
}

/// A query for others.
#[derive(Debug)]
pub struct Forward {
    /// The message to send them. Its identifier is 0 and theirs to choose.
    pub query: Vec<u8>,
    /// How their response becomes our reply.
    pub echo: Echo,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// In a datagram; a reply of more than this many bytes does not fit into one.
    Udp(usize),
    /// In a stream.
    Tcp,
}

/// Header of a message: RFC 1035 section 4.1.1.
pub(crate) const HEADER: usize = 12;
const RESPONSE: u8 = 0x80;

/// Answers for a lab.
#[derive(Debug)]
pub struct Resolver {
    zone: Zone,
    further: bool,
}

impl Resolver {
    /// A resolver for `zone`; `further` where there are others to ask what it does not know.
    #[must_use]
    pub fn new(zone: Zone, further: bool) -> Self {
        Self { zone, further }
    }

    /// The names.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The names, to be changed.
    pub fn zone_mut(&mut self) -> &mut Zone {
        &mut self.zone
    }

    /// Answers a message of one who asks.
    #[must_use]
    pub fn ask(&self, bytes: &[u8], from: &View, over: Over) -> Answer {
        let Some(head) = bytes.get(..HEADER).filter(|head| head[2] & RESPONSE == 0) else {
            return Answer::Nothing;
        };
        let bare = |code| Answer::Reply(reply::bare(head, code), Said::Refused);
        let op = OpCode::from_u8(head[2] >> 3 & 0xf);
        if op != OpCode::Query {
            return bare(ResponseCode::NotImp);
        }
        let Ok(message) = Message::from_vec(bytes) else { return bare(ResponseCode::FormErr) };
        let [question] = message.queries.as_slice() else { return bare(ResponseCode::FormErr) };
        let echo = Echo::new(&message, question, over);
        if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return refuse(&echo, ResponseCode::BADVERS);
        }
        match (question.query_class(), u16::from(question.query_type())) {
            (DNSClass::IN, 252 | 251) => refuse(&echo, ResponseCode::Refused),
            // OPT, and those that stand for no record (RFC 6895 section 3.1); of them ANY alone is
            // answered.
            (DNSClass::IN, 0 | 41 | 128..=254) => refuse(&echo, ResponseCode::NotImp),
            (DNSClass::IN, _) => self.answer(&message, question, echo, from),
            _ => refuse(&echo, ResponseCode::Refused),
        }
    }

    fn answer(&self, message: &Message, question: &Query, echo: Echo, from: &View) -> Answer {
        let asked = question.name().to_lowercase().to_ascii();
        let name = asked.trim_end_matches('.');
        if let Some(address) = of_reverse_name(name) {
            return match self.zone.reverse(address, from) {
                Reverse::Name(owner) => self.pointer(&echo, question, address, &owner),
                Reverse::NotHere(subnet) => self.deny(&echo, &subnet.domain()),
                Reverse::Elsewhere => self.elsewhere(message, question, echo, from),
            };
        }
        // Whoever asks draws the number at random: so several that are called alike take turns.
        match self.zone.find_in_turn(name, from, message.metadata.id) {
            Found::Addresses(addresses) => {
                let records = reply::addresses(question, &addresses);
                let soa = self.soa(self.apex(name));
                Answer::Reply(echo.records(records, &soa), Said::Answered)
            }
            Found::Domain => {
                let soa = self.soa(self.zone.domain());
                let records = match question.query_type() {
                    RecordType::SOA | RecordType::ANY => soa.record().into_iter().collect(),
                    RecordType::NS => reply::name_server(question, &soa),
                    _ => Vec::new(),
                };
                Answer::Reply(echo.records(records, &soa), Said::Answered)
            }
            Found::NotHere => self.deny(&echo, self.apex(name)),
            Found::Elsewhere if self.is_within_subnets(name) => {
                // Between the domain of a subnet and its addresses there is nothing to be found.
                let soa = self.soa(name);
                Answer::Reply(echo.records(Vec::new(), &soa), Said::Answered)
            }
            Found::Elsewhere => self.elsewhere(message, question, echo, from),
        }
    }

    fn pointer(&self, echo: &Echo, question: &Query, address: IpAddr, owner: &str) -> Answer {
        let records = match question.query_type() {
            RecordType::PTR | RecordType::ANY => reply::pointer(question, owner),
            _ => Vec::new(),
        };
        let subnet = self.zone.networks().filter_map(|id| self.zone.network(id));
        let subnet = subnet.flat_map(|net| &net.subnets).find(|subnet| subnet.contains(address));
        let domain = subnet.map_or_else(|| reverse_name(address), Subnet::domain);
        Answer::Reply(echo.records(records, &self.soa(&domain)), Said::Answered)
    }

    /// What the lab does not know. A node that may not reach what lies beyond the gateway, by any of its
    /// networks, gets no question there either: names carry data both ways.
    fn elsewhere(&self, message: &Message, question: &Query, echo: Echo, from: &View) -> Answer {
        let beyond = self.zone.way_out(from).is_some();
        match (self.further && beyond, message.metadata.recursion_desired) {
            (true, true) => {
                let query = reply::onward(message, question);
                match query {
                    Some(query) => Answer::Forward(Forward { query, echo }),
                    None => refuse(&echo, ResponseCode::ServFail),
                }
            }
            // We know it only by asking others, and are asked not to.
            (true, false) => refuse(&echo, ResponseCode::Refused),
            // There is nobody else: in this lab's world the name does not exist.
            (false, _) => self.deny(&echo, ""),
        }
    }

    fn deny(&self, echo: &Echo, apex: &str) -> Answer {
        Answer::Reply(echo.denial(&self.soa(apex)), Said::Denied)
    }

    /// The zone that a name of the lab's lies in: the lab's domain, or, of a name without a domain,
    /// one of its own.
    fn apex<'a>(&'a self, name: &'a str) -> &'a str {
        let within = name.strip_suffix(self.zone.domain()).is_some_and(|head| head.ends_with('.'));
        if within || name == self.zone.domain() { self.zone.domain() } else { name }
    }

    fn soa(&self, apex: &str) -> Soa {
        Soa::new(apex, &format!("{GATEWAY}.{}", self.zone.domain()))
    }

    /// Whether a name is that of several addresses of a subnet of ours (`0.100.10.in-addr.arpa`).
    fn is_within_subnets(&self, name: &str) -> bool {
        let subnets = self.zone.networks().filter_map(|id| self.zone.network(id));
        name.ends_with(".arpa")
            && subnets.flat_map(|net| &net.subnets).any(|subnet| {
                let domain = subnet.domain();
                let head = name.strip_suffix(domain.as_str());
                head.is_some_and(|head| head.is_empty() || is_numbers(head))
            })
    }
}

/// Whether these labels, each with a dot behind it, can belong to an address.
fn is_numbers(labels: &str) -> bool {
    let number = |label: &str| {
        !label.is_empty() && label.len() <= 3 && label.bytes().all(|b| b.is_ascii_hexdigit())
    };
    labels.strip_suffix('.').is_some_and(|labels| labels.split('.').all(number))
}

fn refuse(echo: &Echo, code: ResponseCode) -> Answer {
    Answer::Reply(echo.error(code), Said::Refused)
}

/// The name of a question, for the books: in lower case, without a dot at its end.
#[must_use]
pub fn asked(bytes: &[u8]) -> Option<(String, RecordType)> {
    let message = Message::from_vec(bytes).ok()?;
    let query =
        message.queries.first().filter(|_| message.metadata.message_type == MessageType::Query)?;
    let name: Name = query.name().to_lowercase();
    Some((name.to_ascii().trim_end_matches('.').to_owned(), query.query_type()))
}

#[cfg(test)]
mod tests;
