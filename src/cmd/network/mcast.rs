//! The options of `network set` that are about multicast, named as in `ip link … type bridge`.

use control::api::{Network, Seconds, SetNetwork};

use crate::onoff::OnOff;

/// Multicast settings; what is not given stays.
#[derive(clap::Args)]
pub(super) struct Mcast {
    /// Send groups to those alone who have asked for them (IGMP and MLD snooping)
    #[arg(long, value_name = "on|off")]
    mcast_snooping: Option<OnOff>,
    /// Ask who wants which groups, where nobody else does
    #[arg(long, value_name = "on|off")]
    mcast_querier: Option<OnOff>,
    /// Give the gateway every group (2), or none (0, 1)
    #[arg(long, value_name = "0|1|2", value_parser = clap::value_parser!(u8).range(0..=2))]
    mcast_router: Option<u8>,
    /// The version of IGMP: with 3, sources count
    #[arg(long, value_name = "2|3", value_parser = clap::value_parser!(u8).range(2..=3))]
    mcast_igmp_version: Option<u8>,
    /// The version of MLD: with 2, sources count
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    mcast_mld_version: Option<u8>,
    /// How often the last member of a group is asked for
    #[arg(long, value_name = "N")]
    mcast_last_member_count: Option<u8>,
    /// How long it may take to answer each time
    #[arg(long, value_name = "SECONDS")]
    mcast_last_member_interval: Option<Seconds>,
    /// How many of the switch's questions come closer together at the start
    #[arg(long, value_name = "N")]
    mcast_startup_query_count: Option<u8>,
    /// How far apart those are
    #[arg(long, value_name = "SECONDS")]
    mcast_startup_query_interval: Option<Seconds>,
    /// How far apart the others are
    #[arg(long, value_name = "SECONDS")]
    mcast_query_interval: Option<Seconds>,
    /// How long hosts may take to answer one
    #[arg(long, value_name = "SECONDS")]
    mcast_query_response_interval: Option<Seconds>,
    /// How long another switch or router that asks is believed to be there
    #[arg(long, value_name = "SECONDS")]
    mcast_querier_interval: Option<Seconds>,
    /// How long a membership lasts that is not reported again
    #[arg(long, value_name = "SECONDS")]
    mcast_membership_interval: Option<Seconds>,
    /// Most groups of the network
    #[arg(long, value_name = "N")]
    mcast_hash_max: Option<u32>,
}

impl Mcast {
    /// The request with these in it.
    pub(super) fn put(self, ask: SetNetwork) -> SetNetwork {
        SetNetwork {
            mcast_snooping: self.mcast_snooping.map(OnOff::is_on),
            mcast_querier: self.mcast_querier.map(OnOff::is_on),
            mcast_router: self.mcast_router,
            mcast_igmp_version: self.mcast_igmp_version,
            mcast_mld_version: self.mcast_mld_version,
            mcast_last_member_count: self.mcast_last_member_count,
            mcast_last_member_interval: self.mcast_last_member_interval,
            mcast_startup_query_count: self.mcast_startup_query_count,
            mcast_startup_query_interval: self.mcast_startup_query_interval,
            mcast_query_interval: self.mcast_query_interval,
            mcast_query_response_interval: self.mcast_query_response_interval,
            mcast_querier_interval: self.mcast_querier_interval,
            mcast_membership_interval: self.mcast_membership_interval,
            mcast_hash_max: self.mcast_hash_max,
            ..ask
        }
    }
}

/// What a network's multicast is set to, as far as it does anything.
pub(super) fn words(network: &Network) -> String {
    let is = |on: bool| if on { "on" } else { "off" };
    let mut words = format!("mcast_snooping {}", is(network.mcast_snooping));
    if network.mcast_snooping {
        words.push_str(&format!(
            " ({} groups) mcast_querier {} mcast_igmp_version {} mcast_mld_version {}",
            network.mcast_n_groups,
            is(network.mcast_querier),
            network.mcast_igmp_version,
            network.mcast_mld_version,
        ));
    }
    words
}
