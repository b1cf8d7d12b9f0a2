//! Containers in several networks: what they are called in each, and whom they know by name.

use serde_json::{Value, json};

use super::{Runtime, resolve};
use crate::recorded::served;

/// A call with an alias.
fn called(runtime: &Runtime<'_>, network: &str, alias: &str) -> Value {
    let mut conf = runtime.conf.clone();
    conf["runtimeConfig"] = json!({"aliases": {network: [alias]}});
    conf
}

/// A C library asks the first server of resolv.conf alone where that denies a name.
#[test]
fn each_gateway_knows_the_names_of_all_networks_of_who_asks() {
    served(|sandbox, _| {
        let (one, two) =
            (Runtime::new(sandbox, "one", "10.92.0"), Runtime::new(sandbox, "two", "10.93.0"));
        for name in ["c1", "c2", "c3"] {
            one.make(name);
        }
        one.add("c1");
        two.start("ADD", "c1", "eth1", &two.conf).ended().ok();
        one.add("c2");
        two.add("c3");
        for gateway in ["10.92.0.1", "10.93.0.1"] {
            assert_eq!(resolve("c1", gateway, "c2"), Some([10, 92, 0, 11]), "{gateway}");
            assert_eq!(resolve("c1", gateway, "c3"), Some([10, 93, 0, 11]), "{gateway}");
        }
        // Who is in one of them knows that one.
        assert_eq!(resolve("c2", "10.92.0.1", "c3"), None);
        two.start("DEL", "c1", "eth1", &two.conf).ended().ok();
        assert_eq!(resolve("c1", "10.92.0.1", "c3"), None);
        assert_eq!(resolve("c1", "10.92.0.1", "c2"), Some([10, 92, 0, 11]));
        two.del("c3");
        one.del("c1");
        one.del("c2");
        one.nothing_is_left();
        one.unmake(&["c1", "c2", "c3"]);
    });
}

#[test]
fn an_alias_holds_in_its_network_and_as_long_as_its_place() {
    served(|sandbox, _| {
        let (one, two) =
            (Runtime::new(sandbox, "one", "10.92.0"), Runtime::new(sandbox, "two", "10.93.0"));
        for name in ["c1", "c2", "c3", "db"] {
            one.make(name);
        }
        one.call("ADD", "c1", &called(&one, "one", "db")).ok();
        two.start("ADD", "c1", "eth1", &called(&two, "two", "store")).ended().ok();
        two.add("db");
        one.add("c2");
        two.add("c3");
        for _ in 0..4 {
            assert_eq!(resolve("c3", "10.93.0.1", "db"), Some([10, 93, 0, 11]));
            assert_eq!(resolve("c2", "10.92.0.1", "db"), Some([10, 92, 0, 10]));
        }
        assert_eq!(resolve("c3", "10.93.0.1", "store"), Some([10, 93, 0, 10]));
        assert_eq!(resolve("c2", "10.92.0.1", "store"), None);
        // It leaves the second network, and the name there with it.
        two.start("DEL", "c1", "eth1", &two.conf).ended().ok();
        assert_eq!(resolve("c3", "10.93.0.1", "store"), None);
        assert_eq!(resolve("c2", "10.92.0.1", "db"), Some([10, 92, 0, 10]));
        for name in ["db", "c3"] {
            two.del(name);
        }
        for name in ["c1", "c2"] {
            one.del(name);
        }
        one.nothing_is_left();
        one.unmake(&["c1", "c2", "c3", "db"]);
    });
}
