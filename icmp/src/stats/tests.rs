use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::{KINDS, REMEMBERED, Stats};

fn of(nanos: &[u64]) -> Stats {
    let mut stats = Stats::default();
    for n in nanos {
        stats.round_trip(Duration::from_nanos(*n));
    }
    stats
}

#[test]
fn figures_of_three_round_trips() {
    let mut stats = of(&[1_000_000, 2_000_000, 3_000_000]);
    (stats.sent, stats.received) = (4, 3);
    let s = stats.summary().unwrap();
    assert_eq!((s.min, s.max), (Duration::from_millis(1), Duration::from_millis(3)));
    assert_eq!(s.avg, Duration::from_millis(2));
    assert_eq!(s.mdev.as_micros(), 816, "population, not sample");
    assert!((stats.loss_percent() - 25.0).abs() < 1e-9);
    assert_eq!(stats.percentile(50), Some(Duration::from_millis(2)));
    assert_eq!(stats.percentile(99), Some(Duration::from_millis(3)));
    assert_eq!(Stats::default().percentile(50), None);
    assert_eq!(Stats::default().summary(), None);
}

#[test]
fn jitter_by_the_book() {
    // RFC 3550 6.4.1: J += (|D| - J) / 16 for each arrival after the first.
    let stats = of(&[10_000_000, 26_000_000, 26_000_000]);
    let first = 0.016 / 16.0;
    let second: f64 = first - first / 16.0;
    assert!((stats.jitter().as_secs_f64() - second).abs() < 1e-9);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut stats = Stats::default();
    for n in 0..REMEMBERED as u64 + 1000 {
        stats.round_trip(Duration::from_nanos(n + 1));
        stats.error(3, 1, Ipv4Addr::from(u32::try_from(n).unwrap()));
    }
    assert_eq!(stats.round_trips.len(), REMEMBERED);
    assert_eq!(stats.measured(), REMEMBERED as u64 + 1000);
    assert_eq!(stats.summary().unwrap().min, Duration::from_nanos(1), "over all");
    assert_eq!(stats.kinds.len(), KINDS);
    assert_eq!(stats.other_kinds + KINDS as u64, REMEMBERED as u64 + 1000);
}

proptest! {
    #[test]
    fn figures_as_the_definitions_say(nanos in prop::collection::vec(0u64..20_000_000_000, 1..300)) {
        let stats = of(&nanos);
        let s = stats.summary().unwrap();
        let n = nanos.len() as f64;
        let mean = nanos.iter().map(|x| *x as f64).sum::<f64>() / n;
        let variance = nanos.iter().map(|x| (*x as f64 - mean).powi(2)).sum::<f64>() / n;
        let close = |got: Duration, want: f64| (got.as_nanos() as f64 - want).abs() <= 2.0 + want * 1e-9;
        prop_assert_eq!(s.min, Duration::from_nanos(*nanos.iter().min().unwrap()));
        prop_assert_eq!(s.max, Duration::from_nanos(*nanos.iter().max().unwrap()));
        prop_assert!(close(s.avg, mean), "avg {:?}, not {mean}", s.avg);
        prop_assert!(close(s.mdev, variance.sqrt()), "mdev {:?}, not {}", s.mdev, variance.sqrt());
    }

    #[test]
    fn a_percentile_is_one_of_them_with_enough_below(
        nanos in prop::collection::vec(0u64..1000, 1..300),
        percent in 1usize..=100,
    ) {
        let stats = of(&nanos);
        let got = u64::try_from(stats.percentile(percent).unwrap().as_nanos()).unwrap();
        let up_to = nanos.iter().filter(|x| **x <= got).count();
        let below = nanos.iter().filter(|x| **x < got).count();
        prop_assert!(nanos.contains(&got));
        prop_assert!(up_to * 100 >= percent * nanos.len(), "too few do not exceed it");
        prop_assert!(below * 100 < percent * nanos.len(), "a smaller one would do");
    }

    #[test]
    fn order_changes_no_figure_but_the_jitter(mut nanos in prop::collection::vec(0u64..1_000_000_000, 1..100)) {
        let one = of(&nanos);
        nanos.sort_unstable();
        let other = of(&nanos);
        prop_assert_eq!(one.summary(), other.summary());
        for percent in [50, 90, 99] {
            prop_assert_eq!(one.percentile(percent), other.percentile(percent));
        }
    }

    #[test]
    fn jitter_is_within_the_largest_step(nanos in prop::collection::vec(0u64..1_000_000_000, 2..100)) {
        let largest = nanos.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
        prop_assert!(of(&nanos).jitter() <= Duration::from_nanos(largest));
    }
}
