//! A lab touches only what it made: names that were made by others meanwhile stay, whatever numbers
//! the kernel gives again, and whatever became of the lab's record.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Sandbox, rooted, rootless};
use crate::{lab, netns};

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

/// Gives the name net1 to a namespace of ours again and again, until it has the inode number
/// `wanted`, or has been given many others. Gives whether it has.
fn until_it_has(sandbox: &Sandbox, wanted: u64) -> bool {
    for number in 0..12 {
        sandbox.tool("ip", &["netns", "add", "net1"]);
        if inode(&netns("net1")) == wanted {
            return true;
        }
        sandbox.tool("ip", &["netns", "del", "net1"]);
        // Others take numbers first.
        sandbox.tool("ip", &["netns", "add", &format!("other{number}")]);
        std::thread::sleep(Duration::from_millis(50));
    }
    sandbox.tool("ip", &["netns", "add", "net1"]);
    false
}

#[test]
fn a_name_made_after_a_crash_stays_whatever_its_number() {
    rooted(|sandbox| {
        let mut same = 0;
        for turn in 0..4 {
            let run = lab(sandbox, &["run", "--uplink", "none"]);
            let was = inode(&netns("net1"));
            run.signal(Signal::SIGKILL);
            run.ended();
            sandbox.tool("ip", &["netns", "del", "net1"]);
            sandbox.tool("ip", &["netns", "del", "net2"]);
            std::thread::sleep(Duration::from_millis(200));
            same += u32::from(until_it_has(sandbox, was));
            let mine = inode(&netns("net1"));
            let ended = sandbox.uswitch(&["down"]).ok();
            assert!(ended.out.contains("0 namespaces removed"), "{}", ended.out);
            assert_eq!(inode(&netns("net1")), mine, "turn {turn}: it was taken");
            for name in sandbox.tool("ip", &["netns", "list"]).lines() {
                sandbox.tool("ip", &["netns", "del", name.split(' ').next().unwrap()]);
            }
        }
        eprintln!("the number came again in {same} of 4 turns");
    });
}

#[test]
fn what_is_mounted_on_our_file_by_others_stays() {
    rooted(|sandbox| {
        let mut run = lab(sandbox, &["run", "--uplink", "none"]);
        sandbox.tool("ip", &["netns", "add", "mine"]);
        // Over ours, and in its place.
        sandbox.tool("mount", &["--bind", "/run/netns/mine", "/run/netns/net1"]);
        sandbox.tool("umount", &["/run/netns/net2"]);
        sandbox.tool("mount", &["--bind", "/run/netns/mine", "/run/netns/net2"]);
        let mine = inode(&netns("mine"));
        // Entered is what the lab made.
        for node in ["net1", "net2"] {
            let links = sandbox.uswitch(&["exec", node, "--", "ip", "-br", "link"]).ok();
            assert!(links.out.contains("vethpeer"), "{}", links.out);
        }
        assert!(run.running());
        run.signal(Signal::SIGKILL);
        run.ended();
        sandbox.uswitch(&["down"]).ok();
        assert_eq!((inode(&netns("net1")), inode(&netns("net2"))), (mine, mine));
    });
}

#[test]
fn a_name_given_anew_while_the_lab_runs_is_not_entered_and_not_taken() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "none"]);
        sandbox.tool("ip", &["netns", "del", "net1"]);
        sandbox.tool("ip", &["netns", "add", "net1"]);
        let mine = inode(&netns("net1"));
        let inside = sandbox.uswitch(&["exec", "net1", "--", "ip", "-br", "link"]).ok();
        assert!(inside.out.contains("vethpeer1"), "another was entered: {}", inside.out);
        sandbox.uswitch(&["ping", "-c", "1", "net1", "net2"]).ok();
        run.signal(Signal::SIGTERM);
        run.ended().ok();
        assert_eq!(inode(&netns("net1")), mine);
    });
}

#[test]
fn what_was_removed_while_the_record_could_not_be_written_is_forgotten() {
    rooted(|sandbox| {
        let small = sandbox.dir.join("small");
        std::fs::create_dir(&small).unwrap();
        let path = small.to_str().unwrap();
        sandbox.tool("mount", &["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", path]);
        let uswitch = |args: &[&str]| {
            let mut command = sandbox.uswitch_command(args);
            command.env("USWITCH_RUN_DIR", path);
            crate::support::Process::start(command, "uswitch").ended()
        };
        let fill = || {
            let _ = std::fs::write(small.join("fill"), vec![0; 100_000]);
        };
        for end in ["down", "kill"] {
            uswitch(&["up", "--uplink", "none"]).ok();
            fill();
            uswitch(&["remove", "net2"]).ok();
            std::fs::remove_file(small.join("fill")).unwrap();
            sandbox.tool("ip", &["netns", "add", "net2"]);
            let mine = inode(&netns("net2"));
            assert_eq!(uswitch(&["exec", "net2", "--", "true"]).code, Some(1));
            // What is written next says so.
            uswitch(&["add", "net7"]).ok();
            let journal = std::fs::read_to_string(small.join("uswitch/journal")).unwrap();
            assert!(!journal.contains("net2") && journal.contains("net7"), "{journal}");
            if end == "kill" {
                let pid = std::fs::read_to_string(small.join("uswitch/lock")).unwrap();
                sandbox.tool("kill", &["-KILL", pid.trim()]);
            }
            uswitch(&["down"]).ok();
            assert_eq!(inode(&netns("net2")), mine, "{end}");
            sandbox.tool("ip", &["netns", "del", "net2"]);
            assert_eq!(sandbox.tool("ip", &["netns", "list"]).trim(), "");
        }
    });
}

#[test]
fn a_torn_record_is_kept_and_told_and_undone_as_far_as_it_says() {
    rooted(|sandbox| {
        let journal = Path::new("/run/uswitch/uswitch/journal");
        // Cut in the first line, behind it, in the second (of net1), behind that, in the third (of net2).
        for (lines, more) in [(0, 0), (0, 40), (1, 0), (1, 50), (2, 0), (2, 50)] {
            let run = lab(sandbox, &["run", "--uplink", "none"]);
            run.signal(Signal::SIGKILL);
            run.ended();
            let whole = std::fs::read(journal).unwrap();
            let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            let ends: Vec<_> = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
            let keep = ends[lines] + more;
            std::fs::write(journal, &whole[..keep]).unwrap();
            for verb in [&["down"][..], &["down"], &["run", "--check"]] {
                let ended = sandbox.uswitch(verb);
                let line = ended.complaint(1);
                for word in ["journal", "ip netns", "rm /run/uswitch/uswitch/journal"] {
                    assert!(line.contains(word), "{keep} {verb:?}: no {word:?} in: {line}");
                }
            }
            assert_eq!(std::fs::read(journal).unwrap(), &whole[..keep]);
            // What its whole lines say is undone.
            assert_eq!(netns("net1").exists(), lines < 2, "{keep}");
            std::fs::remove_file(journal).unwrap();
            for name in sandbox.tool("ip", &["netns", "list"]).lines() {
                sandbox.tool("ip", &["netns", "del", name.split(' ').next().unwrap()]);
            }
            sandbox.uswitch(&["down"]).ok();
            sandbox.uswitch(&["run", "--check"]).ok();
        }
    });
}

#[test]
fn a_record_that_is_gone_is_told_once_and_one_of_an_earlier_boot_not_at_all() {
    rooted(|sandbox| {
        let journal = Path::new("/run/uswitch/uswitch/journal");
        let kill = || {
            let run = lab(sandbox, &["run", "-n", "1", "--uplink", "none"]);
            run.signal(Signal::SIGKILL);
            run.ended();
        };
        kill();
        std::fs::remove_file(journal).unwrap();
        let down = sandbox.uswitch(&["down"]);
        let line = down.complaint(1);
        assert!(line.contains("journal is gone") && line.contains("`ip netns`"), "{line}");
        assert!(!line.contains("rm "), "{line}");
        sandbox.tool("ip", &["netns", "del", "net1"]);
        sandbox.uswitch(&["run", "--check"]).ok();
        // Of an earlier boot: the names went with it.
        kill();
        sandbox.tool("ip", &["netns", "del", "net1"]);
        let whole = std::fs::read_to_string(journal).unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let first = whole.lines().next().unwrap().replace(boot.trim(), "another");
        let (json, _) = first.rsplit_once(" #").unwrap();
        std::fs::write(journal, format!("{}\nnonsense\n", numbered(json))).unwrap();
        sandbox.uswitch(&["down"]).ok();
        sandbox.uswitch(&["run", "--check"]).ok();
    });
}

#[test]
fn a_torn_record_of_names_that_went_with_their_user_namespace_is_in_nobodys_way() {
    rootless(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "1"]);
        run.signal(Signal::SIGKILL);
        run.ended();
        let journal = sandbox.dir.join("user/uswitch/uswitch/journal");
        let whole = std::fs::read(&journal).unwrap();
        std::fs::write(&journal, &whole[..whole.len() - 9]).unwrap();
        sandbox.uswitch(&["down"]).ok();
        sandbox.uswitch(&["run", "--check"]).ok();
    });
}

/// A line as the first of a journal.
fn numbered(json: &str) -> String {
    let text = format!("{json} #1");
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{text} {sum:016x}")
}

#[test]
fn a_lab_that_runs_by_a_torn_record_says_so_of_nodes_that_it_does_not_name() {
    rooted(|sandbox| {
        sandbox.uswitch(&["up", "--uplink", "none"]).ok();
        std::fs::write("/run/uswitch/uswitch/journal", "").unwrap();
        let exec = sandbox.uswitch(&["exec", "net1", "--", "true"]);
        let line = exec.complaint(1);
        assert!(line.contains("its record is torn") || line.contains("lacks its first"), "{line}");
        assert!(line.contains("down"), "{line}");
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn a_file_that_cannot_be_put_in_its_place_in_a_node_is_told() {
    rooted(|sandbox| {
        let etc = sandbox.dir.join("etc");
        std::fs::create_dir_all(etc.join("netns/net1")).unwrap();
        for (name, text) in
            [("hosts", "127.0.0.1 localhost\n"), ("passwd", "root:x:0:0::/:/bin/sh\n")]
        {
            std::fs::write(etc.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("/run/nowhere/stub.conf", etc.join("resolv.conf")).unwrap();
        std::fs::write(etc.join("netns/net1/resolv.conf"), "nameserver 10.100.0.1\n").unwrap();
        std::fs::write(etc.join("netns/net1/hosts"), "10.100.0.1 gateway\n").unwrap();
        sandbox.tool("mount", &["--bind", etc.to_str().unwrap(), "/etc"]);
        let _run = lab(sandbox, &["run"]);
        let ended = sandbox.uswitch(&["exec", "net1", "--", "cat", "/etc/hosts"]);
        assert_eq!(ended.out, "10.100.0.1 gateway\n", "{}", ended.err);
        let line = ended.complaint(0);
        assert!(line.contains("/etc/netns/net1/resolv.conf is not seen"), "{line}");
        assert!(line.contains("/run/nowhere/stub.conf, which is not there"), "{line}");
        // Where the link leads somewhere nothing is to be told.
        std::fs::create_dir("/run/nowhere").unwrap();
        std::fs::write("/run/nowhere/stub.conf", "").unwrap();
        let ended = sandbox.uswitch(&["exec", "net1", "--", "cat", "/etc/resolv.conf"]).ok();
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("nameserver 10.100.0.1\n", ""));
    });
}
