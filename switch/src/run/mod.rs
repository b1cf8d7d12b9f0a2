//! The running switch: worker threads, and the handle that plugs ports in and reads counters.
//!
//! The handle owns the ports' list; each worker has a copy of what it needs, told through a
//! bounded channel. Events go out through another; when nobody fetches them they are counted and
//! lost, never waited for.

mod awake;
mod bundles;
mod command;
mod config;
mod crew;
mod elsewhere;
mod fast;
mod finisher;
mod frame;
mod groups;
mod keeper;
mod legs;
mod link;
mod meta;
mod networks;
mod outbox;
mod picture;
mod ports;
mod pulse;
mod rhythm;
mod rings;
mod roster;
mod round;
mod running;
mod stage;
mod switch;
mod sync;
mod tally;
mod trial;
mod unusual;
mod vlans;
mod waker;
mod watched;
mod worker;

pub use config::{Config, Error, Event};
pub use fast::{FastPath, FlowInfo};
pub use ports::{Crossing, Elsewhere, PortInfo, PortRole, PortSpec};
pub use roster::Roster;
pub use round::Watch;
pub use switch::Switch;
pub use tally::Tally;
pub use waker::Waker;
