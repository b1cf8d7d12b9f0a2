//! The run directory is not believed: what another user put there, numbers in files, files that are
//! swept away, and labs that are somebody else's.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chown};

use crate::support::{As, Process, Sandbox, rooted, rootless};

/// Somebody else than the sandbox's user.
const STRANGER: u32 = 2000;

/// Each verb that looks for a lab.
const VERBS: [&[&str]; 10] = [
    &["show"],
    &["down"],
    &["exec", "net1", "--", "true"],
    &["ping", "-c", "1", "net1", "8.8.8.8"],
    &["ping", "--all"],
    &["publish", "8080:net1:80"],
    &["add"],
    &["monitor"],
    &["explain", "net1", "8.8.8.8"],
    &["run", "--check"],
];

/// A process of the sandbox's user that has nothing to do with it.
fn bystander(sandbox: &Sandbox) -> Process {
    let mut command = sandbox.command(As::User, Path::new("sleep"));
    command.arg("300");
    Process::start(command, "a bystander")
}

/// The folder the user's labs are in.
fn base(sandbox: &Sandbox) -> PathBuf {
    sandbox.dir.join("user/uswitch")
}

fn give(path: &Path, uid: u32, mode: u32) {
    chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid))).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A run directory as another user makes it: a lock that is held, with `number` in it, and a socket
/// that answers with what a terminal obeys. Gives what keeps the lock.
fn trap(sandbox: &Sandbox, number: &str) -> (Flock<std::fs::File>, std::thread::JoinHandle<bool>) {
    let lab = base(sandbox).join("uswitch");
    std::fs::create_dir_all(&lab).unwrap();
    let path = lab.join("lock");
    std::fs::write(&path, format!("{number}\n")).unwrap();
    let lock = Flock::lock(std::fs::File::open(&path).unwrap(), FlockArg::LockExclusive).unwrap();
    let listener = UnixListener::bind(lab.join("control.sock")).unwrap();
    for path in [&path, &lab.join("control.sock"), &lab, &base(sandbox)] {
        give(path, STRANGER, 0o777);
    }
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 16];
        let said = stream.read(&mut asked).unwrap() > 0;
        let body = r#"{"error":"\u001b]0;owned\u0007"}"#;
        let length = body.len();
        let _ = write!(stream, "HTTP/1.1 500 x\r\ncontent-length: {length}\r\n\r\n{body}");
        said
    });
    (lock, heard)
}

#[test]
fn another_user_s_run_directory_is_refused_by_every_verb() {
    rootless(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        let mut bystander = bystander(sandbox);
        let _trap = trap(sandbox, &bystander.pid().to_string());
        for verb in VERBS {
            let ended = sandbox.uswitch(verb);
            assert!(ended.code.is_some_and(|code| code != 0), "{verb:?}: {ended:?}");
            assert_eq!(ended.err.lines().count(), 1, "{verb:?}: {}", ended.err);
            assert!(ended.err.contains("belongs to user 2000"), "{verb:?}: {}", ended.err);
        }
        // Down to the last file each is looked at.
        for path in [base(sandbox), base(sandbox).join("uswitch")] {
            give(&path, 65534, 0o700);
            for verb in VERBS {
                let ended = sandbox.uswitch(verb);
                let line = ended.err.lines().next().unwrap_or_default();
                assert!(ended.code.is_some_and(|code| code != 0), "{verb:?}: {ended:?}");
                // In a user namespace of its own `run` cannot tell who.
                assert!(line.contains("belongs to user"), "{verb:?}: {}", ended.err);
            }
        }
        assert!(bystander.running(), "a process of the user's was signalled");
    });
}

#[test]
fn folders_that_others_can_write_to_and_links_are_refused() {
    rootless(|sandbox| {
        let lab = base(sandbox).join("uswitch");
        let mine = |path: &Path, mode| {
            std::fs::create_dir_all(path).unwrap();
            if sandbox.real_root {
                give(path, 65534, mode);
            } else {
                std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
        };
        mine(&base(sandbox), 0o700);
        for mode in [0o770, 0o702, 0o777] {
            mine(&lab, mode);
            for verb in VERBS {
                let ended = sandbox.uswitch(verb);
                assert!(ended.err.contains("written to by others"), "{verb:?}: {}", ended.err);
                assert!(ended.code.is_some_and(|code| code != 0), "{verb:?}");
            }
        }
        mine(&lab, 0o700);
        std::fs::rename(&lab, sandbox.dir.join("user/elsewhere")).unwrap();
        std::os::unix::fs::symlink(sandbox.dir.join("user/elsewhere"), &lab).unwrap();
        for verb in VERBS {
            let ended = sandbox.uswitch(verb);
            assert!(ended.err.contains("symbolic link"), "{verb:?}: {}", ended.err);
        }
    });
}

#[test]
fn numbers_in_files_reach_nobody() {
    rootless(|sandbox| {
        let before = sandbox.state();
        let mut bystander = bystander(sandbox);
        for number in ["-1", "0", "1", "x", "", &bystander.pid().to_string()] {
            sandbox.uswitch(&["up"]).ok();
            let lock = base(sandbox).join("uswitch/lock");
            std::fs::write(&lock, number).unwrap();
            let journal = base(sandbox).join("uswitch/journal");
            assert!(std::fs::read_to_string(&journal).unwrap().contains("net1"));
            sandbox.uswitch(&["exec", "net1", "--", "true"]).ok();
            let ended = sandbox.uswitch(&["down"]).ok();
            assert_eq!(ended.out, "lab uswitch is down\n", "{number:?}");
            assert!(bystander.running(), "{number:?}: the bystander is gone");
        }
        assert_eq!(sandbox.state(), before);
    });
}

/// The process of the lab `uswitch` of root's.
fn process() -> nix::unistd::Pid {
    let text = std::fs::read_to_string("/run/uswitch/uswitch/lock").unwrap();
    nix::unistd::Pid::from_raw(text.trim().parse().unwrap())
}

#[test]
fn a_lab_that_does_not_answer_is_stopped_all_the_same() {
    rooted(|sandbox| {
        let before = sandbox.state();
        sandbox.uswitch(&["up"]).ok();
        let lab = process();
        nix::sys::signal::kill(lab, Signal::SIGSTOP).unwrap();
        std::fs::write("/run/uswitch/uswitch/lock", "4711").unwrap();
        let mut down = sandbox.start(&["down"]);
        std::thread::sleep(Duration::from_millis(300));
        assert!(down.running(), "it is waited for");
        nix::sys::signal::kill(lab, Signal::SIGCONT).unwrap();
        assert_eq!(down.ended().ok().out, "lab uswitch is down\n");
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn swept_files_do_not_hide_a_lab() {
    rootless(|sandbox| {
        let lab = base(sandbox).join("uswitch");
        for swept in ["lock", "journal", "control.sock", "lock journal", "."] {
            sandbox.uswitch(&["up"]).ok();
            for name in swept.split(' ') {
                if name == "." {
                    std::fs::remove_dir_all(base(sandbox)).unwrap();
                } else {
                    std::fs::remove_file(lab.join(name)).unwrap();
                }
            }
            let up = sandbox.uswitch(&["up"]);
            let line = up.complaint(1);
            assert!(line.contains("held by process"), "{swept}: {line}");
            if swept.contains("lock") || swept == "." {
                assert!(line.contains("files were removed"), "{swept}: {line}");
                let show = sandbox.uswitch(&["show", "topology"]);
                let line = show.complaint(1);
                assert!(line.contains("uswitch down"), "{swept}: {line}");
                let ls = sandbox.uswitch(&["ls"]);
                let line = ls.complaint(1);
                assert!(line.contains("lab uswitch") && line.contains("uswitch down"), "{line}");
                assert_eq!(ls.out, "", "{swept}");
            }
            let down = sandbox.uswitch(&["down"]).ok();
            assert_eq!(down.out, "lab uswitch is down\n", "{swept}");
            sandbox.uswitch(&["run", "--check"]).ok();
            assert!(!lab.exists(), "{swept}");
        }
    });
}

#[test]
fn a_run_directory_that_cannot_be_trusted_is_not_told_as_empty() {
    rooted(|sandbox| {
        sandbox.uswitch(&["up"]).ok();
        let base = Path::new("/run/uswitch");
        std::fs::set_permissions(base, Permissions::from_mode(0o777)).unwrap();
        let ls = sandbox.uswitch(&["ls"]);
        assert!(ls.complaint(1).contains("/run/uswitch"), "{}", ls.err);
        assert_eq!(ls.out, "");
        std::fs::set_permissions(base, Permissions::from_mode(0o755)).unwrap();
        assert!(sandbox.uswitch(&["ls"]).ok().out.contains("switch"));
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn a_runtime_directory_that_is_not_fit_is_told_and_not_used() {
    rootless(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        let tmp = sandbox.dir.join("tmp");
        sandbox.tool("mount", &["--bind", tmp.to_str().unwrap(), "/tmp"]);
        give(Path::new("/tmp"), 0, 0o1777);
        let (foreign, file, open) =
            (sandbox.dir.join("foreign"), sandbox.dir.join("file"), sandbox.dir.join("open"));
        std::fs::create_dir(&foreign).unwrap();
        give(&foreign, 0, 0o700);
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&open).unwrap();
        give(&open, 65534, 0o777);
        for (runtime, why) in [
            (foreign.as_path(), "belongs to user root"),
            (Path::new("/nowhere"), "is not there"),
            (&file, "is no folder"),
            (&open, "written to by others"),
        ] {
            let run = |args: &[&str]| {
                let mut command = sandbox.uswitch_command(args);
                command.env("XDG_RUNTIME_DIR", runtime);
                Process::start(command, "uswitch").ended()
            };
            let ended = run(&["run", "--check"]).ok();
            assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
            assert!(ended.err.contains(why) && ended.err.contains("/tmp/uswitch-65534"), "{why}");
            run(&["up"]).ok();
            assert!(Path::new("/tmp/uswitch-65534/uswitch/lock").exists());
            run(&["exec", "net1", "--", "true"]).ok();
            run(&["down"]).ok();
        }
    });
}

#[test]
fn another_user_s_lab_is_told_as_such() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        let user = |args: &[&str]| {
            let mut command = sandbox.command(As::User, &sandbox.dir.join("uswitch"));
            command.args(args);
            Process::start(command, "uswitch of a user").ended()
        };
        let told = |ended: &crate::support::Ended, words: &[&str]| {
            assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
            assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
            assert!(words.iter().all(|word| ended.err.contains(word)), "{}", ended.err);
        };
        let looking = VERBS.iter().filter(|verb| verb[0] != "run");
        sandbox.uswitch(&["up"]).ok();
        for verb in looking.clone() {
            told(&user(verb), &["lab uswitch is root's", "sudo uswitch"]);
        }
        let listed = user(&["ls"]).ok().out;
        let row: Vec<_> = listed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["uswitch", "-", "-", "root", "-", "-"], "{listed}");
        // Their own is another.
        user(&["run", "--check"]).ok();
        sandbox.uswitch(&["down"]).ok();
        assert!(user(&["down"]).ok().out.contains("not there"));
        user(&["up"]).ok();
        for verb in looking {
            told(&sandbox.uswitch(verb), &["lab uswitch is user nobody's", "sudo -u nobody"]);
        }
        user(&["down"]).ok();
    });
}
