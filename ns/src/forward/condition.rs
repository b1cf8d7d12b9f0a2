//! What the registers of a rule hold, and what a comparison of it says of the packets asked about.

use super::Ask;
use super::scope::Scope;

const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// Protocol, address, port: where they lie in a packet, and how long they are.
const FIELDS: [(u32, usize, usize); 3] = [(NETWORK, 9, 1), (NETWORK, 16, 4), (TRANSPORT, 2, 2)];

/// What a register holds.
#[derive(Clone, Debug, Default)]
pub(super) enum Value {
    #[default]
    Unread,
    /// Bytes of the packet, of which only these bits where a mask is given.
    Packet {
        base: u32,
        offset: usize,
        length: usize,
        mask: Option<Vec<u8>>,
    },
    Protocol,
    InterfaceName,
    InterfaceIndex,
    /// The rule's own words.
    Known(Vec<u8>),
}

/// A comparison (`enum nft_cmp_ops`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Equal,
    Not,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Is {
    pub(super) fn read(number: u32) -> Option<Self> {
        let all = [Self::Equal, Self::Not, Self::Less, Self::AtMost, Self::More, Self::AtLeast];
        all.get(number as usize).copied()
    }

    fn holds<T: Ord>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Not => a != b,
            Self::Less => a < b,
            Self::AtMost => a <= b,
            Self::More => a > b,
            Self::AtLeast => a >= b,
        }
    }
}

impl Value {
    /// Whether something here can judge it.
    pub(super) fn tells(&self) -> bool {
        match self {
            Self::Packet { base, offset, length, .. } => FIELDS
                .iter()
                .any(|(of, at, _)| of == base && (*offset..offset + length).contains(at)),
            Self::Unread | Self::Known(_) => false,
            Self::Protocol | Self::InterfaceName | Self::InterfaceIndex => true,
        }
    }
}

/// Narrows `scope` to what compares so.
pub(super) fn condition(scope: &mut Scope, ask: &Ask<'_>, held: &Value, is: Is, value: &[u8]) {
    let byte = value.first().copied().unwrap_or(0);
    match held {
        Value::Protocol => scope.protocols(|protocol| is.holds(&protocol, &byte)),
        Value::InterfaceIndex => {
            let index = value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            if !is.holds(&ask.index, &index) {
                scope.empty();
            }
        }
        Value::InterfaceName => {
            // Without a zero behind it, it is the beginning of names.
            let end = value.iter().position(|byte| *byte == 0);
            let same = match end {
                Some(end) => ask.interface.as_bytes() == &value[..end],
                None => ask.interface.as_bytes().starts_with(value),
            };
            match is {
                Is::Equal if !same => scope.empty(),
                Is::Not if same => scope.empty(),
                Is::Equal | Is::Not => {}
                _ => scope.unread(),
            }
        }
        Value::Packet { base, offset, length, mask } => {
            packet(scope, ask, (*base, *offset, *length), mask.as_deref(), is, value);
        }
        Value::Known(_) | Value::Unread => scope.unread(),
    }
}

/// The same of bytes of the packet.
fn packet(
    scope: &mut Scope,
    ask: &Ask<'_>,
    (base, offset, length): (u32, usize, usize),
    mask: Option<&[u8]>,
    is: Is,
    value: &[u8],
) {
    let mut judged = 0;
    for (of, at, size) in FIELDS {
        let inside = at >= offset && at + size <= offset + length;
        // Of several fields at once only equality says something of each.
        if of != base || !inside || (size != length && is != Is::Equal) {
            continue;
        }
        let part = |bytes: &[u8]| {
            let part = bytes.get(at - offset..at - offset + size).unwrap_or_default();
            part.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte))
        };
        let (wanted, bits) = (part(value), mask.map_or(u32::MAX, part));
        let holds = |number: u32| is.holds(&(number & bits), &wanted);
        match (of, at) {
            (TRANSPORT, _) => scope.ports(|port| holds(port.into())),
            (_, 9) => scope.protocols(|protocol| holds(protocol.into())),
            _ if !holds(ask.address.into()) => scope.empty(),
            _ => {}
        }
        judged += size;
    }
    if judged < length {
        scope.unread();
    }
}
