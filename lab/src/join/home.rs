//! A container's namespace, for processes other than the lab's. The record has none of them, for the lab
//! makes and removes none: its process says where one is (`Lab::home_of`), and which.
//!
//! What it says is a path, and that is not believed: what is there is opened only where it is
//! a namespace, and the very one that the lab has seen the node's link in.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use control::api::Home;

use super::Entrance;
use crate::config::LabName;
use crate::error::{Doing, Result};
use crate::ground::Ground;
use crate::holder::Process;
use crate::naming;
use crate::served;

/// Where `ip netns` has its names.
const NAMED: [&str; 2] = ["/run/netns", "/var/run/netns"];

/// Whether a lab serves engines, so that its record does not name all its nodes.
#[must_use]
pub fn serves(ground: &Ground, lab: &LabName) -> bool {
    served::places(ground, lab).exists()
}

/// The way into a node that lives where the lab's process has said.
///
/// # Errors
/// Where no lab runs, and where that namespace cannot be had.
pub fn by(ground: &Ground, lab: &LabName, told: &Home) -> Result<Entrance> {
    let (_, process) = super::inside(ground, lab)?;
    let node = told.node.clone();
    let netns = open(told, process.as_ref()).doing(|| beyond(&node, told.path.as_deref()))?;
    let named = told.path.as_deref().and_then(name);
    // By the kernel's name nobody has put files for it into /etc/netns.
    let name = named.unwrap_or_else(|| kernels(told.inode));
    let files = ground.folder(lab)?.and_then(|folder| naming::seen_by(&folder, &node));
    Ok(Entrance { node, name, user: process.as_ref().and_then(user), netns, files })
}

/// That a container's namespace is beyond our reach, and what to type instead.
pub(crate) fn beyond(node: &str, path: Option<&str>) -> String {
    let named = path.and_then(name);
    // What Docker has not joined yet is without a path; podman names the namespaces it makes so.
    let (engine, command) = match (path, &named) {
        (None, _) => (" of Docker", format!("docker exec {node} …")),
        (Some(path), None) if path.contains("/docker/") => {
            (" of Docker", format!("docker exec {node} …"))
        }
        (_, Some(name)) if name.starts_with("netns-") => {
            (" of podman", format!("podman exec {node} …"))
        }
        (_, Some(name)) => (" of an engine with CNI", format!("ip netns exec {name} …")),
        (Some(path), None) => ("", format!("nsenter --net={path} …")),
    };
    format!("{node} is a container{engine}, whose network namespace cannot be had; try `{command}`")
}

/// Where it is seen from here; else where the lab's process sees it: an engine's paths may be in mounts of
/// its own.
fn open(told: &Home, process: Option<&Process>) -> io::Result<File> {
    let path = told.path.as_ref().map(Path::new).filter(|path| path.is_absolute());
    let path = path.ok_or(io::ErrorKind::NotFound)?;
    checked(path, told).or_else(|why| {
        let Some(process) = process else { return Err(why) };
        let beside = path.strip_prefix("/").unwrap_or(path);
        let root = Path::new("/proc").join(process.id().to_string()).join("root");
        // What went wrong at first is what can be looked at by hand.
        checked(&root.join(beside), told).map_err(|_| why)
    })
}

/// Opens what is there if it is the namespace that was told of.
fn checked(path: &Path, told: &Home) -> io::Result<File> {
    // In the kernel's file system of namespaces a number is one's alone.
    crate::home::namespace(path, |seen| (seen.dev(), seen.ino()) == (told.device, told.inode))
}

/// What the kernel calls a network namespace.
fn kernels(inode: u64) -> String {
    format!("net:[{inode}]")
}

/// The name of a path as `ip netns` has it.
fn name(path: &str) -> Option<String> {
    let path = Path::new(path);
    let parent = path.parent()?;
    let named = NAMED.iter().any(|folder| parent == Path::new(folder));
    named.then(|| path.file_name()?.to_str().map(str::to_owned)).flatten()
}

/// The user namespace of the lab's process, where that is another: a user's containers are in it.
fn user(process: &Process) -> Option<File> {
    let theirs = process.open("ns/user").ok()?;
    let own = std::fs::metadata("/proc/self/ns/user").ok()?;
    let seen = theirs.metadata().ok()?;
    ((seen.dev(), seen.ino()) != (own.dev(), own.ino())).then_some(theirs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn own() -> Home {
        let seen = std::fs::metadata("/proc/self/ns/net").unwrap();
        let path = Some("/proc/self/ns/net".into());
        Home { node: "web".into(), path, device: seen.dev(), inode: seen.ino() }
    }

    #[test]
    fn the_namespace_that_was_told_of_is_opened() {
        let file = open(&own(), None).unwrap();
        assert_eq!(file.metadata().unwrap().ino(), own().inode);
    }

    #[test]
    fn what_else_is_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        // Called as the kernel calls it.
        let called = kernels(own().inode);
        std::fs::write(at(&called), "").unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/proc/self/ns/uts", at("other")).unwrap();
        for name in ["file", &called, "pipe", "other", "missing"] {
            let path = Some(at(name).to_str().unwrap().into());
            assert!(open(&Home { path, ..own() }, None).is_err(), "{name}");
        }
        // Another one than the one that was told of.
        assert!(open(&Home { inode: own().inode + 1, ..own() }, None).is_err());
        assert!(open(&Home { path: None, ..own() }, None).is_err());
        assert!(open(&Home { path: Some("ns/net".into()), ..own() }, None).is_err());
    }

    #[test]
    fn what_to_type_instead_is_the_engines() {
        for (path, says) in [
            (None, "of Docker, whose network namespace cannot be had; try `docker exec web …`"),
            (Some("/var/run/docker/netns/1a2b"), "`docker exec web …`"),
            (Some("/run/netns/netns-1a2b"), "of podman"),
            (Some("/var/run/netns/cni-1a2b"), "`ip netns exec cni-1a2b …`"),
            (Some("/proc/7/ns/net"), "is a container, whose"),
        ] {
            let said = beyond("web", path);
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn names_are_those_of_ip_netns() {
        assert_eq!(name("/run/netns/pod2").as_deref(), Some("pod2"));
        assert_eq!(name("/var/run/netns/pod2").as_deref(), Some("pod2"));
        assert_eq!(name("/run/docker/netns/pod2"), None);
        assert_eq!(name("/proc/7/ns/net"), None);
    }
}
