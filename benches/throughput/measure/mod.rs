//! What the kernel says about the machine, the interfaces and the forwarder's processes. Read
//! from outside the measured window wherever that is possible.

pub mod counters;
pub mod cpu;
pub mod memory;

pub use cpu::Window;
