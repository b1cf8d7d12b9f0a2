//! The common subset of the pcap-filter language: a text becomes a [`Filter`], a filter says of a
//! frame whether it is wanted.
//!
//! Same words, same meaning as libpcap, odd corners included: `and` and `or` bind equally and
//! from the left; a number without a keyword takes the last one (`port 80 or 443`); after `vlan`
//! all later words look behind the tag; a frame too short for a question is not wanted, whatever
//! stands around the question. tcpdump is the oracle in the tests.

mod ast;
mod error;
mod eval;
mod lex;
mod parse;
mod qualifiers;

use std::net::IpAddr;

use wire::VlanTag;

pub use error::FilterError;

/// Turns a name into an address: a lab's nodes, so that `host net1` works.
pub type Names<'a> = &'a dyn Fn(&str) -> Option<IpAddr>;

/// Whether `word` means something in the filter language, and so can be no node's name.
#[must_use]
pub fn is_word(word: &str) -> bool {
    parse::is_keyword(word) || FURTHER.contains(&word)
}

/// Words of libpcap's language that no node should be called by, whether they are known here or not.
const FURTHER: &[&str] = &[
    "mask",
    "gateway",
    "protochain",
    "link",
    "tr",
    "wlan",
    "fddi",
    "ppp",
    "slip",
    "radio",
    "ah",
    "esp",
    "igmp",
    "igrp",
    "pim",
    "vrrp",
    "carp",
    "len",
    "inbound",
    "outbound",
    "ifname",
    "on",
    "ifindex",
    "mpls",
    "pppoed",
    "pppoes",
    "geneve",
    "llc",
    "stp",
    "ipx",
    "netbeui",
    "atalk",
    "aarp",
    "decnet",
    "iso",
    "lat",
    "moprc",
    "mopdl",
];

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
    pub fn parse(text: &str, names: Names<'_>) -> Result<Self, FilterError> {
        parse::parse(text, names).map(|root| Self { root })
    }

    /// Whether the frame is wanted. `bytes` is the frame without the tag the kernel took out,
    /// `vlan` that tag.
    #[must_use]
    pub fn wants(&self, bytes: &[u8], vlan: Option<VlanTag>) -> bool {
        self.root.as_ref().is_none_or(|root| eval::matches(root, bytes, vlan))
    }

    /// True where it wants every frame.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.root.is_none()
    }
}

#[cfg(test)]
mod tests;
