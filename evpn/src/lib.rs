//! A BGP speaker beside the host, spoken with by gRPC: GoBGP 3 (`apipb.GobgpApi`). What a network's routes
//! mean is in the room `overlay`; here they are said, taken back, listed and watched.
//!
//! | module | what |
//! |---|---|
//! | `messages` | those of GoBGP's messages that are spoken here |
//! | `routes` | routes as messages, and messages as routes |
//! | `speaker` | the calls, each with its time |
//!
//! Built with uswitch's feature `evpn` alone, for gRPC takes crates that nothing else here does.

#![forbid(unsafe_code)]

mod messages;
pub mod routes;
mod speaker;

pub use speaker::{Failed, Global, Speaker, Watching};
