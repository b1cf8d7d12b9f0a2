//! `docs/ci.md`: its script is run as it stands, by a shell that ends at the first failure; its table of exit
//! codes is held against the program.

use crate::support::{rooted, skip};

const PAGE: &str = include_str!("../../docs/ci.md");

/// The block of the page that is in this language.
fn block(language: &str) -> &'static str {
    let begun = PAGE.split_once(&format!("```{language}\n")).unwrap().1;
    begun.split_once("```").unwrap().0
}

#[test]
fn the_script_runs_as_it_stands() {
    rooted(|sandbox| {
        for program in ["python3", "curl", "bash"] {
            if sandbox.shell(&format!("command -v {program}")).code != Some(0) {
                return skip(format!("{program} is not here"));
            }
        }
        let before = sandbox.state();
        std::fs::write("/run/network.sh", block("bash")).unwrap();
        let ended = sandbox.shell("bash -e /run/network.sh").ok();
        for said in ["lab uswitch is down", "it would arrive", "0 received", "3 received"] {
            assert!(ended.out.contains(said), "no {said:?}:\n{}\n{}", ended.out, ended.err);
        }
        std::fs::remove_file("/run/network.sh").unwrap();
        assert_eq!(sandbox.state(), before);
        // It notices: with a way around the cable that is pulled it fails.
        let blind = block("bash").replace("uswitch link net1 down", "true");
        std::fs::write("/run/network.sh", blind).unwrap();
        let ended = sandbox.shell("bash -e /run/network.sh");
        assert_eq!(ended.code, Some(1), "{}\n{}", ended.out, ended.err);
        std::fs::remove_file("/run/network.sh").unwrap();
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn the_job_starts_that_script_and_installs_what_there_is() {
    let job = block("yaml");
    assert!(job.contains("bash -e ci/network.sh") && PAGE.contains("`ci/network.sh`"));
    assert!(job.contains(&format!("uswitch-{}", env!("CARGO_PKG_VERSION"))), "the cache's key");
}

#[test]
fn exit_codes_are_what_the_table_says() {
    rooted(|sandbox| {
        let table = PAGE.split_once("## Exit codes").unwrap().1;
        for (line, code) in [
            ("ping net1 net2 -c 1", 2),
            ("run nosuch.yaml", 2),
            ("up -n 2", 0),
            ("ping net1 net2 -c 1", 0),
            ("ping net1 10.100.0.99 -c 1 -W 1", 1),
            ("explain net1 net2", 0),
            ("explain net1 10.100.0.99", 1),
            ("link net9 down", 2),
            ("port nosuch --isolated on", 2),
            ("exec net1 -- sh -c 'exit 42'", 42),
            ("exec net1 -- /etc/passwd", 126),
            ("exec net1 -- nosuch", 127),
            ("show ports >/dev/full", 1),
            ("down", 0),
        ] {
            let ended = sandbox.shell(&format!("uswitch {line}"));
            assert_eq!(ended.code, Some(code), "{line}: {}{}", ended.out, ended.err);
            let known =
                table.contains(&format!("| {code} |")) || table.contains(&format!(" {code} |"));
            assert!(known || code == 42 || code == 126, "{code} is not in the table");
        }
        assert!(table.contains("| 126, 127 |") && table.contains("| any |"));
    });
}
