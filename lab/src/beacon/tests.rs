//! A beacon is seen while it burns, and whose it is.

use super::*;

#[test]
fn a_beacon_is_seen_while_it_burns() {
    let name = format!("uswitch/test/{}", std::process::id());
    assert_eq!(of_name(name.as_bytes()), None);
    let beacon = Beacon::light(name.as_bytes(), None).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    for _ in 0..1000 {
        let peer = of_name(name.as_bytes()).unwrap();
        assert_eq!((peer.is_ours(), peer.pid), (true, own));
    }
    assert!(Beacon::light(name.as_bytes(), None).is_err());
    drop(beacon);
    assert_eq!(of_name(name.as_bytes()), None);
}
