//! What container engines ask of a network, in one shape for all of them. Pure: JSON in, values out,
//! and answers back; who does what is asked is behind the trait [`docker::Driver`].
//!
//! ```text
//!   dockerd ── JSON ─► docker::answer ─► CreateNetwork  ─► Network   ─┐
//!                                        CreateEndpoint ─► Attach    ─┼─► a Driver (room `serve`)
//!                                        Join, Leave, …              ─┘
//!   CNI runtime ── JSON ─► cni::Call      ─┐
//!   netavark    ── JSON ─► netavark::Call ─┴─► plugin::Ask, with an Attach ─► room `serve`, by its socket
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`docker`] | Docker's remote network driver: its calls and its answers |
//! | [`cni`] | the Container Network Interface: a plugin's calls and its answers |
//! | [`netavark`] | a driver of podman's own network program: its calls and its answers |
//! | [`plugin`] | what a plugin that an engine has started asks of `serve` |
//! | [`network`] | a network as it is asked for, with its options |
//! | `gateway` | a network's gateway as a container meets it |
//! | [`join`] | the network of several hosts that a network is to be in |
//! | [`attach`] | a container's place in a network, and ports published for it |

#![forbid(unsafe_code)]

pub mod attach;
pub mod cni;
pub mod docker;
mod gateway;
pub mod join;
pub mod netavark;
pub mod network;
pub mod plugin;

pub use attach::{Attach, PortAsk, Route};
pub use join::Joins;
pub use network::{Network, Options, Pool};

/// Why something that was asked for cannot be: one line, which the engine's user reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Refusal {
    /// One in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}
