//! What is ours is opened, what is not is refused with its reason.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn place(word: &str) -> Place {
    let path = std::env::temp_dir().join(format!("uswitch-folder-{word}-{}", std::process::id()));
    std::fs::remove_dir_all(&path).ok();
    std::fs::create_dir(&path).unwrap();
    mode(&path, 0o700);
    Place(path)
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T>, word: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(word), "no {word:?} in: {error}");
}

#[test]
fn what_is_not_ours_is_refused() {
    let place = place("refused");
    let folder = Folder::open(&place.0).unwrap().unwrap();
    std::fs::write(place.0.join("mine"), "x").unwrap();
    mode(&place.0.join("mine"), 0o600);
    assert_eq!(folder.read("mine").unwrap().unwrap(), b"x");
    assert!(folder.read("nothing").unwrap().is_none());
    for bad in [0o620, 0o602, 0o666] {
        mode(&place.0.join("mine"), bad);
        refused(folder.read("mine"), "written to by others");
        refused(folder.keep("mine"), "written to by others");
    }
    symlink("/etc/hostname", place.0.join("link")).unwrap();
    refused(folder.read("link"), "symbolic link");
    refused(folder.keep("link"), "symbolic link");
    refused(folder.enter("link"), "symbolic link");
    nix::unistd::mkfifo(&place.0.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(folder.read("pipe"), "no plain file");
    refused(folder.enter("mine"), "no folder");
    refused(folder.socket("mine"), "no socket");
    std::fs::create_dir(place.0.join("below")).unwrap();
    mode(&place.0.join("below"), 0o777);
    refused(folder.enter("below"), "written to by others");
    mode(&place.0.join("below"), 0o755);
    assert!(folder.enter("below").unwrap().is_some());
}

#[test]
fn others_may_share_the_run_directory_only_where_it_is_sticky() {
    let place = place("sticky");
    mode(&place.0, 0o1777);
    assert!(Folder::open(&place.0).unwrap().is_some());
    mode(&place.0, 0o777);
    refused(Folder::open(&place.0), "mode 777");
    if geteuid().is_root() {
        mode(&place.0, 0o700);
        nix::unistd::chown(&place.0, Some(Uid::from_raw(65534)), None).unwrap();
        refused(Folder::open(&place.0), "belongs to user");
    }
}

#[test]
fn a_file_made_under_any_mask_is_for_us_alone() {
    let place = place("mask");
    let folder = Folder::open(&place.0).unwrap().unwrap();
    for file in [folder.keep("kept").unwrap().unwrap(), folder.fresh("fresh").unwrap()] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
    }
    let file = folder.keep("kept").unwrap().unwrap();
    assert!(folder.holds("kept", &file));
    folder.fresh("kept").unwrap();
    assert!(!folder.holds("kept", &file));
}
