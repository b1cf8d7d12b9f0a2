use std::time::Duration;

use control::api::{EventKind, Rate};

use super::super::panes::Pane;
use super::super::testing::{event, look, seen};
use super::*;

fn rates(model: &Model, port: usize) -> Option<(u64, u64)> {
    let rates = model.port_rates(&model.now().ports[port])?;
    Some((rates.rx.bits_per_second, rates.tx.packets_per_second))
}

#[test]
fn rates_are_what_was_counted_between_two_looks() {
    let model = seen();
    assert_eq!(rates(&model, 0), Some((1_000_000, 100)));
    assert_eq!(rates(&model, 1), Some((100_000, 1000)));
    assert_eq!(rates(&model, 2), Some((0, 0)));
    assert_eq!(model.total_rates().unwrap().rx.bits_per_second, 1_100_000);
    assert_eq!(model.history(&model.now().ports[0]), [0, 1_100_000, 1_100_000]);
    let session = &model.now().sessions.as_ref().unwrap().items[0];
    assert_eq!(model.session_rate(session), Some(2 * 84 * 8));
}

#[test]
fn looks_may_come_late() {
    let mut model = Model::new(look(0));
    let mut late = look(1);
    late.at += Duration::from_secs(3);
    model.take(late);
    assert_eq!(rates(&model, 0), Some((250_000, 25)));
    // And twice at the same moment: nothing is known then, and nothing divides by zero.
    let mut again = look(2);
    again.at = model.now().at;
    model.take(again);
    assert_eq!(rates(&model, 0), None);
    assert_eq!(model.total_rates(), None);
}

#[test]
fn of_the_first_look_the_labs_own_rates_are_taken() {
    let mut first = look(0);
    let rate = Rate { packets_per_second: 5, bits_per_second: 4000 };
    first.ports[0].rates = Some(PortRates { rx: rate, tx: Rate::default() });
    let model = Model::new(first);
    assert_eq!(rates(&model, 0), Some((4000, 0)));
    assert_eq!(rates(&model, 1), None);
}

#[test]
fn counters_that_begin_again_give_no_nonsense() {
    let mut model = Model::new(look(50));
    let mut smaller = look(1);
    smaller.at = Duration::from_secs(1051);
    model.take(smaller);
    assert_eq!(rates(&model, 0), Some((1_000_000, 100)), "counted since they began");
    // A port plugged in again has another index: all it counted is new.
    let mut other = look(2);
    other.at = Duration::from_secs(1052);
    other.ports[0].ifindex = 77;
    model.take(other);
    assert_eq!(rates(&model, 0), Some((2_000_000, 200)));
    assert_eq!(model.history(&model.now().ports[0]).len(), 1);
    assert_eq!(model.ports.len(), model.now().ports.len(), "the old one is forgotten");
}

#[test]
fn another_process_is_another_lab() {
    let mut model = seen();
    let mut other = look(3);
    other.topology.pid += 1;
    model.take(other);
    assert_eq!(rates(&model, 0), None);
    assert_eq!(model.history(&model.now().ports[0]).len(), 1);
}

#[test]
fn drops_have_a_reason_a_rate_and_a_place() {
    let drops = seen().drops();
    let words: Vec<_> =
        drops.iter().map(|drop| (drop.by, drop.reason.as_str(), drop.count, drop.rate)).collect();
    assert_eq!(
        words,
        [
            ("gateway", "no_route", 7, Some(0)),
            ("switch", "same_port", 2, Some(0)),
            ("switch", "truncated", 10, Some(5)),
        ]
    );
    assert_eq!(drops[2].at, [("veth2".to_owned(), 10)]);
    assert!(drops[0].at.is_empty());
}

#[test]
fn what_the_kernel_and_the_gateway_lose_is_told_too() {
    let mut sample = look(1);
    let switch = sample.counters.switch.as_mut().unwrap();
    (switch.ring_drops, switch.send_errors, switch.station_lost) = (1, 2, 3);
    let model = Model::new(sample);
    let told = |by, reason| model.drops().iter().any(|d| d.by == by && d.reason == reason);
    assert!(told("kernel", "ring full") && told("kernel", "send refused"));
    assert!(told("gateway", "nowhere to send"));
}

#[test]
fn history_and_events_are_bounded() {
    let mut model = Model::new(look(0));
    for second in 1..=HISTORY as u64 + 10 {
        model.take(look(second));
    }
    assert_eq!(model.history(&model.now().ports[0]).len(), HISTORY);
    for count in 0..EVENTS as u64 + 10 {
        model.tell(event(0, EventKind::Aged { count }));
    }
    assert_eq!(model.events().count(), EVENTS);
    let newest = model.events().next().unwrap();
    assert_eq!(newest, (HISTORY as u64 + 10, &EventKind::Aged { count: EVENTS as u64 + 9 }));
}

#[test]
fn a_look_at_one_network_has_what_is_of_it_alone() {
    let mut sample = look(1);
    sample.ports[1].network = Some("dmz".into());
    sample.topology.nodes[1].network = Some("dmz".into());
    let count = |network: &str| {
        let mut sample = sample.clone();
        sample.keep(network);
        let sessions = sample.sessions.unwrap().items.len();
        (sample.ports.len(), sample.fdb.unwrap().items.len(), sessions)
    };
    assert_eq!((count("lan"), count("dmz"), count("other")), ((2, 2, 1), (1, 0, 1), (0, 0, 0)));
    // Where there are several, each row says which; where there is one, none does.
    let columns = |sample: Sample| {
        let table = Pane::Ports.table(&Model::new(sample));
        assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()));
        table.columns.len()
    };
    assert_eq!(columns(sample.clone()), columns(look(1)) + 1);
}
