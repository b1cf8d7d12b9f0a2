//! What a network is to join: one of several hosts, by the option `uswitch.join`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use topology::join::Join;

use crate::Refusal;

/// No other hosts.
const NONE: &str = "none";

/// A network's word on other hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joins {
    /// None, wherever others go.
    Nobody,
    /// The network of this name, of the cluster that the server is told of.
    There(String),
    /// This one.
    At(Box<Join>),
}

impl FromStr for Joins {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text == NONE {
            return Ok(Self::Nobody);
        }
        if text.is_empty() || !text.contains("://") && text.contains('/') {
            return Err(Refusal(format!("{text:?} is no network of other hosts")));
        }
        if !text.contains("://") {
            return Ok(Self::There(text.into()));
        }
        let join: Join = text.parse().map_err(|why| Refusal(format!("{why}")))?;
        if let Some(own) = join.network() {
            return Err(Refusal(format!("network={own}: it is the one that is made")));
        }
        if let Join::Etcd(etcd) = &join
            && let Some((key, path)) = etcd.access.relative()
        {
            let path = path.display();
            return Err(Refusal(format!(
                "{key}={path}: the server looks for it: say the whole path"
            )));
        }
        Ok(Self::At(Box::new(join)))
    }
}

impl fmt::Display for Joins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str(NONE),
            Self::There(name) => f.write_str(name),
            Self::At(join) => join.fmt(f),
        }
    }
}

impl Serialize for Joins {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Joins {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|Refusal(why)| serde::de::Error::custom(why))
    }
}

impl Joins {
    /// What is joined, where the server joins `usual` itself; None for nothing.
    ///
    /// # Errors
    /// [`Refusal`] where a network of a cluster is named, and the server knows of none.
    pub fn resolve(own: Option<&Self>, usual: Option<&Join>) -> Result<Option<Join>, Refusal> {
        match (own, usual) {
            (None, usual) => Ok(usual.cloned()),
            (Some(Self::Nobody), _) => Ok(None),
            (Some(Self::At(join)), _) => Ok(Some(Join::clone(join))),
            (Some(Self::There(name)), Some(Join::Etcd(usual))) => {
                let (name, vni) = (name.clone(), usual.vni.filter(|_| *name == usual.name));
                Ok(Some(Join::Etcd(topology::join::Etcd { name, vni, ..usual.clone() })))
            }
            (Some(Self::There(name)), _) => Err(Refusal(format!(
                "uswitch.join={name}: where? `uswitch serve --join etcd://…` says it, or \
                 uswitch.join=etcd://ADDRESS,…/{name}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn joined(own: &str, usual: Option<&str>) -> Option<String> {
        let own = Some(own).filter(|own| !own.is_empty()).map(|own| own.parse().unwrap());
        let usual = usual.map(|usual| usual.parse().unwrap());
        let joined = Joins::resolve(own.as_ref(), usual.as_ref()).unwrap();
        joined.map(|join| join.to_string())
    }

    #[test]
    fn a_networks_own_word_goes_before_the_servers() {
        let usual = Some("etcd://10.0.0.1,10.0.0.2/prod?vni=7");
        assert_eq!(joined("", None), None);
        assert_eq!(joined("", usual).as_deref(), usual);
        assert_eq!(joined("none", usual), None);
        assert_eq!(joined("prod", usual).as_deref(), usual);
        // Another network has another number.
        assert_eq!(joined("dev", usual).as_deref(), Some("etcd://10.0.0.1,10.0.0.2/dev"));
        // And is asked for in the same way.
        let by_tls = Some("etcds://10.0.0.1/prod?cacert=/ca.pem&user=uswitch");
        let there = "etcds://10.0.0.1/dev?cacert=/ca.pem&user=uswitch";
        assert_eq!(joined("dev", by_tls).as_deref(), Some(there));
        for own in ["etcd://10.0.0.3/x", "vtep://10.0.0.2?vni=5", "bgp://127.0.0.1/x?vni=5"] {
            assert_eq!(joined(own, usual).as_deref(), Some(own));
            assert_eq!(own.parse::<Joins>().unwrap().to_string(), own);
        }
    }

    #[test]
    fn what_cannot_be_joined_is_told() {
        for (text, says) in [
            ("", "no network of other hosts"),
            ("a/b", "no network of other hosts"),
            ("etcd://10.0.0.1", "/NET is missing"),
            ("etcd://10.0.0.1/prod?network=lan", "the one that is made"),
            ("etcds://10.0.0.1/prod?cacert=ca.pem", "say the whole path"),
            ("bgp://10.0.0.1/prod", "?vni=N is missing"),
            ("ftp://10.0.0.1/prod", "is neither"),
        ] {
            let Refusal(why) = text.parse::<Joins>().unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
        let there = Joins::There("prod".into());
        for usual in [None, Some("vtep://10.0.0.2?vni=5".parse().unwrap())] {
            let Refusal(why) = Joins::resolve(Some(&there), usual.as_ref()).unwrap_err();
            assert!(why.contains("serve --join"), "{why}");
        }
    }
}
