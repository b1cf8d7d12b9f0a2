//! A plan, carried out. Called by `lab`; runs on a thread of its own, which hops from namespace to
//! namespace and ends afterwards.
//!
//! Consecutive requests of one namespace go to the kernel in one batch. Everything made is held by
//! a guard from the moment it exists: when a step fails, or the observer wants to stop, what was
//! made is gone when `apply` returns. When all of the plan is done, every pair carries frames both
//! ways. A plan with a pause is done in two parts, and its caller does something between them.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use crate::directory::Directory;
use crate::error::{Doing, Error, Result};
use crate::identity::Identity;
use crate::link::Link;
use crate::message::{self, Request};
use crate::namespace::Namespace;
use crate::netlink::{Netlink, errno};
use crate::offloads;
use crate::plan::{NsId, Plan, Room, Step};

#[cfg(test)]
mod tests;

/// From one look at links that do not run yet to the next.
const NAP: Duration = Duration::from_millis(1);
/// How long they are slept for altogether, at most: so long, and so much more for each end.
const PATIENCE: Duration = Duration::from_secs(10);
const AN_END: Duration = Duration::from_millis(50);

/// Who is told of what happens.
pub trait Observer: Send {
    /// About to make this named namespace: write it down. An error stops the work.
    ///
    /// # Errors
    /// Whatever kept it from being written down.
    fn recording(&mut self, identity: &Identity) -> io::Result<()>;
    /// `done` steps of `total` are done. False stops the work, and undoes it.
    fn progress(&mut self, done: usize, total: usize) -> bool;
}

/// What a plan has made, and what it was lent, by [`NsId`]; dropping it removes the names.
#[derive(Debug)]
pub struct Applied {
    held: Vec<Held>,
}

#[derive(Debug)]
enum Held {
    No,
    Made(Namespace),
    Borrowed(OwnedFd),
}

impl Applied {
    /// Takes a namespace out, which is then the caller's. None for one that was there before.
    pub fn take(&mut self, ns: NsId) -> Option<Namespace> {
        let held = self.held.get_mut(ns.0)?;
        match std::mem::replace(held, Held::No) {
            Held::Made(namespace) => Some(namespace),
            other => {
                *held = other;
                None
            }
        }
    }

    /// A namespace that is held here.
    #[must_use]
    pub fn fd(&self, ns: NsId) -> Option<BorrowedFd<'_>> {
        match self.held.get(ns.0)? {
            Held::Made(namespace) => Some(namespace.as_fd()),
            Held::Borrowed(fd) => Some(fd.as_fd()),
            Held::No => None,
        }
    }

    /// Carries out what comes after the plan's pause; nothing where there is none.
    ///
    /// # Errors
    /// The first step that failed; everything made before it, by the first part too, is undone.
    pub fn finish(
        &mut self,
        plan: &Plan,
        directory: &Directory,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (first, all) = (plan.first_part(), plan.steps().len());
        if first == all {
            return Ok(());
        }
        let applied = Self { held: std::mem::take(&mut self.held) };
        *self = on_a_thread(|| Apply::new(plan, directory, applied, observer).run(first..all))?;
        Ok(())
    }
}

/// Carries out `plan` as far as its pause. Names go to `directory`; `existing` are the descriptors
/// of [`Room::Existing`], in their order.
///
/// # Errors
/// The first step that failed; everything made before it is undone.
pub fn apply(
    plan: &Plan,
    directory: &Directory,
    existing: &[BorrowedFd<'_>],
    observer: &mut dyn Observer,
) -> Result<Applied> {
    let applied = Applied { held: lent(plan, existing)? };
    let first = 0..plan.first_part();
    on_a_thread(|| Apply::new(plan, directory, applied, observer).run(first))
}

fn on_a_thread(work: impl FnOnce() -> Result<Applied> + Send) -> Result<Applied> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("apply".into())
            .spawn_scoped(scope, work)
            .doing(|| "starting a thread".into())?
            .join()
            .unwrap_or_else(|_| {
                Err(Error::Io {
                    what: "building the namespaces".into(),
                    source: io::Error::other("the thread panicked"),
                })
            })
    })
}

/// What is there before anything is made.
fn lent(plan: &Plan, existing: &[BorrowedFd<'_>]) -> Result<Vec<Held>> {
    let mut given = existing.iter();
    let held = plan.namespaces().iter().map(|room| match room {
        Room::Named(_) | Room::Anonymous => Ok(Held::No),
        Room::Existing(name) => {
            let what = || format!("holding the namespace {name}");
            let fd = given.next().ok_or_else(|| io::Error::from(Errno::ENOENT));
            Ok(Held::Borrowed(fd.and_then(|fd| fd.try_clone_to_owned()).doing(what)?))
        }
    });
    held.collect()
}

/// Whether the kernel refused `step` because it knows no such kind of link.
fn is_no_veth(step: &Step, error: &io::Error) -> bool {
    matches!(step, Step::Veth { .. }) && errno(error) == Some(nix::libc::EOPNOTSUPP)
}

/// Whether one of the links asked for is up and does not run yet. One that somebody has taken down or
/// out meanwhile is nothing to wait for.
fn waiting(netlink: &mut Netlink, asked: &[Request]) -> io::Result<bool> {
    let mut waiting = false;
    let told = netlink.ask(asked, |item| {
        if let RouteNetlinkMessage::NewLink(message) = item {
            let link = Link::from_message(&message);
            waiting |= link.up && !link.running;
        }
    });
    match told {
        Err(error) if errno(&error) != Some(nix::libc::ENODEV) => Err(error),
        _ => Ok(waiting),
    }
}

struct Apply<'a> {
    plan: &'a Plan,
    directory: &'a Directory,
    observer: &'a mut dyn Observer,
    applied: Applied,
    home: Option<NsId>,
    /// Ends of pairs whose offloads are still as the kernel makes them.
    fresh: Vec<(NsId, String)>,
    /// Requests for `home` not sent yet, and the step each belongs to.
    pending: Vec<(Request, usize)>,
}

impl<'a> Apply<'a> {
    fn new(
        plan: &'a Plan,
        directory: &'a Directory,
        applied: Applied,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let (fresh, pending) = (Vec::new(), Vec::new());
        Self { plan, directory, observer, applied, home: None, fresh, pending }
    }

    /// Does the steps of one part.
    fn run(mut self, part: Range<usize>) -> Result<Applied> {
        let total = self.plan.steps().len();
        for place in part.clone() {
            let Some(step) = self.plan.steps().get(place) else { break };
            self.step(place, step)?;
            if !self.observer.progress(place + 1, total) {
                return Err(Error::Interrupted);
            }
        }
        self.flush()?;
        // Of namespaces in which nothing more was to be done.
        while let Some((ns, _)) = self.fresh.first() {
            self.go(*ns)?;
        }
        if part.end == total {
            self.settle()?;
        }
        Ok(self.applied)
    }

    fn step(&mut self, place: usize, step: &Step) -> Result<()> {
        if let Step::Namespace(ns) = step {
            self.flush()?;
            self.home = Some(*ns);
            let made = match &self.plan.namespaces()[ns.0] {
                Room::Named(name) => {
                    let observer = &mut *self.observer;
                    Namespace::named_here(self.directory, name, |id| observer.recording(id))?
                }
                _ => Namespace::anonymous_here()
                    .doing(|| format!("making {}", self.plan.label(*ns)))?,
            };
            self.applied.held[ns.0] = Held::Made(made);
            return Ok(());
        }
        self.go(step.ns())?;
        let request = match step {
            Step::Namespace(_) => return Ok(()),
            Step::Sysctl { key, value, .. } => return self.sysctl(key, value),
            Step::Veth { a, b, mtu } => {
                let ends = [a, b].map(|end| (end.ns, end.name.clone()));
                self.fresh.extend(ends);
                message::veth(a, b, self.fd(b.ns)?.as_raw_fd(), *mtu)
            }
            Step::Up { index, .. } => message::set_up(*index, true),
            Step::Address { index, address, prefix, .. } => {
                message::address(*index, *address, *prefix)
            }
            Step::Route { to, via, index, .. } => message::route(*to, *via, *index),
        };
        self.pending.push((request, place));
        Ok(())
    }

    fn fd(&self, ns: NsId) -> Result<BorrowedFd<'_>> {
        let fd = self.applied.fd(ns).ok_or_else(|| io::Error::from(Errno::ENOENT));
        fd.doing(|| format!("{} is used before it is made", self.plan.label(ns)))
    }

    /// Moves the thread to `ns`, after the work for the old place is done.
    fn go(&mut self, ns: NsId) -> Result<()> {
        if self.home == Some(ns) {
            return Ok(());
        }
        self.flush()?;
        setns(self.fd(ns)?, CloneFlags::CLONE_NEWNET)
            .doing(|| format!("entering {}", self.plan.label(ns)))?;
        self.home = Some(ns);
        self.restrict()
    }

    /// Settings are files, and are there or not; the thread's own namespace is what they show.
    fn sysctl(&mut self, key: &str, value: &str) -> Result<()> {
        self.flush()?;
        match std::fs::write(format!("/proc/sys/net/{key}"), value) {
            Err(e) if matches!(e.raw_os_error(), Some(nix::libc::ENOENT | nix::libc::EROFS)) => {
                tracing::debug!("net/{key} left as it is: {e}");
                Ok(())
            }
            other => other.doing(|| format!("setting net/{key} to {value}")),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (requests, places): (Vec<_>, Vec<_>) = self.pending.drain(..).unzip();
        let home = self.home.map_or("a namespace", |ns| self.plan.label(ns));
        let mut netlink = Netlink::open().doing(|| format!("opening netlink in {home}"))?;
        netlink.run(&requests).map_err(|refused| {
            let step = places.get(refused.place).and_then(|place| self.plan.steps().get(*place));
            if step.is_some_and(|step| is_no_veth(step, &refused.error)) {
                return Error::NoVeth;
            }
            let what = step.map_or_else(|| format!("configuring {home}"), |s| self.describe(s));
            Error::Io { what, source: refused.error }
        })?;
        self.restrict()
    }

    /// Sees to the offloads of the ends that lie here. The end brought up first may be up already:
    /// nothing passes before the other one is, which is seen to before.
    fn restrict(&mut self) -> Result<()> {
        let home = self.home;
        for (_, interface) in self.fresh.extract_if(.., |(ns, _)| Some(*ns) == home) {
            offloads::restrict(&interface, self.plan.are_tunnels_whole())
                .doing(|| format!("turning off offloads of {interface}"))?;
        }
        Ok(())
    }

    /// Waits until both ends of the pairs work. The end brought up last does at once. The other one
    /// has its carrier from then on, but the kernel sets its queue to work a little later, and until
    /// then throws away what it is given to send; the state `up` comes with it.
    ///
    /// A kernel that is asked for one link does this for it at once (Linux 6.8). Of itself it does so
    /// for a hundred ends a second: an older one takes its time for a large lab. Says how long was slept.
    fn settle(&mut self) -> Result<Duration> {
        let early = self.plan.early();
        let ends: usize = early.values().map(BTreeSet::len).sum();
        let patience = PATIENCE + AN_END * u32::try_from(ends).unwrap_or(u32::MAX);
        let mut slept = Duration::ZERO;
        for (ns, indices) in early {
            self.go(ns)?;
            let what = || format!("waiting for the links of {}", self.plan.label(ns));
            let mut netlink = Netlink::open().doing(what)?;
            let asked: Vec<_> = indices.into_iter().map(message::get_link).collect();
            while waiting(&mut netlink, &asked).doing(what)? {
                if slept >= patience {
                    return Err(io::Error::from(Errno::ETIMEDOUT)).doing(what);
                }
                std::thread::sleep(NAP);
                slept += NAP;
            }
        }
        Ok(slept)
    }

    fn describe(&self, step: &Step) -> String {
        let label = |ns: &NsId| self.plan.label(*ns);
        match step {
            Step::Namespace(ns) => format!("making {}", label(ns)),
            Step::Sysctl { ns, key, .. } => format!("setting net/{key} in {}", label(ns)),
            Step::Veth { a, b, .. } => format!(
                "making the veth pair {} in {} and {} in {}",
                a.name,
                label(&a.ns),
                b.name,
                label(&b.ns)
            ),
            Step::Up { ns, index } => format!("setting interface {index} of {} up", label(ns)),
            Step::Address { ns, address, prefix, .. } => {
                format!("giving {} the address {address}/{prefix}", label(ns))
            }
            Step::Route { ns, to: None, via, .. } => {
                format!("setting the default route of {} by {via}", label(ns))
            }
            Step::Route { ns, to: Some((to, prefix)), via, .. } => {
                format!("setting the route of {} to {to}/{prefix} by {via}", label(ns))
            }
        }
    }
}
