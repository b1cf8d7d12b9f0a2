//! A build without EVPN says so, and which one has it.

use crate::support::rooted;

#[test]
fn bgp_is_refused_in_a_line_before_anything_is_made() {
    rooted(|sandbox| {
        let before = sandbox.state();
        for verb in ["run", "up", "serve"] {
            let ended = sandbox.uswitch(&[verb, "--join", "bgp://127.0.0.1/prod?vni=100"]);
            let said = ended.complaint(2);
            let says = "built without EVPN; its packages have it, and so has \
                        `cargo build --release --features evpn`";
            assert!(said.contains(says), "{verb}: {said}");
        }
        assert_eq!(sandbox.state(), before);
    });
}
