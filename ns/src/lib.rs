//! Network namespaces, veth pairs, addresses and routes; no program is started for any of it.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | which steps build a topology: pure |
//! | [`apply`] | the steps, done over rtnetlink; whatever fails, nothing is left behind |
//! | [`namespace`] | anonymous and named namespaces, and which of them are ours |
//! | [`script`] | a plan as the lines of shell that would do the same: pure |
//! | `identity` | by what a named one is recognised |
//! | [`directory`] | where names live: `/run/netns`, or a private one without root |
//! | [`user`] | entering a user namespace, before threads start |
//! | [`link`] | links of a namespace: listing, deleting, up and down |
//! | [`route`] | addresses and default routes of a namespace, and when they change |
//! | [`tunnel`] | tunnels of the kernel's own, by which protocols |
//! | [`own`] | all addresses of a namespace, and when they change |
//! | [`pair`] | a veth pair whose far end is somebody else's |
//! | [`guest`] | an interface in somebody else's namespace: furnishing it, looking at it |
//! | [`pin`] | a namespace that outlives its process |
//! | [`neighbour`] | what a namespace's kernel has learned of others: forgetting it |
//! | [`forward`] | ports that a namespace forwards to somebody else |
//! | [`nft`] | a table that drops at an interface's ingress what it is told, and goes with its owner |
//! | [`ways`] | by which interfaces hosts are reached, and when that changes |
//! | [`watch`] | links that come, go, and change |

pub mod apply;
pub mod directory;
mod error;
pub mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod guest;
mod identity;
pub mod link;
mod message;
pub mod namespace;
pub mod neighbour;
mod netlink;
pub mod nft;
mod offloads;
pub mod own;
pub mod pair;
pub mod pin;
pub mod plan;
pub mod route;
pub mod script;
pub mod shape;
pub mod tunnel;
pub mod user;
pub mod vxlan;
pub mod watch;
pub mod ways;

#[cfg(test)]
#[path = "../../tests/support/skip.rs"]
mod skip;

pub use apply::{Applied, Observer, apply};
pub use directory::Directory;
pub use error::{Error, Result};
pub use identity::Identity;
pub use link::Link;
pub use namespace::Namespace;
pub use plan::{End, NsId, Plan, Step};
