//! A filter as a tree: comparisons of the frame's bytes, joined by not, and, or.
//!
//! Offsets are fixed when the filter is read ([`super::layers`]), so that the tree knows nothing of
//! protocols and asking it is a walk.

/// A question about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    Test(Test),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// A field, masked, beside a number.
    Field { at: At, size: Size, mask: u32, is: Is, value: u32 },
    /// Two values beside each other.
    Relation { left: Value, is: Is, right: Value },
    /// Whether the chain of headers that begins in the IP header at `net` leads to `number`.
    Chain { v6: bool, net: usize, number: u8 },
    /// Whether the frame came in from the port, and did not leave by it.
    Inbound,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// So many bytes from the frame's beginning.
    Frame(usize),
    /// So many bytes behind the IPv4 header that begins at `net`.
    Behind { net: usize, offset: usize },
}

/// How many bytes, in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    One = 1,
    Two = 2,
    Four = 4,
}

/// How two numbers without sign have to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Equal,
    Greater,
    AtLeast,
}

/// A number, found in the frame or computed; arithmetic is of 32 bits and wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u32),
    /// The frame's length on the wire.
    Length,
    Load {
        at: At,
        index: Box<Value>,
        size: Size,
    },
    Negated(Box<Value>),
    Computed(Operator, Box<Value>, Box<Value>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Left,
    Right,
}

/// Which end of a packet is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    Src,
    Dst,
    Either,
    Both,
}

impl Expr {
    pub(super) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    pub(super) fn and(self, next: Self) -> Self {
        Self::And(Box::new(self), Box::new(next))
    }

    pub(super) fn or(self, next: Self) -> Self {
        Self::Or(Box::new(self), Box::new(next))
    }

    /// A field that has to be `value`.
    pub(super) fn equal(at: usize, size: Size, value: u32) -> Self {
        Self::masked(at, size, value, u32::MAX)
    }

    /// A field whose bits in `mask` have to be `value`.
    pub(super) fn masked(at: usize, size: Size, value: u32, mask: u32) -> Self {
        Self::field(At::Frame(at), size, mask, Is::Equal, value & mask)
    }

    /// A field compared.
    pub(super) fn field(at: At, size: Size, mask: u32, is: Is, value: u32) -> Self {
        Self::Test(Test::Field { at, size, mask, is, value })
    }

    /// Bytes that have to be these. libpcap compares from their end, four at a time, and a frame
    /// that ends between them shows it.
    pub(super) fn bytes(at: usize, bytes: &[u8]) -> Self {
        let (size, len) = match bytes.len() {
            4.. => (Size::Four, 4),
            2..4 => (Size::Two, 2),
            _ => (Size::One, 1),
        };
        let (front, last) = bytes.split_at(bytes.len().saturating_sub(len));
        let value = last.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let test = Self::equal(at + front.len(), size, value);
        if front.is_empty() { test } else { test.and(Self::bytes(at, front)) }
    }

    /// What holds of the source and of the destination, as `dir` wants it.
    pub(super) fn ends(dir: Dir, src: Self, dst: Self) -> Self {
        match dir {
            Dir::Src => src,
            Dir::Dst => dst,
            Dir::Either => src.or(dst),
            Dir::Both => src.and(dst),
        }
    }
}
