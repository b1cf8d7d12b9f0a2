//! The kernel's doors: packet rings, batched sends, namespace entry, eBPF, the monotonic clock, idle
//! cores, what a process has from its caller.
//!
//! The only crate with `unsafe`. It knows no room: interfaces are indices, times are nanoseconds,
//! frames are bytes.
//!
//! | module | what |
//! |---|---|
//! | [`autogroup`] | a session's part of the cores |
//! | [`bpf`] | eBPF programs at an interface's ingress |
//! | [`burst`] | long TCP segments to who need not listen |
//! | [`clock`] | `CLOCK_MONOTONIC`, and the wall clock beside it |
//! | [`confine`] | what a thread that forwards may ask of the kernel |
//! | [`cores`] | which cores a thread may run on, and what it has had of them |
//! | [`features`] | what a network device takes off the stack's hands |
//! | [`grace`] | the end of what programs in the kernel have at hand |
//! | [`icmp`] | path MTU discovery of a socket |
//! | [`inherited`] | descriptors, terminal and ignored signals of the caller |
//! | [`iptables`] | the rules of iptables, as bytes |
//! | [`kernel`] | which kernel runs |
//! | [`latency`] | how long idle cores may take to wake |
//! | [`memory`] | memory given back to the system |
//! | [`netns`] | running a closure inside a network namespace |
//! | [`packet`] | one AF_PACKET ring for every interface of a namespace, and a batched sender |
//! | [`privilege`] | capabilities given up |
//! | [`stdio`] | which standard streams were closed from the start |
//! | [`urgent`] | threads that run before all ordinary ones |

#![allow(unsafe_code)] // the one crate that may; each block says why it is sound

pub mod autogroup;
pub mod bpf;
pub mod burst;
pub mod clock;
pub mod confine;
pub mod cores;
pub mod features;
pub mod grace;
pub mod icmp;
pub mod inherited;
pub mod iptables;
pub mod kernel;
pub mod latency;
pub mod memory;
pub mod netns;
pub mod packet;
pub mod privilege;
pub mod stdio;
pub mod urgent;

#[cfg(test)]
#[path = "../../tests/support/skip.rs"]
mod skip;
