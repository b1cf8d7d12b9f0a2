//! The load generators, the same for every forwarder. Each runs in threads inside two nodes and
//! returns what it saw; none knows which forwarder is between them.
//!
//! | module | load |
//! |---|---|
//! | [`busy`] | other work on every core |
//! | [`tcp`] | bulk TCP, one-byte request/response, short connections |
//! | [`frames`] | raw frames, flat out or paced |
//! | [`datagrams`] | what raw frames may carry: UDP |
//! | [`ping`] | ICMP echo, flood and paced |
//! | [`udp`] | UDP flat out, and who lost what |

pub mod busy;
pub mod datagrams;
pub mod frames;
pub mod ping;
pub mod tcp;
pub mod udp;
