//! Labs of other users, of which nothing can be had but the news that they are there.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User, geteuid};

use crate::called::{self, program};
use crate::config::LabName;
use crate::error::Error;
use crate::ground::Ground;
use crate::lock;

/// Where root's labs are.
const ROOTS: &str = "/run/uswitch";

/// The error that says whose the lab is, where this user has none of that name and another does.
/// One that runs in this network namespace is seen by its beacon; one of root's by its folder too.
pub(crate) fn owner(ground: &Ground, name: &LabName) -> Option<Error> {
    let own = geteuid().as_raw();
    let folder = || {
        let path = Path::new(ROOTS).join(name.as_str());
        let found = std::fs::symlink_metadata(&path).ok()?;
        let other = found.is_dir() && found.uid() != own && !path.starts_with(ground.base());
        other.then(|| found.uid())
    };
    let owner = lock::owner_elsewhere(name).or_else(folder)?;
    let uid = Uid::from_raw(owner);
    let called = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let start =
        format!("or start your own with `{} up{}`", program(), called::option(name.as_str()));
    let (owner, mend) = match called {
        _ if uid.is_root() => ("root".into(), format!("use `sudo uswitch …`, {start}")),
        Some(user) if own == 0 => {
            let mend = format!("use `sudo -u {user} uswitch …`, {start}");
            (format!("user {user}"), mend)
        }
        Some(user) => (format!("user {user}"), format!("ask as that user, {start}")),
        None => (format!("user {owner}"), format!("ask as that user, {start}")),
    };
    Some(Error::Others { lab: name.to_string(), owner, mend })
}
