//! Container engines on our networks.
//!
//! | module | what it shows |
//! |---|---|
//! | `recorded` | what dockerd was recorded to say, played against the socket: always |
//! | `cni` | the raw protocol of CNI, played against a running `serve`: always |
//! | `docker` | the real Docker, in a machine of its own, where it is unpacked |
//! | `podman` | the real podman, with CNI and with netavark, in such a machine |
//! | `more` | podman with netavark, further: servers that plugins start, ports, pods, restarts |
//! | `resolv` | who is asked for containers of podman what no container is called |
//! | `rootless` | the same of a user who is not root |
//! | `machine` | that machine |
//!
//! `tests/engines/fetch SUITE` unpacks the engines of a Debian suite, some 800 MB, to
//! `$USWITCH_ENGINES` (by default ~/.cache/uswitch-engines); a suite that is not there is skipped
//! aloud.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod cni;
mod docker;
mod machine;
mod more;
mod podman;
mod recorded;
mod resolv;
mod rootless;

#[path = "../support/mod.rs"]
mod support;
