//! What the plugins that engines start ask of the running `serve`, by its own socket: values that go
//! over it as JSON. A container's namespace goes beside them, as a descriptor.
//!
//! Each may be asked again, out of order, or of what is gone.

use serde::{Deserialize, Serialize};
use topology::Address;

use crate::{Attach, Network, Refusal, Route};

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Say that you are there.
    Status,
    /// Give a container a place in a network. With the namespace.
    Attach(Box<Join>),
    /// Take a place away.
    Detach {
        /// Its number.
        endpoint: String,
    },
    /// See whether a place is as it was given. With the namespace.
    Check(Box<Expected>),
    /// Take away all places in a network but these.
    Keep {
        /// The network's number.
        network: String,
        /// Numbers of places.
        endpoints: Vec<String>,
    },
}

/// A container's place in a network, with all that is to be made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The network, made where there is none.
    pub network: Network,
    /// What its engine calls it.
    pub called: String,
    /// The place.
    pub attach: Attach,
    /// The engine's number for the container.
    pub container: String,
    /// Where its namespace is found.
    pub sandbox: String,
    /// What the interface is to be called there.
    pub interface: String,
    /// Routes there.
    pub routes: Vec<Route>,
    /// The engine binds the ports itself, and has a process of its own hold them once this is done.
    #[serde(default)]
    pub binds: bool,
    /// The engine binds the ports at a host that is outside the network we are in. Here they are ours, as far
    /// as they can be had: for those inside.
    #[serde(default)]
    pub outside: bool,
    /// What it may receive.
    #[serde(default)]
    pub received: Option<Rate>,
    /// What it may send.
    #[serde(default)]
    pub sent: Option<Rate>,
}

/// A rate, and how much may come at once beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Bits a second.
    pub rate: u64,
    /// Bits.
    pub burst: u64,
}

/// A place as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Its number.
    pub endpoint: String,
    /// Its interface in the container.
    pub interface: String,
    /// The hardware address, where it was told.
    pub mac: Option<String>,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Routes by it.
    pub routes: Vec<Route>,
}

impl Ask {
    /// Reads one that has come over the socket.
    ///
    /// # Errors
    /// [`Refusal`] for what is no such thing, or has numbers that are none of [`number`]'s.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let ask: Self = serde_json::from_slice(bytes)
            .map_err(|why| Refusal(format!("a plugin's call is not understood: {why}")))?;
        let numbers: Vec<&str> = match &ask {
            Self::Status => vec![],
            Self::Attach(join) => {
                let Attach { network, endpoint, .. } = &join.attach;
                vec![&join.network.id, network, endpoint]
            }
            Self::Detach { endpoint } => vec![endpoint],
            Self::Check(expected) => vec![&expected.endpoint],
            Self::Keep { network, endpoints } => {
                endpoints.iter().chain([network]).map(String::as_str).collect()
            }
        };
        // They become names of files and interfaces.
        let is = |text: &str| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        match numbers.into_iter().find(|text| !is(text)) {
            Some(text) => Err(Refusal(format!("{text:?} is no number of a plugin's"))),
            None => Ok(ask),
        }
    }
}

/// What has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done.
    Done,
    /// The container has its place.
    Attached {
        /// The hardware address of its interface.
        mac: String,
    },
    /// The server is about to end: the next one is to be asked.
    Leaving,
    /// It cannot be.
    Refused {
        /// One line, which the engine's user reads.
        why: String,
    },
}

impl From<Refusal> for Answer {
    fn from(Refusal(why): Refusal) -> Self {
        Self::Refused { why }
    }
}

/// Digits of a number.
const DIGITS: usize = 32;

/// A number for what an engine names by words, as the rest of us wants them: 32 hexadecimal digits that
/// follow from the words (FNV-1a of 128 bits). They become names of files and interfaces.
#[must_use]
pub fn number(words: &[&str]) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    // A byte that is in no word ends each, twice at the end: what comes last moves the first digits.
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0xff])).chain([0xff; 16]);
    let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{hash:0DIGITS$x}")
}

/// Whether text can be a name for the resolver: letters, digits, `-`, `_` and dots (RFC 1035, 2.3.4).
pub(crate) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_their_first_digits() {
        let all: std::collections::BTreeSet<String> = (0..10_000)
            .map(|count| number(&["lab", &count.to_string(), "eth0"])[..12].to_owned())
            .collect();
        assert_eq!(all.len(), 10_000);
        assert_ne!(number(&["a", "bc"]), number(&["ab", "c"]));
        assert_eq!(number(&["lab"]).len(), 32);
    }

    #[test]
    fn what_comes_over_the_socket_has_numbers_of_ours() {
        let detach = |endpoint: String| Ask::Detach { endpoint };
        let ask = detach(number(&["x"]));
        assert_eq!(Ask::read(&serde_json::to_vec(&ask).unwrap_or_default()), Ok(ask));
        let odd = serde_json::to_vec(&detach("../../etc/passwd".into())).unwrap_or_default();
        assert!(Ask::read(&odd).is_err() && Ask::read(b"{").is_err());
    }

    #[test]
    fn names_are_those_of_the_resolver() {
        for (text, is) in
            [("web", true), ("a.b_c-1", true), ("", false), ("a..b", false), ("a b", false)]
        {
            assert_eq!(is_name(text), is, "{text:?}");
        }
    }
}
