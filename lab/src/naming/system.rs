//! The links by which `ip netns exec` finds a lab's files: /etc/netns/NAMESPACE leads to a view.
//!
//! What stands there and is not a link into our run directory is somebody else's, and stays. A link
//! of ours that leads nowhere is left over, also from an earlier boot, and is removed by whichever
//! lab comes next. Where /etc cannot be written to, `ip netns exec` goes without names.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where iproute2 looks.
const FOLDER: &str = "/etc/netns";
/// In a folder that was made by us, to be removed with the last link.
const MARK: &str = ".uswitch";

fn place(namespace: &str) -> PathBuf {
    Path::new(FOLDER).join(namespace)
}

/// Lets `namespace` see the files of `view`.
pub(super) fn link(namespace: &str, view: &Path, base: &Path) {
    if let Err(error) = try_link(namespace, view, base) {
        tracing::info!("`ip netns exec {namespace}` goes without the lab's names: {error}");
    }
}

fn try_link(namespace: &str, view: &Path, base: &Path) -> io::Result<()> {
    let place = place(namespace);
    match symlink(view, &place) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir(FOLDER)?;
            symlink("made by uswitch", Path::new(FOLDER).join(MARK))?;
            symlink(view, &place)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Ours, of this lab or of one that is gone; else somebody has files there, and these
            // are seen.
            if is_left_over(&place, base) || super::leads_to(&place, view) {
                fs::remove_file(&place)?;
                return symlink(view, &place);
            }
            Ok(())
        }
        other => other,
    }
}

/// `namespace` is gone.
pub(super) fn unlink(namespace: &str, folder: &Path) {
    let place = place(namespace);
    if fs::read_link(&place).is_ok_and(|target| target.starts_with(folder)) {
        let _ = fs::remove_file(&place);
    }
}

/// Removes what labs that are gone have left.
pub(super) fn tidy(base: &Path, folder: &Path) {
    remove(|place| is_left_over(place, base) && !leads_into(place, folder));
}

/// Removes all links into `folder`, what labs that are gone have left, and the place itself where
/// it was made by us and nothing is left in it.
pub(super) fn sweep(base: &Path, folder: &Path) {
    remove(|place| leads_into(place, folder) || is_left_over(place, base));
    let mark = Path::new(FOLDER).join(MARK);
    let names = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    if names.map(|entry| entry.file_name()).eq([MARK]) && fs::remove_file(&mark).is_ok() {
        // Somebody may have been quicker.
        if fs::remove_dir(FOLDER).is_err() {
            let _ = symlink("made by uswitch", &mark);
        }
    }
}

fn remove(which: impl Fn(&Path) -> bool) {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        if which(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn leads_into(place: &Path, folder: &Path) -> bool {
    fs::read_link(place).is_ok_and(|target| target.starts_with(folder))
}

/// A link into the run directory that leads nowhere.
fn is_left_over(place: &Path, base: &Path) -> bool {
    leads_into(place, base) && !place.exists()
}
