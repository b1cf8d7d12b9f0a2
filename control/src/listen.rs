//! Why nobody can listen at an address, with the mend.

use std::io;
use std::net::SocketAddr;

/// What `error` of bind(2) or listen(2) means for whoever chose `address`.
#[must_use]
pub fn no_listening(error: &io::Error, address: &SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {} is in use: choose another, or 0 for one that is free", address.port())
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this host does not have {}: give one of its addresses", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {} is for root: choose one from 1024 on", address.port())
        }
        _ => error.to_string(),
    }
}
