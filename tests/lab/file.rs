//! Labs by files: what is wrong with one is told in a line with its place, and nothing changes; the
//! running lab as a file is the same lab again; what `exec` leaves running ends with the lab.

use nix::sys::signal::Signal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::lab;
use crate::support::{Sandbox, rooted, rootless};

/// Writes a file in the sandbox.
pub(crate) fn write(sandbox: &Sandbox, name: &str, text: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = sandbox.dir.join(format!("{number}-{name}"));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a bad file is told: each line.
fn refused(sandbox: &Sandbox, name: &str, text: &str) -> Vec<String> {
    let path = write(sandbox, name, text);
    let ended = sandbox.uswitch(&["run", &path, "--name", "other", "--check"]);
    // What the sandbox holds is compared.
    std::fs::remove_file(&path).unwrap();
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{text}\n{}", ended.err);
    ended.err.lines().map(|line| line.replace(&path, name)).collect()
}

#[test]
fn a_bad_file_is_told_in_a_line_and_changes_nothing() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let before = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        let state = sandbox.state();
        let lan = "networks: {lan: {subnet: 10.1.0.0/24}}\n";
        let filters = "networks: {lan: {vlan_filtering: true}}\nnodes: {h: {network: lan}}\n";
        for (text, said) in [
            (
                format!("{lan}nodes: {{h: {{network: lan}}}}\nnodes: {{}}\n"),
                "bad.yaml:3:1: duplicate",
            ),
            (
                format!("{lan}nodes: {{h: {{netwerk: lan}}}}\n"),
                "bad.yaml:2:13: unknown field `netwerk`",
            ),
            (format!("{lan}nodes: {{h: {{network: dc}}}}\n"), "there is no network dc: lan"),
            (format!("{lan}nodes: {{h: {{networks: [lan, lan]}}}}\n"), "h is in lan twice"),
            (
                "networks: {a: {subnet: 10.1.0.0/16}, b: {subnet: 10.1.2.0/24}}\nnodes: {h: }\n"
                    .into(),
                "overlaps 10.1.0.0/16 of network a",
            ),
            (format!("{filters}ports: {{h: {{vlans: [0]}}}}\n"), "0 is no VLAN"),
            (format!("{filters}ports: {{h: {{vlans: [4095]}}}}\n"), "4095 is no VLAN"),
            (
                format!("{lan}nodes: {{h: {{network: lan}}}}\nports:\n  h:\n    mab: true\n"),
                "ports.h.mab: MAC authentication bypass takes a locked port",
            ),
            (
                format!("{lan}nodes: {{h: {{network: lan}}}}\nports: {{h: {{mcast_router: 7}}}}\n"),
                "ports.h.mcast_router: 7",
            ),
            (
                format!(
                    "{lan}nodes: {{h: {{network: lan}}}}\nports: {{h: {{group_fwd_mask: 2}}}}\n"
                ),
                "ports.h.group_fwd_mask: 0x0002",
            ),
            ("nodes: &a {h: *a}\n".into(), "bad.yaml:1:"),
            ("nodes: {'h[1-5000]': }\n".into(), "longer than a lab has nodes"),
            (format!("nodes: {{h: }}\n# {}\n", "x".repeat(10 << 20)), "4 MiB at most"),
        ] {
            let lines = refused(sandbox, "bad.yaml", &text);
            let short: String = text.chars().take(200).collect();
            assert_eq!(lines.len(), 1, "{short}\n{lines:?}");
            assert!(lines[0].contains(said), "{short}\n{lines:?}");
            if said.starts_with("ports.") {
                let place = lines[0].split_once(": ports.").unwrap().0;
                let mut spot = place.rsplitn(3, ':').take(2).map(|part| part.parse::<u64>());
                assert!(spot.all(|part| part.is_ok()), "{lines:?}");
            }
        }
        let lines = refused(sandbox, "bad.toml", "[nodes]\nh = {network = \"a\"}\nh = {}\n");
        assert!(lines.len() == 1 && lines[0].contains("bad.toml:3:1: duplicate key"), "{lines:?}");
        let two = "networks: {a: {mtu: 9}}\nnodes: {h: {network: b}}\n";
        assert_eq!(
            refused(sandbox, "bad.yaml", two).len(),
            2,
            "a line for each thing that is wrong"
        );
        sandbox.uswitch(&["run", "nosuch.yaml"]).complaint(2);
        sandbox.uswitch(&["run", "/", "--check"]).complaint(2);
        assert_eq!(sandbox.uswitch(&["show", "topology", "--file"]).ok().out, before);
        assert_eq!(sandbox.state(), state);
    });
}

/// The lab that runs, written down, run again, and written down again.
fn again(sandbox: &Sandbox) {
    let path = write(sandbox, "again.yaml", include_str!("../../examples/isolated.yaml"));
    let first = lab(sandbox, &["run", &path]);
    sandbox.uswitch(&["port", "printer", "--learning", "off", "--storm", "9"]).ok();
    let set = "network set lan --ageing-time 60 --gateway-guard off --mcast-last-member-interval 0.5 \
               --mcast-hash-max 9 --mcast-query-interval 99 --mcast-startup-query-count 3 \
               --mcast-querier-interval 200 --mcast-query-response-interval 2.5";
    sandbox.uswitch(&set.split_whitespace().collect::<Vec<_>>()).ok();
    for line in [
        "fdb add 02:00:00:00:77:01 printer --sticky",
        "fdb add 02:00:00:00:77:02 --blackhole",
        "network set lan --mcast-snooping on",
        "mdb add printer 239.1.2.3",
        "neigh add 10.9.9.9 02:00:00:00:77:03",
    ] {
        sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
    }
    sandbox.uswitch(&["publish", "8080:printer:80"]).ok();
    sandbox.uswitch(&["add", "late", "--network", "lan"]).ok();
    let said = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
    for word in [
        "learning: false",
        "isolated: true",
        "ageing_time: 60",
        "gateway_guard: false",
        "mcast_last_member_interval: 0.5",
        "mcast_hash_max: 9",
        "mcast_query_interval: 99",
        "mcast_query_response_interval: 2.5",
        "kind: sticky",
        "kind: blackhole",
        "group: \"239.1.2.3\"",
        "10.9.9.9",
        "8080:printer:80",
        "late:",
    ] {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    first.signal(Signal::SIGTERM);
    first.ended().ok();
    std::fs::write(&path, &said).unwrap();
    let _second = lab(sandbox, &["run", &path]);
    assert_eq!(sandbox.uswitch(&["show", "topology", "--file"]).ok().out, said);
    let known = sandbox.uswitch(&["neigh", "ls"]).ok().out;
    assert!(known.contains("02:00:00:00:77:03"), "{known}");
}

#[test]
fn the_running_lab_as_a_file_is_the_same_lab() {
    rooted(again);
}

#[test]
fn the_running_lab_as_a_file_is_the_same_lab_of_an_ordinary_user() {
    rootless(again);
}

/// What would be done for a file is what would be done for the one that its lab gives back.
#[test]
fn every_running_lab_as_a_file_is_the_same_lab() {
    const ELSEWHERE: &str = "
networks: {lan: {subnet: 10.1.0.0/24}, dc: {gateway: false}}
nodes:
  a: {network: lan}
  b: {networks: {dc: 10.1.0.50/24}}
links: [[lan, dc]]
";
    rooted(|sandbox| {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        let examples = std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = examples.map(|path| path.to_str().unwrap().to_owned()).collect();
        files.push(write(sandbox, "elsewhere.yaml", ELSEWHERE));
        assert!(files.len() > 10);
        let plan = |path: &str| sandbox.uswitch(&["run", "--dry-run", "-v", path]).ok().out;
        for path in files {
            let running = lab(sandbox, &["run", &path]);
            let said = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
            running.signal(Signal::SIGTERM);
            running.ended().ok();
            assert_eq!(plan(&path), plan(&write(sandbox, "again.yaml", &said)), "{path}\n{said}");
        }
    });
}

/// Hardware addresses too: of a port in a network that has not its addresses, of a node that came where
/// another's were. Nobody has another's.
#[test]
fn what_has_moved_is_the_same_lab_again() {
    const FILE: &str = "
networks: {lan: {subnet: 10.1.0.0/24}, dc: {subnet: 10.2.0.0/24}, bare: {}}
nodes:
  a: {networks: [lan, dc]}
  b: {network: lan}
  c: {network: bare}
";
    rooted(|sandbox| {
        let does = |line: &str| {
            sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
        };
        let written = || sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        let macs = || {
            let shown = crate::door::json(sandbox, &["show", "topology", "-j"]);
            let of = |node: &serde_json::Value| {
                let further = node["further"].as_array().cloned().unwrap_or_default();
                let all: Vec<_> = further.iter().chain([node]).cloned().collect();
                all.into_iter().map(|own| (own["ifname"].to_string(), own["mac"].to_string()))
            };
            let mut all: Vec<_> = shown["nodes"].as_array().unwrap().iter().flat_map(of).collect();
            all.sort();
            all
        };
        let path = write(sandbox, "moved.yaml", FILE);
        let first = lab(sandbox, &["run", &path]);
        does("port a:lan --network bare");
        does("port b --network none");
        does("add e");
        does("port e --network dc");
        does("port b --network lan");
        does("remove c");
        does("add c --network bare");
        does("add d --network bare --network lan");
        let (said, before) = (written(), macs());
        let own: std::collections::BTreeSet<_> = before.iter().map(|(_, mac)| mac).collect();
        assert_eq!(own.len(), before.len(), "{before:?}");
        first.signal(Signal::SIGTERM);
        first.ended().ok();
        std::fs::write(&path, &said).unwrap();
        let _second = lab(sandbox, &["run", &path]);
        assert_eq!(written(), said);
        assert_eq!(macs(), before);
    });
}

#[test]
fn who_waits_for_a_files_text_can_be_stopped() {
    rooted(|sandbox| {
        let path = sandbox.dir.join("never.yaml");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for verb in ["run", "up"] {
            let waiting = sandbox.start(&[verb, path.to_str().unwrap()]);
            // Whoever opens the other end knows that it waits there.
            let end = std::fs::File::options().write(true).open(&path).unwrap();
            waiting.signal(Signal::SIGTERM);
            let ended = waiting.ended_within(Duration::from_secs(10));
            assert!(matches!(ended.code, None | Some(143)), "{verb}: {:?}", ended.code);
            drop(end);
        }
    });
}

#[test]
fn the_command_line_goes_before_the_file() {
    rooted(|sandbox| {
        let path = write(
            sandbox,
            "name.yaml",
            "name: written\nmtu: 1400\nnodes: {a: , b: }\nlinks: [[a, b]]\n",
        );
        let lab = lab(sandbox, &["run", &path, "--mtu", "1300"]);
        let said = sandbox.uswitch(&["show", "topology", "--file", "--name", "written"]).ok().out;
        assert!(said.contains("mtu: 1300"), "{said}");
        lab.signal(Signal::SIGTERM);
        lab.ended().ok();
        assert!(sandbox.uswitch(&["run", &path, "-n", "3"]).complaint(2).contains("-n goes with"));
    });
}

#[test]
fn what_exec_leaves_running_ends_with_the_lab() {
    rooted(|sandbox| {
        let text = "nodes:\n  a:\n    exec: [\"echo here >&2\", \"sleep 7654 &\"]\n  b:\nlinks: [[a, b]]\n";
        let path = write(sandbox, "exec.yaml", text);
        let mut one = lab(sandbox, &["run", &path]);
        one.wait_for_complaint("here");
        let sleeps = || sandbox.shell("pgrep -f 'sleep 7654$'").code == Some(0);
        assert!(sleeps());
        one.signal(Signal::SIGTERM);
        one.ended().ok();
        assert!(!sleeps());
        std::fs::write(&path, "nodes: {a: {exec: 'false'}, b: }\nlinks: [[a, b]]\n").unwrap();
        let failed = sandbox.uswitch(&["run", &path, "--check"]);
        assert_eq!(failed.code, Some(1), "{}", failed.err);
        assert!(failed.err.contains("exec of a ended with 1"), "{}", failed.err);
    });
}

#[test]
fn the_schema_is_printed() {
    rooted(|sandbox| {
        let schema = sandbox.uswitch(&["schema"]).ok().out;
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    });
}

/// What no file can say is no node's or network's that comes while the lab runs; so it is always written as a
/// file that run takes, also once its last node has gone.
#[test]
fn what_comes_while_it_runs_is_what_a_file_can_say() {
    rooted(|sandbox| {
        let text = "networks: {dmz: {subnet: 10.1.0.0/24}, b: {}, v: {vlan_filtering: true, vlans: \
                    {1: {subnet: 10.7.0.0/24}, 9: {subnet: 10.9.0.0/24}}}}\n\
                    nodes: {h: {networks: {b: 10.5.0.1/24}}, i: {network: dmz}}\n\
                    links: [[{node: h, address: 10.6.0.1/24}, {node: i, address: 10.6.0.2/24}]]\n";
        let path = write(sandbox, "comes.yaml", text);
        let _lab = lab(sandbox, &["run", &path]);
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>());
        let taken = || {
            let written = does("show topology --file").ok().out;
            let path = write(sandbox, "written.yaml", &written);
            sandbox.uswitch(&["run", &path, "--name", "again", "--dry-run"]).ok();
            written
        };
        for (line, said) in [
            ("add dmz", "is a node's name too"),
            ("network add x --subnet 10.5.0.0/24", "10.5.0.1"),
            ("network add x --subnet 10.6.0.0/24", "10.6.0.1"),
            ("add k --network v,10.9.0.5", "10.9.0.5 is not in 10.7.0.0/24"),
            ("add k --network dmz,10.1.0.9/16", "leave /16 out"),
        ] {
            let ended = does(line);
            assert!(ended.complaint(2).contains(said), "{line}: {}", ended.err);
        }
        taken();
        does("add j --network v").ok();
        does("add k --network b,10.8.0.9/24").ok();
        let written = taken();
        assert!(written.contains("10.7.0.2") && written.contains("10.8.0.9/24"), "{written}");
        for node in ["h", "i", "j", "k"] {
            does(&format!("remove {node}")).ok();
        }
        let path = write(sandbox, "empty.yaml", &taken());
        let _empty = lab(sandbox, &["run", &path, "--name", "again"]);
        does("add --name again new --network dmz").ok();
    });
}
