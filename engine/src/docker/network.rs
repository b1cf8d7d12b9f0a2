//! CreateNetwork: what dockerd says of a network. Its name, its labels and the range that containers'
//! addresses are from are not among it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use topology::{Address, Subnet};

use super::{is_id, read};
use crate::network::{BINDING, ICC, MTU, OURS, Pool};
use crate::{Network, Options, Refusal};

/// Where `-o` options stand.
const GENERIC: &str = "com.docker.network.generic";
const INTERNAL: &str = "com.docker.network.internal";

/// The call.
#[derive(Debug, Deserialize)]
pub(super) struct Create {
    #[serde(rename = "NetworkID")]
    id: String,
    #[serde(rename = "Options", default)]
    options: Option<BTreeMap<String, Value>>,
    #[serde(rename = "IPv4Data", default)]
    ipv4: Option<Vec<Data>>,
    #[serde(rename = "IPv6Data", default)]
    ipv6: Option<Vec<Data>>,
}

/// A subnet, as the engine's own address management has chosen it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    gateway: String,
    #[serde(default)]
    pool: String,
}

impl Data {
    fn pool(&self) -> Result<Pool, Refusal> {
        let Self { gateway, pool } = self;
        let subnet: Subnet =
            pool.parse().map_err(|_| Refusal(format!("{pool:?} is no subnet for a network")))?;
        let gateway = match gateway.as_str() {
            "" => None,
            text => {
                let own: Option<Address> = text.parse().ok();
                Some(own.ok_or_else(|| Refusal(format!("{text:?} is no address for a gateway")))?)
            }
        };
        Ok(Pool { subnet, gateway })
    }
}

impl Create {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        read(body)
    }

    pub(super) fn into_network(self) -> Result<Network, Refusal> {
        let Self { id, options, ipv4, ipv6 } = self;
        is_id(&id)?;
        let options = options.unwrap_or_default();
        let generic = options.get(GENERIC).and_then(Value::as_object);
        let said = generic.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
        let said: Vec<(&str, &str)> = said
            .filter_map(|(key, value)| match value {
                Some(value) => Some(Ok((key, value))),
                // What is said another way is not done another way in silence.
                None if key.starts_with(OURS)
                    || MTU.contains(&key)
                    || [ICC, BINDING].contains(&key) =>
                {
                    let said = "its value is no text: write it in quotes";
                    Some(Err(Refusal(format!("option {key}: {said}"))))
                }
                None => None,
            })
            .collect::<Result<_, _>>()?;
        let data = ipv4.into_iter().chain(ipv6).flatten();
        Ok(Network {
            id,
            pools: data.map(|data| data.pool()).collect::<Result<_, _>>()?,
            internal: options.get(INTERNAL).and_then(Value::as_bool).unwrap_or(false),
            names: false,
            passing: false,
            options: Options::read(said)?,
        })
    }
}
