//! ICMP messages (RFC 792), told apart as a router must: queries, replies, errors.
//!
//! Errors quote the packet they are about from byte 8 on; queries and replies carry an
//! identifier at byte 4, which is to ICMP what a port is to UDP.

use crate::bytes::{get16, put16};
use crate::checksum::{self, Delta};

/// Bytes before the data or the quoted packet.
pub const HEADER_LEN: usize = 8;

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Source quench, which nobody sends any more (RFC 6633).
pub const SOURCE_QUENCH: u8 = 4;
/// Redirect.
pub const REDIRECT: u8 = 5;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;
/// Timestamp request.
pub const TIMESTAMP_REQUEST: u8 = 13;
/// Timestamp reply.
pub const TIMESTAMP_REPLY: u8 = 14;

/// Codes of [`UNREACHABLE`] (RFC 792, RFC 1122, RFC 1812).
pub mod unreachable {
    /// No route.
    pub const NET: u8 = 0;
    /// The next hop does not answer ARP.
    pub const HOST: u8 = 1;
    /// The protocol is not carried.
    pub const PROTOCOL: u8 = 2;
    /// Nothing listens there.
    pub const PORT: u8 = 3;
    /// Too large for the next link, and Don't Fragment is set.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Communication administratively prohibited.
    pub const PROHIBITED: u8 = 13;
}

/// The highest type that Linux knows (`NR_ICMP_TYPES`), which is address mask reply.
const LAST_KNOWN: u8 = 18;

/// Whether a message of this type tells of another packet, or may: no error is sent about one (RFC 1122
/// 3.2.2, RFC 1812 4.3.2.7). Of types that it does not know Linux thinks so too.
#[must_use]
pub const fn tells_of_another(message_type: u8) -> bool {
    let known = matches!(
        message_type,
        UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    );
    known || message_type > LAST_KNOWN
}

/// What a message is, to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A question that expects an answer with the same identifier.
    Request,
    /// Such an answer.
    Reply,
    /// A report about a quoted packet.
    Error,
    /// Anything else: redirects, router discovery, deprecated types.
    Other,
}

/// A checked view of an ICMP message.
#[derive(Clone, Copy)]
pub struct Icmp<B>(B);

impl<B: AsRef<[u8]>> Icmp<B> {
    /// None where the eight bytes are not all there.
    #[must_use]
    #[inline]
    pub fn parse(bytes: B) -> Option<Self> {
        (bytes.as_ref().len() >= HEADER_LEN).then_some(Self(bytes))
    }

    /// The type.
    #[must_use]
    pub fn message_type(&self) -> u8 {
        self.0.as_ref()[0]
    }

    /// The code within the type.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.0.as_ref()[1]
    }

    /// The type, as a router sorts it.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Kind {
        match self.message_type() {
            ECHO_REQUEST | TIMESTAMP_REQUEST => Kind::Request,
            ECHO_REPLY | TIMESTAMP_REPLY => Kind::Reply,
            UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM => Kind::Error,
            _ => Kind::Other,
        }
    }

    /// The identifier of a request or reply.
    #[must_use]
    pub fn id(&self) -> u16 {
        get16(self.0.as_ref(), 4)
    }

    /// The sequence number of a request or reply.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        get16(self.0.as_ref(), 6)
    }

    /// The MTU in "fragmentation needed" (RFC 1191).
    #[must_use]
    pub fn mtu(&self) -> u16 {
        get16(self.0.as_ref(), 6)
    }

    /// The checksum field.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        get16(self.0.as_ref(), 2)
    }

    /// True where the whole message sums up.
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        checksum::fold(checksum::sum(self.0.as_ref())) == 0xffff
    }

    /// What follows the eight bytes: data, or the quoted packet.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Icmp<B> {
    /// Replaces the identifier; the checksum follows.
    #[inline]
    pub fn set_id(&mut self, id: u16) {
        let delta = Delta::NONE.word(self.id(), id);
        put16(self.0.as_mut(), 4, id);
        self.apply(delta);
    }

    /// Replaces the type; the checksum follows.
    pub fn set_type(&mut self, message_type: u8) {
        let old = get16(self.0.as_ref(), 0);
        self.0.as_mut()[0] = message_type;
        let new = get16(self.0.as_ref(), 0);
        self.apply(Delta::NONE.word(old, new));
    }

    /// The quoted packet, to be changed; [`Icmp::fill_checksum`] must follow.
    pub fn body_mut(&mut self) -> &mut [u8] {
        &mut self.0.as_mut()[HEADER_LEN..]
    }

    /// Computes the checksum of the whole message anew.
    pub fn fill_checksum(&mut self) {
        fill_checksum(self.0.as_mut());
    }

    #[inline]
    fn apply(&mut self, delta: Delta) {
        let value = delta.apply(self.checksum());
        put16(self.0.as_mut(), 2, value);
    }
}

/// Computes the checksum of the ICMP message in `bytes` (at least [`HEADER_LEN`]; shorter ones
/// are left alone).
pub fn fill_checksum(bytes: &mut [u8]) {
    if bytes.len() >= HEADER_LEN {
        put16(bytes, 2, 0);
        let value = checksum::checksum(bytes);
        put16(bytes, 2, value);
    }
}
