//! Programs in the kernel that repeat what the switch has decided, and the memory they share.
//!
//! ```text
//! a node's veth ─► the ring's filter: `tap` asks the flows ── known ─► the ring never sees it
//!               └► tcx ingress: `forward` does what `tap` left word of ─► the other node
//! ```
//!
//! The programs are C (`c/flows.bpf.c`), compiled by `bpf/build` into `flows.o`, which is committed,
//! so that a build takes no clang; `tests/object.rs` compiles them anew and compares. Nothing here
//! decides: the switch writes flows, the kernel looks them up, and whatever has none goes to the
//! ring as without all this.
//!
//! | module | what |
//! |---|---|
//! | [`layout`] | where things lie in the shared memory |
//! | [`table`] | flows: found, written, taken back, counted |
//! | [`route`] | packets that the gateway sends on: how they are told apart, what they become |
//! | [`load`] | the object file into the kernel |
//! | [`finish`] | frames that a packet socket cannot be told of, finished behind it |

pub mod finish;
pub mod layout;
pub mod load;
pub mod route;
pub mod table;

pub use load::{Error, Programs};
pub use route::{ALL_TCP, Ends, Route};
pub use table::{
    Asked, Flow, FlowId, Generation, Key, Lane, Missed, Retag, SetId, Shared, Table, Totals,
    elsewhere, here,
};
