//! What a shell offers as the next word, asked as bash asks: names of what runs, values, and no word
//! that `--help` hides.

use crate::lab;
use crate::support::{Sandbox, rooted};

/// What is offered for the last of `words`; an empty one stands for a word not begun.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!(
        "_CLAP_COMPLETE_INDEX={} _CLAP_IFS=' ' COMPLETE=bash uswitch -- uswitch {}",
        words.len(),
        quoted.join(" ")
    );
    let said = sandbox.shell(&line).ok().out;
    said.split_whitespace().map(String::from).collect()
}

#[test]
fn what_fits_is_offered() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "--name", "m1"]);
        sandbox.uswitch(&["network", "add", "dmz"]).ok();
        sandbox.tool("ip", &["link", "add", "under", "type", "veth", "peer", "name", "over"]);
        sandbox.tool("ip", &["addr", "add", "10.9.0.1/24", "dev", "under"]);
        sandbox.tool("ip", &["link", "set", "under", "up"]);
        let tunnel = "tunnel add vxlan 7 --local 10.9.0.1 --remote 10.9.0.2 --network dmz";
        sandbox.uswitch(&tunnel.split(' ').collect::<Vec<_>>()).ok();
        for port in ["8080:net1:80", "5353:net1:53/udp"] {
            sandbox.uswitch(&["publish", port]).ok();
        }
        let nodes = &["net1", "net2"][..];
        let ports = &["net1", "net2", "veth1", "veth2", "vethinet"];
        let networks = &["lan", "dmz"];
        for (words, wanted) in [
            (&["run", ""][..], &["pair", "mesh", "switch"][..]),
            (&["run", "--nat", ""], &["full-cone", "symmetric"]),
            (&["run", "--uplink", ""], &["sim", "none", "auto"]),
            (&["show", "--name", ""], &["m1"]),
            (&["down", ""], &["m1"]),
            (&["ping", ""], &["net1", "net2", "gateway", "internet"]),
            (&["exec", ""], &["net1", "net2", "inet"]),
            (&["shell", ""], &["net1", "net2", "inet"]),
            (&["remove", ""], nodes),
            (&["link", ""], nodes),
            (&["explain", ""], &["net1", "net2", "inet"]),
            (&["explain", "net1", ""], &["net1", "net2", "gateway", "internet"]),
            (&["port", ""], ports),
            (&["port", "net1", "--network", ""], networks),
            (&["vlan", "add", ""], ports),
            (&["fdb", "flush", ""], ports),
            (&["mdb", "add", ""], ports),
            (&["capture", ""], ports),
            (&["trace", ""], ports),
            (&["trace", "--network", ""], networks),
            (&["monitor", "--network", ""], networks),
            (&["network", "set", ""], networks),
            (&["network", "remove", ""], networks),
            (&["add", "--network", ""], networks),
            (&["man", "cap"], &["capture"]),
            (&["fdb", "add", "02:00:00:00:00:09", ""], ports),
            (&["unpublish", ""], &["8080", "5353/udp"]),
            (&["schema", ""], &["show", "ping", "network"]),
            (&["schema", "show", ""], &["ports", "vlan"]),
            (&["schema", "show", "po"], &["ports"]),
            (&["tunnel", "remove", ""], &["7"]),
            (&["tunnel", "check", ""], &["7"]),
        ] {
            let offered = offered(sandbox, words);
            let missing: Vec<_> =
                wanted.iter().filter(|one| !offered.iter().any(|had| had == *one)).collect();
            assert!(missing.is_empty(), "{words:?}: {missing:?} of {offered:?}");
        }
        // What cannot go is not offered to whoever takes something out.
        assert!(!offered(sandbox, &["remove", ""]).contains(&"inet".to_owned()));
    });
}

#[test]
fn hidden_words_stay_hidden() {
    rooted(|sandbox| {
        for begun in ["", "e", "ext", "extcap", "cre", "setu", "tear", "inf"] {
            let offered = offered(sandbox, &[begun]);
            let hidden = ["extcap", "create", "setup", "teardown", "info"];
            let told: Vec<_> =
                offered.iter().filter(|one| hidden.contains(&one.as_str())).collect();
            assert!(told.is_empty(), "{begun:?}: {offered:?}");
        }
    });
}
