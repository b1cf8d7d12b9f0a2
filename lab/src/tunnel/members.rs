//! Who may send to a tunnel: packets of VXLAN come in from its remote ends alone, others are dropped
//! before the host's stack sees them, and counted.
//!
//! A BPF program at the ingress of every interface of the host (tcx, Linux 6.6), also of those that come
//! later; a thread hears of them. Nothing is pinned: it ends with the process, however that ends. Where
//! the kernel has no such programs a tunnel is open, as one of the kernel's own is, and says so.

mod frame;
mod program;
mod program6;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::poll::PollTimeout;
use ns::watch::{Event, Watcher};
use sys::bpf::{Area, Attached, KeySet, Kind, Program};

use self::frame::{FOREIGN, LAST, Target, WORDS};
use crate::watch::{Stop, Watch, Woken};

/// Most remote ends of a tunnel.
const MOST: u32 = 16_384;

/// Who may send to a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Its remote ends.
    Members {
        /// Packets of others, which were dropped.
        foreign: u64,
        /// Where the last of them came from.
        last: Option<IpAddr>,
    },
    /// Whoever can send to the UDP port.
    Open,
}

/// The filter of a tunnel, as long as this lives.
#[derive(Debug)]
pub(crate) struct Members {
    set: KeySet,
    /// Whether its ends are of IPv6.
    ipv6: bool,
    within: Mutex<BTreeSet<IpAddr>>,
    counts: Area,
    /// An interface may have been left out.
    leaks: Arc<AtomicBool>,
    _watch: Watch,
}

impl Members {
    /// Looks at what comes to a UDP port of the host for a network of this number; these are members
    /// from the first packet on. The kernel's socket of a tunnel takes packets of the family of its own
    /// end alone, so those of the other are nobody's business here.
    ///
    /// # Errors
    /// Where the kernel takes no such program.
    pub(crate) fn begin(
        outer: &File,
        (vni, port, local): (u32, u16, IpAddr),
        all: BTreeSet<IpAddr>,
    ) -> io::Result<Self> {
        let ipv6 = local.is_ipv6();
        let set = KeySet::new("tunnel_members", if ipv6 { 16 } else { 4 }, MOST)?;
        all.iter().try_for_each(|end| set.insert(&bytes(*end)))?;
        let counts = Area::new("tunnel_foreign", WORDS)?;
        let target = Target { vni, port };
        let ops = match ipv6 {
            true => program6::program(target, &set, &counts),
            false => program::program(target, &set, &counts),
        };
        let program = Program::load(Kind::Ingress, "tunnel_members", &ops)?;
        if !program.can_attach() {
            return Err(io::Error::other("this kernel has no tcx (Linux 6.6)"));
        }
        let outer = outer.try_clone()?;
        let watcher = Watcher::new(outer.as_fd()).map_err(io::Error::other)?;
        let leaks = Arc::default();
        let mut doors =
            Doors { program, outer, attached: BTreeMap::new(), leaks: Arc::clone(&leaks) };
        doors.all()?;
        let watch = Watch::start("members", move |stop| {
            if let Err(error) = doors.follow(watcher, &stop) {
                doors.leaks.store(true, Ordering::Relaxed);
                tracing::error!("tunnel {vni}: new interfaces are not looked at: {error}");
            }
        });
        let watch = watch.map_err(io::Error::other)?;
        Ok(Self { set, ipv6, within: Mutex::new(all), counts, leaks, _watch: watch })
    }

    /// These alone may send from now on.
    pub(crate) fn set(&self, all: &BTreeSet<IpAddr>) {
        let mut within = self.within.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut come, mut gone) = (all.difference(&within), within.difference(all));
        let told = come.try_for_each(|end| self.set.insert(&bytes(*end)));
        match told.and_then(|()| gone.try_for_each(|end| self.set.remove(&bytes(*end)))) {
            Ok(()) => within.clone_from(all),
            Err(error) => tracing::warn!("a remote end may not be let in: {error}"),
        }
    }

    /// Who may send, and who has tried.
    pub(crate) fn senders(&self) -> Senders {
        if self.leaks.load(Ordering::Relaxed) {
            return Senders::Open;
        }
        let word = |at: usize| self.counts.words()[at].load(Ordering::Relaxed);
        let foreign = word(FOREIGN);
        let (first, second) = (word(LAST).to_ne_bytes(), word(LAST + 1).to_ne_bytes());
        let last = match self.ipv6 {
            true => {
                let mut all = [0; 16];
                all[..8].copy_from_slice(&first);
                all[8..].copy_from_slice(&second);
                Ipv6Addr::from(all).into()
            }
            false => {
                let [a, b, c, d, ..] = first;
                Ipv4Addr::new(a, b, c, d).into()
            }
        };
        let last = (foreign > 0).then_some(last);
        Senders::Members { foreign, last }
    }
}

/// An address as it lies in a packet.
fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(own) => own.octets().into(),
        IpAddr::V6(own) => own.octets().into(),
    }
}

/// The interfaces at which the program is.
struct Doors {
    program: Program,
    outer: File,
    attached: BTreeMap<u32, Attached>,
    leaks: Arc<AtomicBool>,
}

impl Doors {
    /// At all interfaces there are, and no others.
    fn all(&mut self) -> io::Result<()> {
        let there = self.interfaces()?;
        self.attached.retain(|index, _| there.contains(index));
        let new: Vec<_> = there.into_iter().filter(|at| !self.attached.contains_key(at)).collect();
        let made = sys::netns::inside(self.outer.as_fd(), || {
            let made = new.into_iter().map(|index| (index, self.program.attach_ingress(index)));
            Ok(made.collect::<Vec<_>>())
        })?;
        let mut failed = Vec::new();
        for (index, attached) in made {
            match attached {
                Ok(attached) => drop(self.attached.insert(index, attached)),
                Err(error) => failed.push((index, error)),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        // One that has gone meanwhile needs none.
        let there = self.interfaces()?;
        failed.into_iter().find(|(index, _)| there.contains(index)).map_or(Ok(()), |(_, e)| Err(e))
    }

    fn interfaces(&self) -> io::Result<BTreeSet<u32>> {
        let view = ns::route::look(self.outer.as_fd()).map_err(io::Error::other)?;
        Ok(view.links.iter().map(|link| link.index).collect())
    }

    fn follow(&mut self, mut watcher: Watcher, stop: &Stop) -> io::Result<()> {
        // What came before the watch began.
        self.all()?;
        loop {
            if stop.wait(watcher.as_fd(), PollTimeout::NONE)? == Woken::Stop {
                return Ok(());
            }
            let events = watcher.events().map_err(io::Error::other)?;
            let is_news = |event: &Event| match event {
                Event::Changed(link) => !self.attached.contains_key(&link.index),
                Event::Gone(link) => self.attached.contains_key(&link.index),
                Event::Lost => true,
            };
            if events.iter().any(is_news) {
                self.all()?;
            }
        }
    }
}
