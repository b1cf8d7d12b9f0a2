//! Which remote end an address is at, set by hand.

use serde_json::Value;

use super::{json, other_host};
use crate::lab;
use crate::support::{Sandbox, rooted};

const MAC: &str = "02:00:00:00:00:09";

/// The tunnel's rows for the address, as the kernel has them.
fn rows(sandbox: &Sandbox) -> Vec<Value> {
    let lab = sandbox.uswitch(&["show", "topology", "-j"]).ok().out;
    let lab: Value = serde_json::from_str(&lab).unwrap();
    let pid = lab["pid"].to_string();
    // The switch's namespace has no name: its threads are in it.
    let all = sandbox.shell(&format!(
        "for t in /proc/{pid}/fd/*; do case $(readlink $t) in net:*) nsenter --net=$t bridge -j fdb \
         show dev vxlan100 2>/dev/null && break;; esac; done"
    ));
    let all: Value = serde_json::from_str(all.out.trim()).unwrap_or(Value::Array(Vec::new()));
    all.as_array().unwrap().iter().filter(|row| row["mac"] == MAC).cloned().collect()
}

fn known(sandbox: &Sandbox) -> Option<Value> {
    let fdb = json(sandbox, &["show", "fdb", "-j"]);
    fdb.as_array().unwrap().iter().find(|row| row["mac"] == MAC).cloned()
}

#[test]
fn an_address_is_at_the_end_that_was_said() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let file = format!(
            "networks: {{lan: {{subnet: 10.100.0.0/16, fdb: [{{mac: {MAC}, node: vxlan100, dst: 10.9.0.2}}]}}}}\n\
             nodes: {{a: {{network: lan}}}}\njoin: vtep://10.9.0.2,10.9.0.3?vni=100\n"
        );
        let path = sandbox.dir.join("lab.yaml");
        std::fs::write(&path, &file).unwrap();
        let _lab = lab(sandbox, &["run", path.to_str().unwrap()]);
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>());
        // From the file, in both tables.
        let row = known(sandbox).expect("the file's row");
        assert_eq!((&row["dst"], &row["state"]), (&"10.9.0.2".into(), &"static".into()), "{row}");
        assert_eq!(row["ifname"], "vxlan100");
        let theirs = rows(sandbox);
        assert_eq!(theirs.len(), 1, "{theirs:?}");
        assert_eq!(
            (&theirs[0]["dst"], &theirs[0]["state"]),
            (&"10.9.0.2".into(), &"permanent".into())
        );
        let given = does("show topology --file").ok().out;
        assert!(given.contains("node: vxlan100") && given.contains("dst: \"10.9.0.2\""), "{given}");
        // Another end, by hand; the only tunnel needs no number.
        does(&format!("fdb add {MAC} vxlan --dst 10.9.0.3")).ok();
        assert_eq!(known(sandbox).unwrap()["dst"], "10.9.0.3");
        assert_eq!(rows(sandbox)[0]["dst"], "10.9.0.3");
        let shown = does("show fdb").ok().out;
        assert!(shown.contains("REMOTE END") && shown.contains("10.9.0.3"), "{shown}");
        does(&format!("fdb del {MAC}")).ok();
        assert_eq!((known(sandbox), rows(sandbox).len()), (None, 0));
        for (wrong, why) in [
            (
                "fdb add 02:00:00:00:00:09 vxlan100 --dst 10.9.0.7",
                "10.9.0.7 is no remote end of vxlan100",
            ),
            ("fdb add 02:00:00:00:00:09 a --dst 10.9.0.2", "it is no port of a tunnel"),
            ("fdb add 02:00:00:00:00:09 vxlan100 --dst 10.9.0.2 --local", "cannot be used with"),
            ("fdb add 02:00:00:00:00:09 vxlan100 --dst nowhere", "nowhere"),
        ] {
            let ended = does(wrong);
            assert_eq!(ended.code, Some(2), "{wrong}: {}", ended.err);
            assert!(ended.err.contains(why), "{wrong}: {}", ended.err);
            assert_eq!((known(sandbox), rows(sandbox).len()), (None, 0), "{wrong}");
        }
    });
}
