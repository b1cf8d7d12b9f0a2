//! Labs as interfaces of Wireshark: started by hand as Wireshark does, and by tshark itself.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{lab, ping};
use crate::support::{As, Process, Sandbox, captured, rooted};

/// A link to uswitch in a folder as Wireshark's extcap folder is.
fn link(sandbox: &Sandbox) -> String {
    let folder = sandbox.dir.join("extcap");
    std::fs::create_dir(&folder).unwrap();
    let link = folder.join("uswitch-extcap");
    std::os::unix::fs::symlink(sandbox.dir.join("uswitch"), &link).unwrap();
    link.display().to_string()
}

/// [`link`], where tshark looks for it: the sandbox's mounts are its own.
fn link_of_tshark(sandbox: &Sandbox) {
    link(sandbox);
    let folders = sandbox.tool("tshark", &["-G", "folders"]);
    let theirs = folders.lines().find_map(|line| line.strip_prefix("Extcap path:"));
    let ours = sandbox.dir.join("extcap").display().to_string();
    sandbox.tool("mount", &["--bind", &ours, theirs.unwrap().trim()]);
}

/// tshark that captures in the lab.
fn tshark(sandbox: &Sandbox, args: &[&str]) -> Process {
    let mut command: Command = sandbox.command(As::Root, Path::new("tshark"));
    command.args(["-n", "-i", "uswitch-uswitch"]).args(args);
    Process::start(command, "tshark")
}

#[test]
fn wireshark_finds_the_lab() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let link = link(sandbox);
        let listed = sandbox.tool(&link, &["--extcap-interfaces", "--extcap-version=4.0"]);
        assert!(listed.contains("interface {value=uswitch-uswitch}"), "{listed}");
        let on = ["--extcap-interface", "uswitch-uswitch"];
        let dlts = sandbox.tool(&link, &[&on[..], &["--extcap-dlts"]].concat());
        assert!(dlts.starts_with("dlt {number=1}"), "{dlts}");
        let config = sandbox.tool(&link, &[&on[..], &["--extcap-config"]].concat());
        assert!(config.contains("{call=--segment}"), "{config}");
        let fifo = sandbox.dir.join("fifo").display().to_string();
        sandbox.tool("mkfifo", &[&fifo]);
        let mut command = sandbox.command(As::Root, Path::new(&link));
        command.args(on).args(["--capture", "--fifo", &fifo, "--extcap-capture-filter", "icmp"]);
        let ours = Process::start(command, "extcap");
        let mut command = sandbox.command(As::Root, Path::new("tcpdump"));
        command.args(["-n", "-l", "-c", "4", "-r", &fifo]);
        let mut reader = Process::start(command, "tcpdump");
        reader.wait_for_complaint("reading from file");
        ping(sandbox, "net1", "10.100.0.20", "1");
        assert_eq!(reader.ended().ok().out.matches("ICMP echo").count(), 4);
        // As Wireshark ends it.
        ours.signal(Signal::SIGTERM);
        let ended = ours.ended().ok();
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
    });
}

#[test]
fn a_filter_is_judged_with_the_labs_names() {
    rooted(|sandbox| {
        let link = link(sandbox);
        let check = |filter: &str| {
            let on = ["--extcap-interface", "uswitch-uswitch", "--extcap-capture-filter", filter];
            sandbox.tool(&link, &on)
        };
        let listed = sandbox.tool(&link, &["--extcap-interfaces"]);
        assert!(listed.starts_with("extcap {") && !listed.contains("interface {"), "{listed}");
        assert!(check("host net1").contains("neither an address nor a node"));
        let _lab = lab(sandbox, &["run"]);
        for good in ["host net1", "tcp[tcpflags] & tcp-syn != 0", "inbound and ip broadcast", ""] {
            assert_eq!(check(good), "", "{good}");
        }
        for (wrong, why) in [("host net9", "net9"), ("tcp[13", "never closed"), ("hots", "`host`")]
        {
            let said = check(wrong);
            assert!(said.contains(why) && said.lines().count() == 1, "{wrong}: {said}");
        }
    });
}

#[test]
fn a_pipe_that_nobody_reads_holds_nothing_up() {
    rooted(|sandbox| {
        let link = link(sandbox);
        let _lab = lab(sandbox, &["run"]);
        let fifo = sandbox.dir.join("fifo").display().to_string();
        sandbox.tool("mkfifo", &[&fifo]);
        let mut command = sandbox.command(As::Root, Path::new(&link));
        command.args(["--extcap-interface", "uswitch-uswitch", "--capture", "--fifo", &fifo]);
        let mut ours = Process::start(command, "extcap");
        // It blocks its signals first of all.
        super::until("signals are caught", || ours.status("SigBlk") != 0 && ours.running());
        ours.signal(Signal::SIGTERM);
        let ended = ours.ended().ok();
        assert_eq!(ended.err, "");
    });
}

#[test]
fn tshark_hears_of_errors_alone() {
    captured(|sandbox| {
        link_of_tshark(sandbox);
        let running = lab(sandbox, &["run"]);
        // To a number of frames, then to the lab's end, with a filter.
        let mut some = tshark(sandbox, &["-c", "4"]);
        let echo = "icmp[icmptype] == icmp-echo and src net1";
        let mut rest = tshark(sandbox, &["-f", echo]);
        for reader in [&mut some, &mut rest] {
            reader.wait_for_complaint("Capture started");
        }
        let mut looked = 0;
        super::until("tshark sees frames", || {
            looked += 1;
            ping(sandbox, "net1", "10.100.0.20", "1");
            !some.running() && rest.out().lines().count() >= 2
        });
        assert!(looked < 1000);
        let some = some.ended().ok();
        assert!(!some.err.contains("Error by extcap"), "{}", some.err);
        assert_eq!(some.out.lines().count(), 4, "{}", some.out);
        running.signal(Signal::SIGTERM);
        running.ended().ok();
        let rest = rest.ended().ok();
        assert!(!rest.err.contains("Error by extcap"), "{}", rest.err);
        assert!(rest.out.lines().all(|line| line.contains("Echo (ping) request")), "{}", rest.out);
    });
}

#[test]
fn tshark_is_told_what_is_wrong_with_a_filter() {
    captured(|sandbox| {
        link_of_tshark(sandbox);
        let _lab = lab(sandbox, &["run"]);
        let wrong = tshark(sandbox, &["-f", "hots net1"]).ended();
        assert!(wrong.err.contains("was `host` meant?"), "{}", wrong.err);
        assert_ne!(wrong.code, Some(0), "{}", wrong.err);
    });
}
