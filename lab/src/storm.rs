//! Storm control as it is asked for and shown at the door, and as the switch takes it. Pure.

use control::api;
use switch::{PortSettings, StormLimits};

/// The settings of a node's port.
pub(crate) fn settings(asked: api::StormLimits) -> PortSettings {
    let api::StormLimits { broadcast, multicast, unknown } = asked;
    PortSettings { storm: StormLimits { broadcast, multicast, unknown }, ..PortSettings::default() }
}

/// The limits of a port.
pub(crate) fn shown(settings: &PortSettings) -> api::StormLimits {
    let StormLimits { broadcast, multicast, unknown } = settings.storm;
    api::StormLimits { broadcast, multicast, unknown }
}
