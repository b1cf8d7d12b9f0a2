//! tcpdump's filter language (pcap-filter(7)) for Ethernet: a text becomes a [`Filter`], a filter
//! says of a frame whether it is wanted.
//!
//! ```text
//!   text ─► lex (words) ─► parse (and, or, not) ─► heads (src host …) ─► ends, protocols ─┐
//!                             └► relation (ip[0] & 0xf != 5) ──────────► layers (offsets) ─┴► ast
//!   frame ─► eval, over the ast
//! ```
//!
//! Same words, same meaning as libpcap, odd corners included: `and` and `or` bind equally and
//! from the left; a number without a keyword takes the last one (`port 80 or 443`); after `vlan`
//! all later words look behind the tag; a frame too short for a question is not wanted, whatever
//! stands around the question. tcpdump is the oracle in the tests. Beyond it, a node's name stands
//! for its addresses, alone as well, and `proto` takes names without a backslash; not read is what
//! [`refused`] names, and a bare number as an address.

mod ast;
mod ends;
mod error;
mod eval;
mod heads;
mod layers;
mod lex;
mod numbers;
mod parse;
mod primitives;
mod protocols;
mod refused;
mod relation;

use std::net::{IpAddr, Ipv4Addr};

use wire::{MacAddr, VlanTag};

use crate::pcapng::Direction;

pub use error::FilterError;

/// What a filter's words can stand for.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Hosts by their names: a lab's nodes, so that `host net1` works. One by each of its interfaces;
    /// nothing for a name that is not known.
    pub host: &'a dyn Fn(&str) -> Vec<Host>,
    /// The network's mask, which `ip broadcast` needs.
    pub netmask: Option<Ipv4Addr>,
}

/// A host's addresses, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its IP address.
    pub address: Option<IpAddr>,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
}

impl Known<'_> {
    /// No names, no mask.
    pub const NOTHING: Known<'static> = Known { host: &|_| Vec::new(), netmask: None };
}

/// A frame to be asked about.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What there is of it, without the tags that travel beside it.
    pub bytes: &'a [u8],
    /// Those tags, the outermost first: the one that the kernel took out, and at a port that puts one
    /// before it, both.
    pub tags: [Option<VlanTag>; 2],
    /// How long it was on the wire, without those tags.
    pub length: usize,
    /// Whether it came in or went out where it was seen.
    pub direction: Direction,
}

/// Whether `word` means something in the filter language, and so can be no node's name.
#[must_use]
pub fn is_word(word: &str) -> bool {
    parse::is_keyword(word) || refused::why(word).is_some()
}

/// A parsed filter. Evaluating it allocates nothing.
#[derive(Clone, Debug)]
pub struct Filter {
    root: Option<ast::Expr>,
}

impl Filter {
    /// Wants every frame.
    pub const ALL: Self = Self { root: None };

    /// Reads a filter; the empty text wants every frame.
    ///
    /// # Errors
    /// [`FilterError`], which points at the word.
    pub fn parse(text: &str, known: &Known<'_>) -> Result<Self, FilterError> {
        parse::parse(text, known).map(|root| Self { root })
    }

    /// Whether the frame is wanted.
    #[must_use]
    pub fn wants(&self, frame: &Frame<'_>) -> bool {
        self.root.as_ref().is_none_or(|root| eval::matches(root, frame))
    }

    /// True where it wants every frame.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.root.is_none()
    }
}

#[cfg(test)]
mod tests;
