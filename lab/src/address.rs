//! Addresses by the names the lab uses: the shapes', and the simulated internet's.

pub use ::topology::internet::*;
pub use ::topology::shape::address::*;
