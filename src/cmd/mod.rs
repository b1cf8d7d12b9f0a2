//! One file a verb.

pub(crate) mod add;
pub(crate) mod capture;
pub(crate) mod completions;
pub(crate) mod down;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod extcap;
pub(crate) mod fdb;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod metrics;
pub(crate) mod monitor;
pub(crate) mod nat;
pub(crate) mod network;
pub(crate) mod ping;
pub(crate) mod port;
pub(crate) mod publish;
pub(crate) mod remove;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod up;
pub(crate) mod vlan;
