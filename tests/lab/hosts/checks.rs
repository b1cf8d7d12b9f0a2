//! `tunnel check` between hosts that etcd knows.

use serde_json::Value;

use super::hosts;
use crate::door::until;

#[test]
fn each_other_host_is_checked_by_its_nodes() {
    hosts(|world| {
        let _labs = [1, 2, 3].map(|host| world.lab(host));
        let rows = until("both ways pass", || {
            let ended = world.uswitch(1, &["tunnel", "check", "-j"]);
            let rows: Value = serde_json::from_str(&ended.out).ok()?;
            (ended.code == Some(0) && rows.as_array()?.len() == 2).then_some(rows)
        });
        for (row, host) in rows.as_array().unwrap().iter().zip([2, 3]) {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let (host, node, vtep) =
                (format!("h{host}"), format!("n{host}"), format!("10.9.0.{host}"));
            assert_eq!([text("host"), text("node"), text("vtep")], [host, node, vtep]);
            let inside = &row["inside"];
            for echo in [&inside["small"], &inside["large"], &row["outside"]["large"]] {
                assert_eq!(echo["state"], "answered", "{row:#}");
            }
            assert_eq!(
                (&inside["tcp"], &inside["tcp_segments"]),
                (&"answered".into(), &"answered".into())
            );
        }
        // One that is cut off fails while it is known, and the other passes.
        world.set_cable(3, false);
        let ended = world.uswitch(1, &["tunnel", "check"]);
        assert!(ended.complaint(1).contains("h3: 10.9.0.3 does not answer"), "{}", ended.err);
        assert!(ended.out.lines().any(|line| line.starts_with("h2 ") && line.ends_with(" ok")));
        world.uswitch(1, &["tunnel", "check", "h2"]).ok();
        // Later it is forgotten, and no word here.
        until("h3 is unknown", || {
            let ended = world.uswitch(1, &["tunnel", "check", "h3"]);
            (ended.code == Some(2) && ended.err.contains("no other host (h2 10.9.0.2)"))
                .then_some(())
        });
    });
}
