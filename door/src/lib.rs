//! Everything that answers a lab's clients: the API, events, captures, traces and explanations.
//!
//! ```text
//!   src ─► Open::of(&lab) ─► control::Server (the lab's socket) ─► LabDoor ─► lab, switch, gateway
//!                        └─► the event pump
//! ```
//!
//! The caller opens it over a running lab and drops it before it stops the lab. The lab knows
//! nothing of it.
//!
//! | module | what |
//! |---|---|
//! | [`open`] | the door itself: what the server asks, and where each answer comes from |
//! | `topology` | nodes, gateway, uplink |
//! | `bridge` | ports and addresses |
//! | `router` | neighbours, sessions, routes, published ports |
//! | `fast` | the flows by which the kernel repeats what the switch has decided |
//! | `counters` | all that is counted |
//! | `names` | the names of nodes, and what is asked for |
//! | `change` | nodes in and out, ports published, tables flushed |
//! | `network` | networks: shown, made, changed, ended |
//! | `settings` | settings of ports, VLANs, addresses set by hand |
//! | `carried` | what was set by hand, where VLANs begin or cease to be told apart |
//! | `spec`, `places` | the lab as its file says it; where the gateway is in it |
//! | `groups` | snooping, neighbours that are answered for |
//! | `mdb` | members of groups |
//! | `rates` | how busy ports are, from two samples: pure |
//! | `tell` | the switch's and the gateway's events in the door's words: pure |
//! | `pump` | the thread that samples and tells |
//! | `see` | looking at frames: capture, trace, explain |

mod bridge;
mod carried;
mod change;
mod counters;
mod error;
mod fast;
mod groups;
mod mdb;
mod names;
mod network;
pub mod open;
mod places;
mod pump;
mod rates;
mod router;
mod see;
mod settings;
mod spec;
mod tell;
mod topology;
mod tunnel;

pub use error::{Error, Result};
pub use open::Open;
