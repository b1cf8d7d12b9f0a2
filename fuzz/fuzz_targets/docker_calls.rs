//! Calls of Docker's, whatever they say: an answer in JSON, never a panic; what a driver is handed has
//! numbers that are fit for names of files and interfaces, and can be written and read again.

#![no_main]

use engine::docker::{Driver, Joined, Published, answer};
use engine::{Attach, Network, Refusal};
use libfuzzer_sys::fuzz_target;

/// Looks at what it is handed.
struct Look;

fn fit(id: &str) {
    assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id:?}");
}

impl Driver for Look {
    fn create_network(&self, network: Network) -> Result<(), Refusal> {
        fit(&network.id);
        let _ = (network.to_topology(), network.port_settings());
        let kept = serde_json::to_vec(&network).unwrap();
        assert_eq!(serde_json::from_slice::<Network>(&kept).unwrap(), network);
        Ok(())
    }
    fn delete_network(&self, network: &str) -> Result<(), Refusal> {
        fit(network);
        Ok(())
    }
    fn create_endpoint(&self, attach: Attach) -> Result<wire::MacAddr, Refusal> {
        fit(&attach.network);
        fit(&attach.endpoint);
        let kept = serde_json::to_vec(&attach).unwrap();
        assert_eq!(serde_json::from_slice::<Attach>(&kept).unwrap(), attach);
        Ok(wire::MacAddr([2, 0, 0, 0, 0, 1]))
    }
    fn delete_endpoint(&self, endpoint: &str) -> Result<(), Refusal> {
        fit(endpoint);
        Ok(())
    }
    fn join(&self, endpoint: &str, _: &str) -> Result<Joined, Refusal> {
        fit(endpoint);
        Ok(Joined { interface: "ue1".into(), gateway: None, gateway6: None })
    }
    fn leave(&self, endpoint: &str) -> Result<(), Refusal> {
        fit(endpoint);
        Ok(())
    }
    fn publish(&self, endpoint: &str, _: Option<Vec<engine::PortAsk>>) -> Result<(), Refusal> {
        fit(endpoint);
        Ok(())
    }
    fn withdraw(&self, endpoint: &str) -> Result<(), Refusal> {
        fit(endpoint);
        Ok(())
    }
    fn settled(&self, endpoint: &str) -> Vec<Published> {
        fit(endpoint);
        Vec::new()
    }
}

const CALLS: [&str; 10] = [
    "/Plugin.Activate",
    "/NetworkDriver.GetCapabilities",
    "/NetworkDriver.CreateNetwork",
    "/NetworkDriver.DeleteNetwork",
    "/NetworkDriver.CreateEndpoint",
    "/NetworkDriver.DeleteEndpoint",
    "/NetworkDriver.Join",
    "/NetworkDriver.Leave",
    "/NetworkDriver.ProgramExternalConnectivity",
    "/NetworkDriver.EndpointOperInfo",
];

fuzz_target!(|data: &[u8]| {
    let Some((call, body)) = data.split_first() else { return };
    let call = CALLS[usize::from(*call) % CALLS.len()];
    let answered = answer(&Look, call, body);
    serde_json::from_str::<serde_json::Value>(&answered).unwrap();
});
