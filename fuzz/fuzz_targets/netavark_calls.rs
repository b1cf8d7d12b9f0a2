//! What podman says to a driver of netavark's: a network to be, and containers that come. What is
//! understood goes over the socket and back unchanged; a network that was answered is one that may come.

#![no_main]
#![allow(clippy::unwrap_used)]

use engine::netavark::{Call, create};
use engine::plugin::Ask;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fn through(ask: &Ask) {
    assert_eq!(Ask::read(&serde_json::to_vec(ask).unwrap()).as_ref(), Ok(ask));
}

fuzz_target!(|data: &[u8]| {
    if let Ok(answer) = create(data, &[]) {
        let network: Value = serde_json::from_str(&answer).unwrap();
        assert!(network["subnets"].as_array().is_some_and(|subnets| !subnets.is_empty()));
        // podman says it again, and then with each container.
        assert_eq!(create(answer.as_bytes(), &[]).unwrap(), answer);
        let coming = json!({"container_id": "c1", "network": network,
            "network_options": {"interface_name": "eth0"}});
        let call = Call::read(coming.to_string().as_bytes()).unwrap();
        assert!(call.join("/run/netns/c1").unwrap_err().0.contains("no address"));
    }
    let Ok(call) = Call::read(data) else { return };
    through(&call.detach());
    if let Ok(join) = call.join("/run/netns/c1") {
        join.network.to_topology().unwrap();
        serde_json::from_str::<Value>(&call.result(&join, "02:00:00:00:00:01")).unwrap();
        through(&Ask::Attach(Box::new(join)));
    }
});
