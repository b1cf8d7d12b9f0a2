//! The pinger: ICMP echo, measured and told as `ping` of iputils tells it.
//!
//! ```text
//!   run::ping ─ socket ─► packet::parse ─► session::Session ─► Event ─► whoever watches
//!       └── what is due? ◄──────────────────────┘
//! ```
//!
//! [`packet`] and [`session`] are pure; [`run`] owns the socket and the clock; [`text`] has ping's
//! own words.

pub mod packet;
pub mod run;
pub mod session;
mod socket;
pub mod stats;
pub mod text;

pub use run::{Error, Report, Route, ping};
pub use session::{Event, Options};
pub use stats::Stats;
