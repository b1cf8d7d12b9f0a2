//! Other hosts in a lab's file.

use super::{json, other_host};
use crate::lab;
use crate::support::rooted;

const FILE: &str = "networks:\n  lan: {subnet: 10.100.0.0/16}\n  dmz: {subnet: 10.101.0.0/24}\n\
                    nodes:\n  a: {network: lan}\njoin: vtep://10.9.0.2?vni=100\ntunnels:\n  \
                    - {vni: 7, remotes: [10.9.0.2], network: dmz}\n";

#[test]
fn a_file_says_which_hosts_are_joined_and_is_given_back() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let path = sandbox.dir.join("lab.yaml");
        std::fs::write(&path, FILE).unwrap();
        let file = path.to_str().unwrap();
        sandbox.uswitch(&["run", "--dry-run", file]).ok();
        let _lab = lab(sandbox, &["run", file]);
        let tunnels = json(sandbox, &["show", "tunnel", "-j"]);
        let told = |at: usize| (tunnels[at]["vni"].clone(), tunnels[at]["network"].clone());
        assert_eq!([told(0), told(1)], [(100.into(), "lan".into()), (7.into(), "dmz".into())]);
        let args = ["exec", "a", "--", "ping", "-c", "1", "-W", "5", "10.100.0.99"];
        assert_eq!(sandbox.uswitch(&args).code, Some(0));
        let given = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        assert!(given.contains("join: vtep://10.9.0.2?vni=100"), "{given}");
        assert!(given.contains("vni: 7"), "{given}");
        // What comes and goes in the running lab is in it, and not.
        sandbox.uswitch(&["tunnel", "remove", "100"]).ok();
        let add = ["tunnel", "add", "vxlan", "9", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
        sandbox.uswitch(&add).ok();
        let given = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        assert!(!given.contains("join:") && given.contains("vni: 9"), "{given}");
        std::fs::write(sandbox.dir.join("back.yaml"), &given).unwrap();
        let back = sandbox.dir.join("back.yaml");
        sandbox.uswitch(&["run", "--dry-run", back.to_str().unwrap()]).ok();
        let refused = sandbox.uswitch(&["network", "remove", "dmz"]);
        assert!(refused.complaint(1).contains("`tunnel remove 7` first"), "{}", refused.err);
    });
}

#[test]
fn what_a_file_has_wrong_of_other_hosts_is_told_with_its_place() {
    rooted(|sandbox| {
        let path = sandbox.dir.join("lab.yaml");
        let file = path.to_str().unwrap().to_owned();
        for (from, to, says) in [
            ("vni=100", "vni=0", "no VNI"),
            ("vtep://10.9.0.2", "10.9.0.2", "is neither vtep://"),
            ("vni: 7", "vni: 16777216", "tunnels[0]: VNI 16777216"),
            ("network: dmz", "network: wan", "there is no network wan"),
            ("[10.9.0.2]", "[]", "name another host in remotes"),
            ("vni: 7", "vni: 100", "VNI 100 twice"),
            ("[10.9.0.2]", "[224.0.0.1]", "224.0.0.1 is no host's address"),
            ("[10.9.0.2]", "[127.0.0.2]", "127.0.0.2 is no host's address"),
        ] {
            let text = FILE.replacen(from, to, 1);
            assert_ne!(text, FILE, "{from}");
            std::fs::write(&path, text).unwrap();
            let ended = sandbox.uswitch(&["run", "--dry-run", &file]);
            assert!(ended.complaint(2).contains(says), "{to}: {}", ended.err);
        }
        let ended = sandbox.uswitch(&["run", "--vtep", "10.9.0.1"]);
        assert!(ended.complaint(2).contains("--vtep goes with --join URL"), "{}", ended.err);
    });
}
