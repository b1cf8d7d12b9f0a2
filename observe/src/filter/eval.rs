//! Asking a filter's questions of a frame.
//!
//! Each answer is `Some(yes or no)`, or None where the frame ends before the bytes asked about, and
//! where something is divided by nothing: as in BPF, that ends the whole filter with "not wanted".

use super::Frame;
use super::ast::{At, Expr, Is, Operator, Size, Test, Value};
use crate::pcapng::Direction;

/// Where tags that travel beside the frame stand in it, and the bytes of each.
const TAG_AT: usize = 12;
const TAG: usize = 4;

pub(super) fn matches(root: &Expr, frame: &Frame<'_>) -> bool {
    ask(root, &View::new(frame)) == Some(true)
}

fn ask(expr: &Expr, view: &View<'_>) -> Option<bool> {
    Some(match expr {
        Expr::Not(inner) => !ask(inner, view)?,
        Expr::And(a, b) => ask(a, view)? && ask(b, view)?,
        Expr::Or(a, b) => ask(a, view)? || ask(b, view)?,
        Expr::Test(test) => return one(test, view),
    })
}

fn one(test: &Test, view: &View<'_>) -> Option<bool> {
    Some(match test {
        Test::Field { at, size, mask, is, value } => {
            let found = view.load(view.place(*at, 0)?, *size)?;
            is.holds(found & mask, *value)
        }
        Test::Relation { left, is, right } => {
            let (left, right) = (view.value(left)?, view.value(right)?);
            is.holds(left, right)
        }
        Test::Chain { v6, net, number } => chain(view, *v6, *net, u32::from(*number))?,
        Test::Inbound => view.frame.direction == Direction::In,
    })
}

impl Is {
    const fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// The frame as it stands on the wire, with its tags in their place.
struct View<'a> {
    frame: &'a Frame<'a>,
    tags: [u8; 2 * TAG],
    /// Bytes of them.
    tagged: usize,
}

impl<'a> View<'a> {
    fn new(frame: &'a Frame<'a>) -> Self {
        let mut view = Self { frame, tags: [0; 2 * TAG], tagged: 0 };
        let own = frame.tags.iter().flatten().filter(|_| frame.bytes.len() >= TAG_AT);
        for (tag, place) in own.zip(view.tags.chunks_exact_mut(TAG)) {
            let ([a, b], [c, d]) = (tag.tpid.to_be_bytes(), tag.tci.to_be_bytes());
            place.copy_from_slice(&[a, b, c, d]);
            view.tagged += TAG;
        }
        view
    }

    fn load(&self, at: usize, size: Size) -> Option<u32> {
        let (bytes, len) = (self.frame.bytes, size as usize);
        let end = at.checked_add(len)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let (tagged, behind) = (self.tagged, TAG_AT + self.tagged);
        match tagged {
            0 => Some(number(bytes.get(at..end)?)),
            _ if end <= TAG_AT => Some(number(bytes.get(at..end)?)),
            _ if at >= behind => Some(number(bytes.get(at - tagged..end - tagged)?)),
            _ => (at..end).try_fold(0, |n, at| {
                let byte = match at {
                    _ if at < TAG_AT => bytes.get(at),
                    _ if at < behind => self.tags.get(at - TAG_AT),
                    _ => bytes.get(at - tagged),
                };
                Some(n << 8 | u32::from(*byte?))
            }),
        }
    }

    /// The byte that `index` is counted to from `at`. Behind a header the sum wraps, as BPF's
    /// registers do; from the frame's beginning it does not.
    fn place(&self, at: At, index: u32) -> Option<usize> {
        let (base, index) = match at {
            At::Frame(base) => (base, index),
            At::Behind { net, offset } => {
                let header = 4 * (self.load(net, Size::One)? & 0xf);
                (net + offset, index.wrapping_add(header))
            }
        };
        base.checked_add(usize::try_from(index).ok()?)
    }

    fn value(&self, value: &Value) -> Option<u32> {
        Some(match value {
            Value::Number(number) => *number,
            Value::Length => {
                let length = self.frame.length.max(self.frame.bytes.len());
                u32::try_from(length + self.tagged).unwrap_or(u32::MAX)
            }
            Value::Load { at, index, size } => {
                let place = self.place(*at, self.value(index)?)?;
                self.load(place, *size)?
            }
            Value::Negated(inner) => self.value(inner)?.wrapping_neg(),
            Value::Computed(operator, left, right) => {
                operator.of(self.value(left)?, self.value(right)?)?
            }
        })
    }
}

impl Operator {
    /// None where the divisor is 0. What is shifted by more than it has bits is 0.
    pub(super) fn of(self, left: u32, right: u32) -> Option<u32> {
        Some(match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::Mul => left.wrapping_mul(right),
            Self::Div => left.checked_div(right)?,
            Self::Mod => left.checked_rem(right)?,
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
            Self::Left => left.checked_shl(right).unwrap_or(0),
            Self::Right => left.checked_shr(right).unwrap_or(0),
        })
    }
}

const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const AUTHENTICATION: u32 = 51;
const OPTIONS: u32 = 60;

/// Whether the headers behind an IP header lead to `number`. Each step goes forward, so a chain
/// without an end ends with the frame.
fn chain(view: &View<'_>, v6: bool, net: usize, number: u32) -> Option<bool> {
    let (mut next, mut header) = if v6 {
        (view.load(net + 6, Size::One)?, 40)
    } else {
        (view.load(net + 9, Size::One)?, 4 * (view.load(net, Size::One)? & 0xf))
    };
    while next != number {
        let at = net.checked_add(usize::try_from(header).ok()?)?;
        let length = match next {
            HOP_BY_HOP | ROUTING | FRAGMENT | OPTIONS if v6 => {
                (view.load(at + 1, Size::One)? + 1) * 8
            }
            AUTHENTICATION => (view.load(at + 1, Size::One)? + 2) * 4,
            _ => return Some(false),
        };
        next = view.load(at, Size::One)?;
        header += length;
    }
    Some(true)
}
