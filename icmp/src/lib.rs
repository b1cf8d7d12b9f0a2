//! The pinger: ICMP echo, measured and told as `ping` of iputils tells it.
//!
//! ```text
//!   run::Pinger ─ socket ─► packet::parse ─► session::Session ─► Event ─► whoever watches
//!       │            └ stamps ─► clocks ─────────────▲
//!       └── what is due? ◄───────────────────────────┘
//! ```
//!
//! [`packet`], [`session`], [`stats`], [`clocks`] and [`text`] are pure; [`run`] owns the socket
//! and the clock.

pub mod clocks;
pub mod packet;
pub mod run;
pub mod session;
mod socket;
pub mod stats;
pub mod text;

pub use run::{Error, Moment, Pinger, Report, Route, ping};
pub use session::{Event, Options, Patience};
pub use stats::Stats;
