//! The Container Network Interface, as a plugin meets it: what a runtime says in variables and on
//! standard input, and what it is told. Versions 0.3.1 to 1.1.0 of
//! <https://github.com/containernetworking/cni/blob/main/SPEC.md>; what podman 4.3 says was recorded
//! (`tests.rs`).
//!
//! A call is read and checked whole before anything is done ([`Call::read`]); then it says what to ask
//! `serve` for, and makes the runtime's answer of what came back.

mod conf;
#[cfg(test)]
mod tests;
mod told;

use serde_json::{Value, json};

use crate::Refusal;
use crate::plugin::{Ask, number};
use conf::{Conf, Runtime};

/// Versions of the specification whose calls are understood, and in whose words is answered.
pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The latest of them.
const LATEST: &str = "1.1.0";
/// The longest name of an interface, in bytes (`IFNAMSIZ` of linux/if.h, without the zero).
const INTERFACE: usize = 15;

/// Codes of errors (SPEC.md, "Well-known error codes").
pub mod code {
    /// The version of the configuration is none of ours.
    pub const VERSION: u32 = 1;
    /// There is no such container.
    pub const NO_CONTAINER: u32 = 3;
    /// A variable is missing or makes no sense.
    pub const VARIABLES: u32 = 4;
    /// Something could not be read.
    pub const IO: u32 = 5;
    /// What was read is no JSON.
    pub const DECODING: u32 = 6;
    /// The configuration makes no sense.
    pub const CONFIG: u32 = 7;
    /// The container's namespace is none for a container (`types.ErrInvalidNetNS` of the runtimes' library).
    pub const NAMESPACE: u32 = 8;
    /// It may work later.
    pub const LATER: u32 = 11;
    /// The plugin can take no container on.
    pub const UNAVAILABLE: u32 = 50;
    /// Whatever has no number of its own; plugins choose from 100 on.
    pub const OTHER: u32 = 999;
}

/// Why a call fails: a number for the runtime, a line for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{msg}")]
pub struct Failure {
    /// One of [`code`].
    pub code: u32,
    /// The line.
    pub msg: String,
}

impl Failure {
    /// One in these words.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into() }
    }

    /// As it is told on standard output, in the words of the version that was asked in.
    #[must_use]
    pub fn to_json(&self, version: &str) -> String {
        json!({ "cniVersion": version, "code": self.code, "msg": self.msg }).to_string()
    }

    /// Reads what another plugin has told; None where it is no error.
    #[must_use]
    pub fn of_plugin(text: &[u8]) -> Option<Self> {
        let told: Value = serde_json::from_slice(text).ok()?;
        let code = u32::try_from(told.get("code")?.as_u64()?).ok()?;
        let word =
            |key: &str| told.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let msg = [word("msg"), word("details")].into_iter().flatten().collect::<Vec<_>>();
        Some(Self { code, msg: msg.join(": ") })
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal(why): Refusal) -> Self {
        Self::new(code::CONFIG, why)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A container comes to a network.
    Add,
    /// It goes.
    Del,
    /// Is all as it was told?
    Check,
    /// All others have gone.
    Gc,
    /// Could a container come?
    Status,
    /// Which versions are spoken?
    Version,
}

impl Verb {
    fn read(text: &str) -> Result<Self, Failure> {
        Ok(match text {
            "ADD" => Self::Add,
            "DEL" => Self::Del,
            "CHECK" => Self::Check,
            "GC" => Self::Gc,
            "STATUS" => Self::Status,
            "VERSION" => Self::Version,
            other => {
                let known = "ADD, DEL, CHECK, GC, STATUS and VERSION";
                let msg = format!("CNI_COMMAND={other:?} is no command: there are {known}");
                return Err(Failure::new(code::VARIABLES, msg));
            }
        })
    }

    /// The first version that has it.
    fn since(self) -> &'static str {
        match self {
            Self::Add | Self::Del | Self::Version => "0.3.1",
            Self::Check => "0.4.0",
            Self::Gc | Self::Status => "1.1.0",
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// Whether it is about one container.
    #[must_use]
    pub fn is_of_one(self) -> bool {
        matches!(self, Self::Add | Self::Del | Self::Check)
    }
}

/// A runtime's call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is to be done.
    pub verb: Verb,
    /// The version that is spoken.
    pub version: String,
    container: String,
    netns: String,
    interface: String,
    args: Vec<(String, String)>,
    conf: Conf,
    /// What ADD is to know of the container.
    runtime: Runtime,
}

/// The version that an error is to be told in, whatever the rest of the configuration is.
#[must_use]
pub fn version_of(stdin: &[u8]) -> String {
    let conf: Option<Value> = serde_json::from_slice(stdin).ok();
    let said = conf.as_ref().and_then(|conf| conf.get("cniVersion")?.as_str());
    VERSIONS.into_iter().find(|known| Some(*known) == said).unwrap_or(LATEST).to_owned()
}

/// The answer to VERSION, in the words of the version that was asked in.
#[must_use]
pub fn versions(stdin: &[u8]) -> String {
    json!({ "cniVersion": version_of(stdin), "supportedVersions": VERSIONS }).to_string()
}

impl Call {
    /// Reads a call from its variables and its standard input.
    ///
    /// # Errors
    /// [`Failure`], with the code that the specification has for it.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>, stdin: &[u8]) -> Result<Self, Failure> {
        let verb = Verb::read(&variable("CNI_COMMAND").unwrap_or_default())?;
        let get = |name: &str| variable(name).unwrap_or_default();
        let (container, netns, interface) =
            (get("CNI_CONTAINERID"), get("CNI_NETNS"), get("CNI_IFNAME"));
        let mut call = Self {
            verb,
            version: LATEST.into(),
            container,
            netns,
            interface,
            args: Vec::new(),
            conf: Conf::default(),
            runtime: Runtime::default(),
        };
        if verb == Verb::Version {
            return Ok(call);
        }
        call.check_variables()?;
        call.args = arguments(&get("CNI_ARGS"))?;
        call.conf = Conf::read(stdin)?;
        call.version.clone_from(&call.conf.version);
        let place = |version: &str| VERSIONS.iter().position(|known| *known == version);
        if place(&call.version) < place(verb.since()) {
            let msg = format!(
                "CNI_COMMAND={} is of version {} and later, and the configuration says cniVersion {}",
                variable("CNI_COMMAND").unwrap_or_default(),
                verb.since(),
                call.version
            );
            return Err(Failure::new(code::VERSION, msg));
        }
        if verb == Verb::Add {
            call.runtime = Runtime::read(call.conf.runtime.as_ref())?;
        }
        Ok(call)
    }

    fn check_variables(&self) -> Result<(), Failure> {
        if !self.verb.is_of_one() {
            return Ok(());
        }
        let given = |name: &'static str, value: &str| match value {
            "" => Err(Failure::new(code::VARIABLES, format!("{name} is not set"))),
            _ => Ok(()),
        };
        given("CNI_CONTAINERID", &self.container)?;
        given("CNI_IFNAME", &self.interface)?;
        if self.verb != Verb::Del {
            given("CNI_NETNS", &self.netns)?;
        }
        if !conf::is_word(&self.container) {
            let msg = format!(
                "CNI_CONTAINERID={:?}: letters, digits, '_', '.' and '-' make one, and a letter or \
                 digit begins it",
                self.container
            );
            return Err(Failure::new(code::VARIABLES, msg));
        }
        let name = self.interface.as_str();
        let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if name.len() > INTERFACE || matches!(name, "." | ".." | "lo") || name.contains(odd) {
            let msg = format!("CNI_IFNAME={name:?} is no name of an interface (linux/if.h)");
            return Err(Failure::new(code::VARIABLES, msg));
        }
        Ok(())
    }

    /// The plugin that gives out addresses, if one does.
    #[must_use]
    pub fn ipam(&self) -> Option<&str> {
        self.conf.ipam.as_ref().map(|ipam| ipam.kind.as_str()).filter(|kind| !kind.is_empty())
    }

    /// Where the container's namespace is found; empty where a DEL does not say it.
    #[must_use]
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// The engine's number for the container.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    fn network(&self) -> String {
        number(&["cni", &self.conf.name])
    }

    fn place(&self, container: &str, interface: &str) -> String {
        number(&["cni", &self.conf.name, container, interface])
    }

    /// The container's interface that is meant.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The place that is meant.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.place(&self.container, &self.interface)
    }

    /// DEL, for `serve`.
    #[must_use]
    pub fn detach(&self) -> Ask {
        Ask::Detach { endpoint: self.endpoint() }
    }

    /// GC, for `serve`: what either list has stays.
    ///
    /// # Errors
    /// [`Failure`] where there is none: nobody knows then who lives.
    pub fn keep(&self) -> Result<Ask, Failure> {
        let lists = [&self.conf.valid, &self.conf.first_valid];
        if lists.iter().all(|list| list.is_none()) {
            let why = "GC comes with a list of the attachments that there are, cni.dev/valid-attachments: \
                       without it nothing is collected";
            return Err(Failure::new(code::CONFIG, why));
        }
        let valid = lists.into_iter().flatten().flatten();
        let endpoints = valid.map(|one| self.place(&one.container, &one.interface)).collect();
        Ok(Ask::Keep { network: self.network(), endpoints })
    }
}

/// `KEY=VALUE` pairs with semicolons between them. Which keys are known is nobody's business here:
/// others may be another plugin's.
fn arguments(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let pairs = text.split(';').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => {
                let msg = format!("CNI_ARGS: {pair:?} is not KEY=VALUE");
                Err(Failure::new(code::VARIABLES, msg))
            }
        })
        .collect()
}
