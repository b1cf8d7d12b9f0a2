//! What a command inside a node sees besides its network, as under `ip netns exec`: a /sys that
//! shows the node's interfaces, and /etc/netns/NAME/FILE in the place of /etc/FILE (`resolv.conf`,
//! `hosts`), for the resolver reads files.
//!
//! In a mount namespace of the process's own, so nobody else sees it. Where the system forbids a
//! part, as containers do, the process goes without it.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};

/// Where the files of namespaces are.
const FILES: &str = "/etc/netns";

/// Dresses the calling process, which has entered the namespace called `name`. It must have no
/// other thread.
pub(super) fn dress(name: &str) {
    let nothing = None::<&str>;
    let apart = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(nothing, "/", nothing, MsFlags::MS_SLAVE | MsFlags::MS_REC, nothing));
    if let Err(error) = apart {
        return tracing::debug!("no mount namespace of its own: {error}");
    }
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if statvfs("/sys").is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY)) {
        flags |= MsFlags::MS_RDONLY;
    }
    // Over the old one: where this fails, that one is still there.
    if let Err(error) = mount(Some(name), "/sys", Some("sysfs"), flags, nothing) {
        tracing::debug!("/sys stays the host's: {error}");
    }
    for (from, to) in files(&Path::new(FILES).join(name)) {
        if let Err(error) = mount(Some(&from), &to, nothing, MsFlags::MS_BIND, nothing) {
            tracing::debug!("{} stays the host's: {error}", to.display());
        }
    }
}

/// Each file of `folder`, and the one of /etc it stands for.
fn files(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.path(), Path::new("/etc").join(entry.file_name()))).collect()
}
