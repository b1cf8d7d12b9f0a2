//! BGP, in a build without EVPN: refused in a line.

use std::sync::Arc;

use ::topology::join;

use super::End;
use super::named::without_evpn;
use crate::error::Result;
use crate::lab::Lab;
use crate::tunnel::Tunnel;

impl Lab {
    pub(super) fn reach_bgp(
        self: &Arc<Self>,
        _: &join::Bgp,
        _: Option<&str>,
        _: &End,
        _: bool,
    ) -> Result<Tunnel> {
        Err(without_evpn())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::check_build;

    #[test]
    fn the_build_that_has_it_is_named() {
        let said = check_build(&"bgp://127.0.0.1/prod?vni=100".parse().unwrap()).unwrap_err();
        let said = said.to_string();
        assert!(said.contains("--features evpn") && said.contains("packages"), "{said}");
        assert!(check_build(&"vtep://10.0.0.2?vni=1".parse().unwrap()).is_ok());
    }
}
