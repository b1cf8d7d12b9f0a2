//! The configuration of a network, with what the runtime has put in for one container.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Failure, LATEST, VERSIONS, code};

/// The longest name of a network: it comes in the names of files of others.
const LONGEST: usize = 255;
/// What a configuration without a version is of.
const FIRST: &str = "0.1.0";

/// As it comes on standard input.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Conf {
    #[serde(rename = "cniVersion", default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) mtu: Option<u32>,
    #[serde(default)]
    pub(super) internal: bool,
    #[serde(default)]
    pub(super) ipam: Option<Ipam>,
    #[serde(default)]
    pub(super) dns: Option<Dns>,
    /// Read where a container is taken in: nothing in it keeps one from being let go.
    #[serde(rename = "runtimeConfig", default)]
    pub(super) runtime: Option<Value>,
    #[serde(rename = "prevResult", default)]
    pub(super) before: Option<Value>,
    /// Places that there are, by the key of today's specification, and by that of 1.1.0 as it came first: the
    /// runtimes' library says both.
    #[serde(rename = "cni.dev/valid-attachments", default, deserialize_with = "attachments")]
    pub(super) valid: Option<Vec<Attachment>>,
    #[serde(rename = "cni.dev/attachments", default, deserialize_with = "attachments")]
    pub(super) first_valid: Option<Vec<Attachment>>,
    /// All else: options of ours among it.
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, Value>,
}

/// Who gives out addresses.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Ipam {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// What a container asks for names by.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Dns {
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "servers")]
    pub(super) nameservers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "searches")]
    pub(super) search: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) options: Vec<String>,
}

impl Dns {
    /// This, and where it says nothing, `other`.
    pub(super) fn or(self, other: Self) -> Self {
        let list = |own: Vec<String>, other| if own.is_empty() { other } else { own };
        Self {
            nameservers: list(self.nameservers, other.nameservers),
            domain: self.domain.or(other.domain),
            search: list(self.search, other.search),
            options: list(self.options, other.options),
        }
    }
}

/// What the runtime says of the container, by the capabilities of the configuration (CONVENTIONS.md).
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Runtime {
    #[serde(rename = "portMappings", default)]
    pub(super) ports: Option<Vec<Port>>,
    #[serde(default)]
    pub(super) ips: Option<Vec<String>>,
    #[serde(default)]
    pub(super) mac: Option<String>,
    /// By network.
    #[serde(default)]
    pub(super) aliases: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    pub(super) dns: Option<Dns>,
    #[serde(default)]
    pub(super) bandwidth: Option<Bandwidth>,
}

/// Rates of a container, in bits a second, and bursts, in bits.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Bandwidth {
    pub(super) ingress_rate: Option<u64>,
    pub(super) ingress_burst: Option<u64>,
    pub(super) egress_rate: Option<u64>,
    pub(super) egress_burst: Option<u64>,
}

/// A port to publish.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Port {
    #[serde(default)]
    pub(super) host_port: i64,
    pub(super) container_port: i64,
    #[serde(default)]
    pub(super) protocol: String,
    #[serde(rename = "hostIP", default)]
    pub(super) host: String,
}

/// A place that there is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Attachment {
    #[serde(rename = "containerID")]
    pub(super) container: String,
    #[serde(rename = "ifname")]
    pub(super) interface: String,
}

/// A list that is there: Go writes null for an empty one.
fn attachments<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Attachment>>, D::Error> {
    Option::<Vec<Attachment>>::deserialize(from).map(|list| Some(list.unwrap_or_default()))
}

impl Runtime {
    pub(super) fn read(said: Option<&Value>) -> Result<Self, Failure> {
        let Some(said) = said.filter(|said| !said.is_null()) else { return Ok(Self::default()) };
        Self::deserialize(said).map_err(|why| {
            Failure::new(code::CONFIG, format!("runtimeConfig is not understood: {why}"))
        })
    }
}

impl Conf {
    pub(super) fn read(stdin: &[u8]) -> Result<Self, Failure> {
        let value: Value = serde_json::from_slice(stdin).map_err(|why| {
            let msg = format!("the configuration on standard input is no JSON: {why}");
            Failure::new(code::DECODING, msg)
        })?;
        let bad = |why: String| Failure::new(code::CONFIG, why);
        let mut conf: Self = serde_json::from_value(value)
            .map_err(|why| bad(format!("the configuration is not understood: {why}")))?;
        if conf.version.is_empty() {
            conf.version = FIRST.into();
        }
        if !VERSIONS.contains(&conf.version.as_str()) {
            let msg = format!(
                "cniVersion {:?} of the configuration: uswitch speaks {} to {LATEST}",
                conf.version, VERSIONS[0]
            );
            return Err(Failure::new(code::VERSION, msg));
        }
        if !is_word(&conf.name) || conf.name.len() > LONGEST {
            return Err(bad(format!(
                "the network's name is {:?}: letters, digits, '_', '.' and '-' make one, and a \
                 letter or digit begins it",
                conf.name
            )));
        }
        if let Some(ipam) = &conf.ipam
            && (ipam.kind.contains('/') || matches!(ipam.kind.as_str(), "." | ".."))
        {
            return Err(bad(format!("ipam: {:?} is no name of a plugin", ipam.kind)));
        }
        Ok(conf)
    }

    /// Options of ours, as text.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let all = self.rest.iter().map(|(key, value)| (key.clone(), text(value)));
        all.chain(self.mtu.map(|mtu| ("mtu".to_owned(), mtu.to_string()))).collect()
    }
}

/// A name of a network or a container, as the specification has them.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(plain)
}
