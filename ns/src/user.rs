//! Entering a user namespace, so that a lab needs no root. Called by the command first of all: the
//! kernel allows it to a process of one thread only.
//!
//! The caller becomes root of a user namespace of its own, with a mount namespace beside it in
//! which nothing it mounts is seen from outside. Everything a lab makes then belongs to the
//! process and vanishes with it.

use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{AccessFlags, access, getgid, getuid};

use crate::error::{Doing, Error, Result};

/// By what right the process can make namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It may make them, and name them in `/run/netns`.
    Root,
    /// It may not, outside a user namespace of its own.
    Ordinary,
}

/// Capabilities by number (`linux/capability.h`): CAP_NET_ADMIN and CAP_SYS_ADMIN.
const NEEDED: u64 = 1 << 12 | 1 << 21;

/// Which of the two this process has: root is who may make a network namespace and mount, and
/// whose `/run` it is to write. Root of a user namespace of its own alone has the first, and only
/// what looks like the host's `/run`.
#[must_use]
pub fn privilege() -> Privilege {
    if is_capable() && access("/run", AccessFlags::W_OK).is_ok() {
        Privilege::Root
    } else {
        Privilege::Ordinary
    }
}

/// Whether this thread may make a network namespace and mount, be it in a user namespace of its own.
#[must_use]
pub fn is_capable() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    effective & NEEDED == NEEDED
}

/// Makes the process root of a user namespace and a mount namespace of its own.
///
/// # Errors
/// [`Error::NoPrivilege`] when the system forbids it, with what to change.
pub fn enter() -> Result<()> {
    let (uid, gid) = (getuid(), getgid());
    let refused = |source: io::Error| Error::NoPrivilege { mend: mend(), source };
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|e| refused(e.into()))?;
    std::fs::write("/proc/self/setgroups", "deny").map_err(refused)?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).map_err(refused)?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).map_err(refused)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|e| refused(e.into()))?;
    // A user namespace may be had and still be worth nothing (AppArmor): ask before building.
    sys::netns::apart(|| Ok(unshare(CloneFlags::CLONE_NEWNET)))
        .doing(|| "trying a network namespace".into())?
        .map_err(|e| refused(e.into()))
}

/// What forbids user namespaces here, as far as the system says.
fn mend() -> String {
    let setting = |path: &str| std::fs::read_to_string(path).ok().map(|s| s.trim().to_owned());
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "run as root, or set kernel.unprivileged_userns_clone=1".into()
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "run as root, or raise user.max_user_namespaces above 0".into()
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "run as root, or set kernel.apparmor_restrict_unprivileged_userns=0".into()
    } else {
        "run as root, or allow user namespaces (a container needs --privileged, or CAP_SYS_ADMIN \
         and CAP_NET_ADMIN with seccomp allowing unshare)"
            .into()
    }
}

/// Raises the soft limit of open files to the hard one: a lab holds a descriptor a namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_open_files() -> Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).doing(|| "reading the limit of open files".into())?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .doing(|| format!("raising the limit of open files to {hard}"))?;
    Ok(hard)
}
