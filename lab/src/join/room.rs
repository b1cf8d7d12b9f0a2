//! What a command inside a node sees besides its network, as under `ip netns exec`: a /sys that
//! shows the node's interfaces, and /etc/netns/NAME/FILE in the place of /etc/FILE (`resolv.conf`,
//! `hosts`), for the resolver reads files. The lab's own files are seen where there are none.
//!
//! In a mount namespace of the process's own, so nobody else sees it. A file that cannot be put in
//! its place is told, and the process goes without it; one of the lab's, which nobody asked for, is
//! not told. A /sys that cannot be had, as containers
//! forbid it, stays the host's.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::naming;

/// Where the files of namespaces are.
const FILES: &str = "/etc/netns";

/// Dresses the calling thread, which has entered the namespace called `name`, and what it starts. Says
/// what it has to go without.
pub(crate) fn dress(name: &str, of_lab: Option<&Path>) -> Vec<String> {
    let nothing = None::<&str>;
    let asked = Path::new(FILES).join(name);
    // Of another lab's node, which is called the same: root's, beside a user's.
    let of_a_lab = naming::leads_to_a_lab(&asked);
    let (files, mut missing) = if of_a_lab { Default::default() } else { files(&asked) };
    let mut others = of_lab.map(self::files).unwrap_or_default().0;
    others.retain(|(_, to)| files.iter().all(|(_, taken)| taken != to));
    let apart = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(nothing, "/", nothing, MsFlags::MS_SLAVE | MsFlags::MS_REC, nothing));
    if let Err(error) = apart {
        tracing::debug!("no mount namespace of its own: {error}");
        missing.extend(files.iter().map(|(from, to)| lacking(from, to, error)));
        return missing;
    }
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if statvfs("/sys").is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY)) {
        flags |= MsFlags::MS_RDONLY;
    }
    // Over the old one: where this fails, that one is still there.
    if let Err(error) = mount(Some(name), "/sys", Some("sysfs"), flags, nothing) {
        tracing::debug!("/sys stays the host's: {error}");
    }
    for (from, to) in files {
        if let Err(error) = mount(Some(&from), &to, nothing, MsFlags::MS_BIND, nothing) {
            missing.push(lacking(&from, &to, error));
        }
    }
    for (from, to) in others {
        if let Err(error) = mount(Some(&from), &to, nothing, MsFlags::MS_BIND, nothing) {
            tracing::debug!("{}", lacking(&from, &to, error));
        }
    }
    missing
}

/// That `from` is not seen as `to`, and why.
fn lacking(from: &Path, to: &Path, error: Errno) -> String {
    let why = match std::fs::read_link(to) {
        Ok(target) if !to.exists() => {
            format!("that is a link to {}, which is not there", target.display())
        }
        _ if error == Errno::ENOENT && !to.exists() => {
            "that is not there: make an empty one".to_owned()
        }
        _ => error.desc().to_owned(),
    };
    format!("{} is not seen as {}: {why}", from.display(), to.display())
}

/// Each file of `folder` and the one of /etc it stands for; and what could not be read.
fn files(folder: &Path) -> (Vec<(PathBuf, PathBuf)>, Vec<String>) {
    let mut files = Vec::new();
    let mut missing = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (files, missing),
        other => other.map(|entries| entries.collect::<Result<Vec<_>, _>>()),
    };
    match entries.and_then(|entries| entries) {
        Ok(entries) => files.extend(
            entries.iter().map(|entry| (entry.path(), Path::new("/etc").join(entry.file_name()))),
        ),
        Err(error) => missing.push(format!("{} cannot be read: {error}", folder.display())),
    }
    (files, missing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use crate::naming::leads_to_a_lab;

    #[test]
    fn what_leads_to_any_lab_s_files_is_no_person_s() {
        let folder = tempfile::tempdir().unwrap();
        let leads = |target: &str| {
            let link = folder.path().join("net1");
            symlink(target, &link).unwrap();
            let leads = leads_to_a_lab(&link);
            std::fs::remove_file(&link).unwrap();
            leads
        };
        assert!(leads("/run/uswitch/uswitch/etc/0") && leads("/run/user/7/uswitch/m1/etc/12"));
        for theirs in ["/srv/names", "/srv/uswitch/etc/net1", "/srv/m1/names/0", "12"] {
            assert!(!leads(theirs), "{theirs}");
        }
        assert!(!leads_to_a_lab(folder.path()), "a folder of files");
    }
}
