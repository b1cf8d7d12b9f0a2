//! How busy ports are: the difference of two samples over the time between them. Pure.
//!
//! Sampled by the pump about once a second, read for each list of ports. Another port that has the number
//! of one that is gone starts anew: it has another interface.

use std::collections::HashMap;

use control::api::{PortRates, Rate};
use switch::{PortId, PortInfo, PortStats};
use wire::Timestamp;

/// The last sample of each port, and what came of it and the one before.
#[derive(Default)]
pub(crate) struct Sampler {
    ports: HashMap<PortId, Sample>,
}

struct Sample {
    ifindex: u32,
    at: Timestamp,
    rx: (u64, u64),
    tx: (u64, u64),
    rates: Option<PortRates>,
}

impl Sampler {
    /// Takes a sample of every port; those that are gone are forgotten.
    pub(crate) fn sample(&mut self, ports: &[PortInfo], now: Timestamp) {
        let old = std::mem::take(&mut self.ports);
        self.ports = ports
            .iter()
            .map(|port| {
                let PortStats { rx_packets, rx_bytes, tx_packets, tx_bytes, .. } = port.stats;
                let (rx, tx) = ((rx_packets, rx_bytes), (tx_packets, tx_bytes));
                let same = |before: &&Sample| before.ifindex == port.spec.ifindex;
                let rates = old.get(&port.id).filter(same).and_then(|before| {
                    let nanos = now.since(before.at).as_nanos();
                    Some(PortRates {
                        rx: rate(before.rx, rx, nanos)?,
                        tx: rate(before.tx, tx, nanos)?,
                    })
                });
                (port.id, Sample { ifindex: port.spec.ifindex, at: now, rx, tx, rates })
            })
            .collect();
    }

    /// How busy a port was between the last two samples; None until there are two.
    pub(crate) fn of(&self, port: &PortInfo) -> Option<PortRates> {
        let sample = self.ports.get(&port.id).filter(|own| own.ifindex == port.spec.ifindex)?;
        sample.rates.clone()
    }
}

/// None where no time has passed or the counters began anew.
fn rate(before: (u64, u64), after: (u64, u64), nanos: u128) -> Option<Rate> {
    let a_second = |count: u64, factor: u128| {
        let whole = u128::from(count) * factor * 1_000_000_000;
        Some(u64::try_from(whole.checked_div(nanos)?).unwrap_or(u64::MAX))
    };
    Some(Rate {
        packets_per_second: a_second(after.0.checked_sub(before.0)?, 1)?,
        bits_per_second: a_second(after.1.checked_sub(before.1)?, 8)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use switch::PortSpec;

    use super::*;

    fn port(id: u16, packets: u64, bytes: u64) -> PortInfo {
        let stats = PortStats {
            rx_packets: packets,
            rx_bytes: bytes,
            tx_packets: 2 * packets,
            tx_bytes: 2 * bytes,
            ..PortStats::default()
        };
        let spec = PortSpec::bridged(format!("veth{id}"), 2, 1500);
        PortInfo { id: PortId(id), spec, up: true, stats }
    }

    fn of(sampler: &Sampler, id: u16) -> Option<PortRates> {
        sampler.of(&port(id, 0, 0))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn two_samples_make_a_rate() {
        let mut sampler = Sampler::default();
        sampler.sample(&[port(1, 100, 10_000)], at(500));
        assert_eq!(of(&sampler, 1), None);
        sampler.sample(&[port(1, 300, 30_000)], at(2500));
        let rates = of(&sampler, 1).unwrap();
        assert_eq!(rates.rx, Rate { packets_per_second: 100, bits_per_second: 80_000 });
        assert_eq!(rates.tx, Rate { packets_per_second: 200, bits_per_second: 160_000 });
    }

    #[test]
    fn a_port_that_came_anew_has_none_yet() {
        let mut sampler = Sampler::default();
        sampler.sample(&[port(1, 300, 30_000), port(2, 1, 64)], at(0));
        sampler.sample(&[port(1, 10, 1_000)], at(1000));
        assert_eq!((of(&sampler, 1), of(&sampler, 2)), (None, None));
        sampler.sample(&[port(1, 10, 1_000)], at(1000));
        assert_eq!(of(&sampler, 1), None, "no time has passed");
    }

    #[test]
    fn another_port_of_that_number_has_not_its_rate() {
        let mut sampler = Sampler::default();
        sampler.sample(&[port(1, 100, 10_000)], at(0));
        sampler.sample(&[port(1, 300, 30_000)], at(1000));
        let mut other = port(1, 5, 500);
        other.spec.ifindex = 7;
        assert_eq!(sampler.of(&other), None, "before it was sampled");
        other.stats = port(1, 900, 90_000).stats;
        sampler.sample(std::slice::from_ref(&other), at(2000));
        assert_eq!(sampler.of(&other), None, "its counts are not those of the one before");
    }
}
