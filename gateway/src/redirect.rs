//! ICMP redirects: whom a host was told to speak to directly, and how often (RFC 1812 5.2.7.2).
//!
//! As Linux does (`ip_rt_send_redirect`): each host is told after twice the time of before, nine
//! times, and again once it has not taken a detour for twenty seconds. Hosts share 256 places by
//! hash; who comes to a taken place has it. [`crate::limit`] bounds the redirects beside this.

use std::net::Ipv4Addr;
use std::time::Duration;

use wire::Timestamp;

use crate::hash::Key;

/// The first pause; each is twice the one before.
const LOAD: Duration = Duration::from_millis(20);
/// Redirects that a host is sent before it is left alone.
const NUMBER: u32 = 9;
/// A host that has not taken a detour for so long is told anew.
const SILENCE: Duration = Duration::from_millis(20 << (NUMBER + 1));
const PLACES: usize = 256;

/// What one host was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    host: Ipv4Addr,
    times: u32,
    /// When it took a detour last, told of it or not, once it has been told often enough.
    last: Timestamp,
}

/// The hosts that take detours.
#[derive(Debug)]
pub(crate) struct Redirects {
    told: Vec<Option<Told>>,
    key: Key,
}

impl Redirects {
    pub(crate) fn new(seed: u64) -> Self {
        Self { told: vec![None; PLACES], key: Key::new(seed, 51) }
    }

    /// A host takes a detour: whether it is to be told now.
    pub(crate) fn is_due(&mut self, host: Ipv4Addr, now: Timestamp) -> bool {
        let place = (self.key.mix(u64::from(u32::from(host)), 0) >> 56) as u8;
        let place = &mut self.told[usize::from(place)];
        let told = place.get_or_insert(Told { host, times: 0, last: now });
        if told.host != host || now.since(told.last) > SILENCE {
            *told = Told { host, times: 0, last: now };
        }
        if told.times >= NUMBER {
            told.last = now;
            return false;
        }
        if told.times > 0 && now.since(told.last) <= LOAD * (1 << told.times) {
            return false;
        }
        (told.times, told.last) = (told.times + 1, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Redirects to a host that takes a detour each millisecond, from one moment to another.
    fn told(redirects: &mut Redirects, millis: std::ops::Range<u64>) -> Vec<u64> {
        let host = Ipv4Addr::new(10, 0, 0, 1);
        let at = |ms: &u64| Timestamp::ZERO + Duration::from_millis(*ms);
        millis.filter(|ms| redirects.is_due(host, at(ms))).collect()
    }

    #[test]
    fn a_host_that_goes_on_is_told_nine_times_ever_more_rarely() {
        let mut redirects = Redirects::new(1);
        let times = told(&mut redirects, 0..30_000);
        assert_eq!(times[..4], [0, 41, 122, 283]);
        assert_eq!(times.len(), 9);
        // It goes on without a pause: it is left alone. After a pause it is told anew.
        assert_eq!(told(&mut redirects, 30_000..60_000), []);
        assert_eq!(told(&mut redirects, 81_000..81_010), [81_000]);
    }

    #[test]
    fn hosts_are_told_apart() {
        let mut redirects = Redirects::new(1);
        let told = (0..100).filter(|n| redirects.is_due(Ipv4Addr::from(*n), Timestamp::ZERO));
        assert_eq!(told.count(), 100);
    }
}
