//! Where there are no more threads: one line and nothing left, or one request that fails. And what
//! was taken for a while is given back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{As, Process, Sandbox, both_ways, rooted};
use crate::{lab, netns};

/// A cgroup that counts processes and threads, gone with this; None where there is no such thing.
struct Few(PathBuf);

impl Few {
    fn new() -> Option<Self> {
        let roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(Path::new);
        roots.iter().find_map(|root| {
            let here = root.join(format!("uswitch-test-{}", std::process::id()));
            std::fs::create_dir(&here).ok()?;
            let made = Self(here);
            made.0.join("pids.max").exists().then_some(made)
        })
    }

    fn most(&self, count: impl ToString) {
        std::fs::write(self.0.join("pids.max"), count.to_string()).unwrap();
    }

    /// `uswitch ARGS`, started in it.
    fn start(&self, sandbox: &Sandbox, args: &[&str]) -> Process {
        let text = "echo $$ > $FEW/cgroup.procs && exec $U \"$@\"";
        let mut command = sandbox.command(As::Root, Path::new("/bin/sh"));
        command.args(["-c", text, "sh"]).args(args);
        command.env("FEW", &self.0).env("U", sandbox.dir.join("uswitch"));
        Process::start(command, &format!("uswitch {args:?} among few"))
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        // Those that were in it may be on their way out.
        let limit = Instant::now() + Duration::from_secs(10);
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn among_few(test: impl FnOnce(&Sandbox, &Few) + Send) {
    rooted(|sandbox| match Few::new().filter(|_| sandbox.real_root) {
        Some(few) => test(sandbox, &few),
        None => eprintln!("SKIPPED: no cgroup that counts processes here"),
    });
}

#[test]
fn without_enough_threads_nothing_is_left_and_one_line_says_why() {
    among_few(|sandbox, few| {
        let before = sandbox.state();
        let mut refused = 0;
        for most in 1..=20 {
            few.most(most);
            let run = few.start(sandbox, &["run", "--check"]).ended();
            if run.code != Some(0) {
                assert!(run.complaint(1).contains("Resource temporarily unavailable"), "{most}");
                refused += 1;
            }
            assert_eq!(sandbox.state(), before, "{most} threads at most");
            let up = few.start(sandbox, &["up"]).ended();
            if up.code == Some(0) {
                sandbox.uswitch(&["down"]).ok();
            } else {
                up.complaint(1);
            }
            assert_eq!(sandbox.state(), before, "{most} threads at most, in the background");
        }
        assert!((8..20).contains(&refused), "{refused} refused");
    });
}

#[test]
fn a_moment_without_threads_takes_nothing_from_the_door() {
    among_few(|sandbox, few| {
        few.most("max");
        let mut run = few.start(sandbox, &["run", "--metrics", "9108"]);
        run.wait_for(crate::READY);
        few.most(1);
        // What takes no thread of its own is answered, and the rest is refused in a line.
        for _ in 0..6 {
            sandbox.uswitch(&["show", "ports"]).ok();
        }
        sandbox.tool("curl", &["-sf", "http://127.0.0.1:9108/metrics"]);
        for verb in [&["add", "web"][..], &["capture", "-c", "1"]] {
            let refused = sandbox.uswitch(verb);
            assert_eq!(refused.code, Some(1), "{verb:?}: {}", refused.err);
            let why = refused.err.lines().last().unwrap_or_default();
            assert!(why.contains("Resource temporarily unavailable"), "{verb:?}: {why}");
        }
        few.most("max");
        let begun = Instant::now();
        sandbox.uswitch(&["show", "ports"]).ok();
        sandbox.uswitch(&["add", "web"]).ok();
        sandbox.uswitch(&["ping", "web", "8.8.8.8", "-c", "1"]).ok();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        run.signal(nix::sys::signal::Signal::SIGTERM);
        let ended = run.ended().ok();
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    });
}

/// One that has begun does not keep a verb that cannot do its work.
#[test]
fn a_verb_without_threads_ends_at_once() {
    among_few(|sandbox, few| {
        let _lab = lab(sandbox, &["run"]);
        for (verb, too_few) in [
            ("iperf net1 net2 -t 1 -P 2", 4),
            ("ping net1 net2 8.8.8.8 10.100.0.1 -i 0.2 -w 50", 3),
        ] {
            let words: Vec<_> = verb.split(' ').collect();
            for most in 1..=too_few {
                few.most(most);
                let begun = Instant::now();
                let ended = few.start(sandbox, &words).ended();
                let why = ended.err.lines().last().unwrap_or_default();
                assert!(matches!(ended.code, Some(1 | 2)), "{verb}, {most}: {ended:?}");
                assert!(why.contains("Resource temporarily unavailable"), "{verb}, {most}: {why}");
                assert!(begun.elapsed() < Duration::from_secs(20), "{verb}, {most}");
            }
        }
        few.most("max");
    });
}

#[test]
fn what_captures_took_is_given_back() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let before = run.status("VmRSS");
        let mut most = 0;
        for _ in 0..3 {
            let looking = (0..8).map(|_| sandbox.start(&["capture", "-w", "/dev/null"]));
            let mut looking: Vec<_> = looking.collect();
            looking.iter_mut().for_each(|one| one.wait_for_complaint("recording"));
            let nodes = [netns("net1"), netns("net2")];
            both_ways((&nodes[0], &nodes[1]), "10.100.0.20:7400".parse().unwrap(), 8 << 20);
            most = most.max(run.status("VmRSS"));
        }
        let limit = Instant::now() + Duration::from_secs(20);
        while run.status("VmRSS") > before + 16_384 && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(50));
        }
        let after = run.status("VmRSS");
        assert!(most > before + 16_384, "{before} KiB, {most} at most: too little to tell");
        assert!(after <= before + 16_384, "{before} KiB, {most} at most, {after} in the end");
    });
}
