//! What can be in the way of a lab: one line that names the object and the mend, an exit code,
//! and nothing left behind.

use std::path::Path;

use crate::support::{As, Process, Sandbox, rooted, rootless};

/// `args` must fail with `code`, in one line that holds all of `words`, and change nothing.
#[track_caller]
fn refused(sandbox: &Sandbox, args: &[&str], code: i32, words: &[&str]) {
    let before = sandbox.state();
    let ended = sandbox.uswitch(args);
    let line = ended.complaint(code);
    for word in words {
        assert!(line.contains(word), "{args:?}: no {word:?} in: {line}");
    }
    assert_eq!(sandbox.state(), before, "{args:?} left something behind");
}

#[test]
fn a_foreign_namespace_is_not_ours_to_take() {
    rooted(|sandbox| {
        sandbox.tool("ip", &["netns", "add", "net1"]);
        refused(
            sandbox,
            &["run", "--check"],
            1,
            &["net1", "not ours", "ip netns del net1", "--prefix"],
        );
        sandbox.uswitch(&["down"]).ok();
        assert!(
            sandbox.tool("ip", &["netns", "list"]).contains("net1"),
            "down took a foreign namespace"
        );
        sandbox.uswitch(&["run", "--check", "--prefix", "my-"]).ok();
        assert!(sandbox.tool("ip", &["netns", "list"]).contains("net1"));
    });
}

#[test]
fn a_foreign_namespace_late_in_the_list_undoes_what_was_made() {
    rooted(|sandbox| {
        sandbox.tool("ip", &["netns", "add", "net4"]);
        refused(sandbox, &["run", "-n", "5", "--check"], 1, &["net4", "not ours"]);
    });
}

#[test]
fn sizes_that_cannot_be() {
    rootless(|sandbox| {
        for count in ["0", "100000", "4096", "-1", "many", "99999999999999999999"] {
            refused(sandbox, &["run", "-n", count, "--check"], 2, &[count, "-n"]);
            refused(sandbox, &["up", "-n", count], 2, &[count, "-n"]);
        }
        let pool = ["-n 182", "16471 subnets", "10.100.0.0/16", "at most -n 181"];
        refused(sandbox, &["run", "mesh", "-n", "182", "--check"], 2, &pool);
        refused(sandbox, &["run", "pair", "-n", "3", "--check"], 2, &["-n 3", "two"]);
        refused(sandbox, &["run", "mesh", "-n", "1", "--check"], 2, &["-n 1", "two or more"]);
        refused(sandbox, &["run", "--mtu", "67", "--check"], 2, &["67", "68"]);
    });
}

#[test]
fn names_that_cannot_be() {
    rootless(|sandbox| {
        let long = "a".repeat(33);
        refused(sandbox, &["run", "--name", &long, "--check"], 2, &["33 characters", "32 fit"]);
        for name in ["../up", "a/b", "", "-a", "a b", "ä"] {
            let name = format!("--name={name}");
            refused(sandbox, &["run", &name, "--check"], 2, &["no name", "letters, digits"]);
        }
        let long = "p".repeat(65);
        refused(sandbox, &["run", "--prefix", &long, "--check"], 2, &["--prefix", "64"]);
        refused(sandbox, &["run", "--prefix", "a/b", "--check"], 2, &["--prefix"]);
        refused(sandbox, &["run", "ring", "--check"], 2, &["ring", "pair, mesh, switch"]);
        // The longest that can be.
        let (name, prefix) = ("n".repeat(32), "p".repeat(64));
        sandbox.uswitch(&["run", "--name", &name, "--prefix", &prefix, "--check"]).ok();
    });
}

#[test]
fn unknown_nodes_and_labs() {
    rooted(|sandbox| {
        refused(sandbox, &["ping", "net1", "10.100.0.1"], 2, &["uswitch", "not running"]);
        let mut run = sandbox.start(&["run"]);
        run.wait_for(crate::READY);
        let ended = sandbox.uswitch(&["ping", "nowhere", "10.100.0.1", "-c", "1"]);
        let line = ended.complaint(2);
        for word in ["nowhere", "net1", "net2"] {
            assert!(line.contains(word), "no {word} in: {line}");
        }
        let ended = sandbox.uswitch(&["ping", "--name", "other", "net1", "10.100.0.1"]);
        assert!(ended.complaint(2).contains("other"), "{}", ended.err);
    });
}

#[test]
fn a_full_disk_for_the_record() {
    rooted(|sandbox| {
        let small = sandbox.dir.join("small");
        std::fs::create_dir(&small).unwrap();
        let path = small.to_str().unwrap();
        sandbox.tool("mount", &["-t", "tmpfs", "-o", "size=12k", "tmpfs", path]);
        // Room for nothing; for the lock; for the lock and the first page of the record.
        for filler in [12_288, 8192, 4096] {
            std::fs::write(small.join("filler"), vec![0; filler]).unwrap();
            let before = sandbox.state();
            let mut command = sandbox.uswitch_command(&["run", "-n", "100", "--check"]);
            command.env("USWITCH_RUN_DIR", path);
            let ended = Process::start(command, "uswitch run on a full disk").ended();
            let line = ended.complaint(1);
            assert!(line.contains("No space left") && line.contains(path), "{filler}: {line}");
            assert_eq!(sandbox.state(), before, "{filler}");
        }
        // Room for the names that the nodes see, too. In a user namespace nothing is mounted another way.
        sandbox.tool("umount", &[path]);
        sandbox.tool("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", path]);
        let mut command = sandbox.uswitch_command(&["run", "-n", "10", "--check"]);
        command.env("USWITCH_RUN_DIR", path);
        Process::start(command, "uswitch run with room").ended().ok();
    });
}

/// As a full disk is met, and not by the death of whoever writes: that left the lab half-made.
#[test]
fn a_limit_of_a_files_size() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let ended = sandbox.shell("ulimit -f 1; uswitch up -n 8");
        assert!(ended.complaint(1).contains("File too large"), "{}", ended.err);
        assert_eq!(sandbox.state(), before, "it left something behind");
        sandbox.uswitch(&["up"]).ok();
        let file = sandbox.dir.join("short.pcapng");
        let ping = "uswitch ping net1 net2 -c 5 -i 0.05 -q >/dev/null";
        let capture = format!("ulimit -f 1; uswitch capture -w {} & ", file.display());
        let ended = sandbox.shell(&format!("{capture} c=$!; sleep 1; {ping}; wait $c"));
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains("File too large"), "{}", ended.err);
        // What a node executes has the signal as it was.
        let big = sandbox.dir.join("big");
        let command = format!("dd if=/dev/zero of={} bs=4k count=1", big.display());
        let ended = sandbox.shell(&format!("ulimit -f 1; uswitch exec net1 -- {command}"));
        assert_eq!(ended.code, Some(128 + 25), "{}", ended.err);
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn no_privilege_and_no_user_namespaces() {
    rootless(|sandbox| {
        // A user namespace in which no further one may be made, entered without any capability.
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
             exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- \"$0\" run --check";
        let binary = sandbox.uswitch_command(&[]).get_args().last().unwrap().to_owned();
        let mut command = sandbox.command(As::User, Path::new("unshare"));
        command
            .args(["--user", "--map-current-user", "--keep-caps", "sh", "-c", script])
            .arg(binary);
        let ended = Process::start(command, "uswitch without user namespaces").ended();
        let line = ended.complaint(1);
        assert!(line.contains("user namespace"), "{line}");
    });
}
