//! Frames that the header before them on a packet socket has no word for: sent by the loopback with a
//! mark, and made there what they are (`c/finish.bpf.c`).
//!
//! One program at one interface, whatever the number of ports; nothing of it is pinned. The loopback of
//! the switch's namespace has no other use.

use std::io;
use std::os::fd::AsFd;

use aya::EbpfLoader;
use aya::programs::Program as Loaded;
use sys::bpf::{Attached, Program};

use crate::load::{Error, refused};

/// What `bpf/build` made of `c/finish.bpf.c`.
pub const OBJECT: &[u8] = include_bytes!("../finish.o");

/// Where the kind is in a mark, and what stands for each.
const KIND_SHIFT: u32 = 30;
const TUNNEL: u32 = 1;
const TAGGED: u32 = 2;
const INNER_V6: u32 = 1 << 29;
const HEADERS_SHIFT: u32 = 21;
/// The greatest interface index that a mark can name.
const LAST: u32 = (1 << HEADERS_SHIFT) - 1;
/// Most bytes of headers that the program takes away and puts back.
const MOST: usize = 400;

/// What a frame is, where its header cannot say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Segments in a datagram of UDP over IPv4, without a tag.
    Tunnel {
        /// Bytes from the outer IP header to the inner one.
        headers: usize,
        /// The inner one is IPv6.
        v6: bool,
    },
    /// One whose outermost tag, the first thing behind its addresses, is to stand beside it.
    Tagged,
}

impl Kind {
    /// The mark with which such a frame leaves by an interface. None where the two do not fit into one.
    #[must_use]
    pub fn mark(self, ifindex: u32) -> Option<u32> {
        if ifindex == 0 || ifindex > LAST {
            return None;
        }
        let what = match self {
            Self::Tagged => TAGGED << KIND_SHIFT,
            Self::Tunnel { headers, v6 } => {
                if headers > MOST || headers % 2 != 0 {
                    return None;
                }
                let pairs = u32::try_from(headers / 2).ok()?;
                TUNNEL << KIND_SHIFT | pairs << HEADERS_SHIFT | if v6 { INNER_V6 } else { 0 }
            }
        };
        Some(what | ifindex)
    }
}

/// The loaded program.
pub struct Finish(Program);

impl Finish {
    /// Loads it.
    ///
    /// # Errors
    /// [`Error::Refused`] without CAP_BPF and CAP_NET_ADMIN of the first user namespace;
    /// [`Error::NoTcx`].
    pub fn load() -> Result<Self, Error> {
        let mut loader = EbpfLoader::new();
        let mut object = loader.btf(None).load(OBJECT).map_err(|error| refused(&error))?;
        let Some(Loaded::SchedClassifier(program)) = object.program_mut("finish") else {
            return Err(Error::Lacks("finish"));
        };
        program.load().map_err(|error| refused(&error))?;
        let fd = program.fd().map_err(|error| refused(&error))?;
        let program = Program::from(fd.as_fd().try_clone_to_owned()?);
        if !program.can_attach() {
            return Err(Error::NoTcx);
        }
        Ok(Self(program))
    }

    /// Has an interface of the calling thread's namespace, its loopback, finish what it is given.
    ///
    /// # Errors
    /// ENODEV; EPERM.
    pub fn attach(&self, ifindex: u32) -> io::Result<Attached> {
        self.0.attach_egress(ifindex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_and_where() {
        let tunnel = |headers, v6| Kind::Tunnel { headers, v6 }.mark(7);
        assert_eq!(tunnel(50, false), Some(0x4000_0007 | 25 << 21));
        assert_eq!(tunnel(50, true), Some(0x6000_0007 | 25 << 21));
        assert_eq!(Kind::Tagged.mark(LAST), Some(0x8000_0000 | LAST));
    }

    #[test]
    fn what_does_not_fit_has_none() {
        assert_eq!(Kind::Tagged.mark(LAST + 1), None);
        assert_eq!(Kind::Tagged.mark(0), None);
        for headers in [51, MOST + 2] {
            assert_eq!(Kind::Tunnel { headers, v6: false }.mark(7), None);
        }
    }

    #[test]
    fn the_layout_is_the_same_on_both_sides() {
        let source = include_str!("../c/finish.bpf.c");
        let says = |text: &str| assert!(source.contains(text), "{text:?}");
        says(&format!("#define KIND(mark) ((mark) >> {KIND_SHIFT})\n"));
        says(&format!("#define TUNNEL {TUNNEL}\n"));
        says(&format!("#define TAGGED {TAGGED}\n"));
        says(&format!("#define IFINDEX(mark) ((mark) & {LAST:#x})\n"));
        says(&format!("(((mark) >> {HEADERS_SHIFT} & 0xff) * 2)\n"));
        says(&format!("#define INNER_V6 (1u << {})\n", INNER_V6.ilog2()));
        says(&format!("#define MOST {MOST}\n"));
    }
}
