//! The names of a lab: its hosts file, and a resolver at the gateway's address. Pure: bytes and the
//! time come in, bytes go out; there is no socket, no thread and no file here.
//!
//! ```text
//!   packet to gateway:53 ─► server ─┬─ datagram ─► resolver ─► zone
//!                                   └─ stream ───►    │
//!                        others to be asked: upstream ┘ ─► exchange, on a thread of the lab's
//!   zone ─► hosts: the lines of a file, and what is to be written where
//! ```

mod books;
mod datagram;
mod exchange;
pub mod hosts;
mod reply;
pub mod resolv;
mod resolver;
mod server;
mod stream;
mod subnet;
mod zone;

pub use books::{Counters, Outcome, Question};
pub use exchange::{Action, Exchange, Finished, Socket};
pub use reply::{Echo, LARGEST, question};
pub use resolver::{Answer, Forward, Over, Resolver, Said, asked};
pub use server::{PORT, Request, Response, Server, Ticket, Upstream, Way};
pub use subnet::{Subnet, of_reverse_name, reverse_name};
pub use zone::{Found, GATEWAY, Host, Network, NetworkId, Place, Reverse, View, Zone};
