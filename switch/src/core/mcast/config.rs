//! What a network's snooping is set to, named and preset as in the kernel's bridge.

use std::time::Duration;

/// Multicast settings of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McastConfig {
    /// Groups are sent to those who have asked for them.
    pub snooping: bool,
    /// We ask who wants what, where nobody else does.
    pub querier: bool,
    /// The station gets every group (2), or none that it has not asked for (0, 1).
    pub router: RouterMode,
    /// 2 or 3: with 3, sources count.
    pub igmp_version: u8,
    /// 1 or 2: with 2, sources count.
    pub mld_version: u8,
    /// How often the last member of a group is asked for.
    pub last_member_count: u8,
    /// How long it may take to answer each time.
    pub last_member_interval: Duration,
    /// General queries at the start, closer together.
    pub startup_query_count: u8,
    /// How far apart those are.
    pub startup_query_interval: Duration,
    /// How far apart the others are.
    pub query_interval: Duration,
    /// How long hosts may take to answer one.
    pub query_response_interval: Duration,
    /// How long another querier is believed to be there.
    pub querier_interval: Duration,
    /// How long a membership lasts that is not reported again.
    pub membership_interval: Duration,
    /// Most groups of a network, all of its VLANs together.
    pub hash_max: u32,
}

/// Whether a port leads to a multicast router, which gets every group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouterMode {
    /// It does not, whatever is heard there.
    Never,
    /// While queries or router hellos are heard there.
    #[default]
    Learned,
    /// It does.
    Always,
}

impl McastConfig {
    /// From the last time a member was asked for until it is given up.
    #[must_use]
    pub fn last_member_time(&self) -> Duration {
        self.last_member_interval * u32::from(self.last_member_count)
    }
}

impl Default for McastConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            snooping: false,
            querier: false,
            router: RouterMode::Learned,
            igmp_version: 2,
            mld_version: 1,
            last_member_count: 2,
            last_member_interval: seconds(1),
            startup_query_count: 2,
            startup_query_interval: Duration::from_millis(31_250),
            query_interval: seconds(125),
            query_response_interval: seconds(10),
            querier_interval: seconds(255),
            membership_interval: seconds(260),
            hash_max: 4096,
        }
    }
}
