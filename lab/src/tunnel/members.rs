//! Who may send to a tunnel: packets of VXLAN come in from its remote ends alone, and by the interfaces that lead
//! to them; others are dropped before the host's stack sees them, and counted.
//!
//! A BPF program at the ingress of every interface of the host (tcx, Linux 6.6), also of those that come
//! later; a thread hears of them, and of routes. Nothing is pinned: it ends with the process, however that
//! ends. Where the kernel has no such programs a tunnel is open, as one of the kernel's own is, and says so.

mod frame;
mod gate;
mod program;
mod program6;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ns::ways::Changes;
use sys::bpf::{Area, Attached, KeySet, Kind, Program};

use self::frame::{BY, FOREIGN, LAST, Target, WORDS};
use self::gate::{Gate, key_len};
use crate::watch::{Again, Stop, Watch, Woken};

/// Most keys of a tunnel: of 16,384 remote ends each with the interfaces that lead to it, and the host's
/// ports of bridges.
const MOST: u32 = 131_072;

/// Who may send to a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Its remote ends.
    Members {
        /// Packets of others, which were dropped.
        foreign: u64,
        /// Where the last of them came from.
        last: Option<IpAddr>,
        /// The interface that it came in by, where the address is a remote end's: none that leads there.
        by: Option<String>,
    },
    /// Whoever can send to the UDP port.
    Open,
}

/// The filter of a tunnel, as long as this lives.
#[derive(Debug)]
pub(crate) struct Members {
    /// Whether its ends are of IPv6.
    ipv6: bool,
    gate: Arc<Mutex<Gate>>,
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
        let key = u8::try_from(key_len(ipv6)).map_err(io::Error::other)?;
        let set = KeySet::new("tunnel_members", key, MOST)?;
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
        let changes = Changes::new(outer.as_fd()).map_err(io::Error::other)?;
        let gate = Gate::begin(set, outer.try_clone()?, (ipv6, all))?;
        let gate = Arc::new(Mutex::new(gate));
        let leaks = Arc::default();
        let (outer, attached) = (outer.try_clone()?, BTreeMap::new());
        let mut doors =
            Doors { program, outer, attached, gate: Arc::clone(&gate), leaks: Arc::clone(&leaks) };
        doors.all()?;
        let watch = Watch::start("members", move |stop| {
            if let Err(error) = doors.follow(changes, &stop) {
                doors.leaks.store(true, Ordering::Relaxed);
                tracing::error!(
                    "tunnel {vni}: new interfaces and routes are not looked at: {error}"
                );
            }
        });
        let watch = watch.map_err(io::Error::other)?;
        Ok(Self { ipv6, gate, counts, leaks, _watch: watch })
    }

    /// These alone may send from now on.
    pub(crate) fn set(&self, all: &BTreeSet<IpAddr>) {
        if let Err(error) = lock(&self.gate).set(all) {
            tracing::warn!("a remote end may not be let in: {error}");
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
        let gate = lock(&self.gate);
        let index = u32::try_from(word(BY)).unwrap_or(0);
        let astray = last.is_some_and(|last| gate.members.contains(&last));
        let by = if astray { name_of(&gate.outer, index) } else { None };
        Senders::Members { foreign, last, by }
    }
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an interface is called, if it is still there.
fn name_of(outer: &File, index: u32) -> Option<String> {
    let links = ns::link::list(outer.as_fd()).ok()?;
    links.into_iter().find(|link| link.index == index).map(|link| link.name)
}

/// The interfaces at which the program is.
struct Doors {
    program: Program,
    outer: File,
    attached: BTreeMap<u32, Attached>,
    gate: Arc<Mutex<Gate>>,
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
        let places = ns::ways::places(self.outer.as_fd()).map_err(io::Error::other)?;
        Ok(places.iter().map(|place| place.index).collect())
    }

    fn follow(&mut self, mut changes: Changes, stop: &Stop) -> io::Result<()> {
        let mut again = Again::default();
        loop {
            let changed = {
                let mut gate = lock(&self.gate);
                let mut changed =
                    changes.take(&gate.members, &gate.ways).map_err(io::Error::other)?;
                // Of a link or an address the kernel tells before it takes the routes that go with it.
                changed.routes |= again.due(changed.routes, sys::clock::now());
                if changed.links || changed.routes {
                    gate.look(changed)?;
                }
                changed
            };
            if changed.links {
                self.all()?;
            }
            if stop.wait(changes.as_fd(), again.patience(sys::clock::now()))? == Woken::Stop {
                return Ok(());
            }
        }
    }
}
