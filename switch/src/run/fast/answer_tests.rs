//! Connections that the kernel opens: what the station is told of their answers.

use super::*;
use crate::station::Repeated;

/// Of a connection that the kernel opens the answer is told, with or before whatever comes after it, in
/// whatever order the two routes are looked at; and once.
#[test]
fn an_answer_is_told_no_later_than_what_waited_for_it() {
    let end = |port| std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), port);
    let ends = |src, dst| Ends { protocol: 6, src, dst };
    let route = |src, dst, answers| Route {
        src,
        dst,
        next: mac(1),
        own: mac(9),
        atomic: false,
        kept: false,
        answers,
    };
    let (one, other) = (end(1), end(2));
    let way = |course| Way { session: Some(7), course };
    for over in [false, true] {
        let mut desk = Desk::new(2);
        let back = Routed { ends: ends(other, one), route: route(other, one, true), way: way(2) };
        let back = Decided { routed: Some(back), ..desk.decided(9, 1, 0, 0) };
        let first = desk.put(&back, at(0)).unwrap();
        let there = Routed { ends: ends(one, other), route: route(one, other, false), way: way(1) };
        let there = Decided { routed: Some(there), ..desk.decided(0, 0, 9, 1) };
        let asked = desk.put(&Decided { awaits: Some(first), ..there }, at(0)).unwrap();
        // The one that was looked at first: nothing has come by it yet.
        desk.book.count(&desk.table, &desk.fdb, first);
        desk.table.count_answer(first, 74, at(1));
        desk.table.count(asked, 66, at(2));
        // And now what comes after the answer.
        desk.book.count(&desk.table, &desk.fdb, asked);
        let told =
            if over { desk.book.over((&desk.table, &desk.fdb), Some(7)) } else { desk.book.take() };
        let said = |course| told.iter().find(|done| done.way.course == course).unwrap();
        let what = |done: &Repeated| (done.packets, done.bytes, done.answered);
        assert_eq!([what(said(1)), what(said(2))], [(1, 52, false), (0, 60, true)], "{over}");
        desk.table.count(first, 66, at(3));
        desk.fold(at(4));
        let told = desk.book.take();
        assert!(told.iter().all(|done| !done.answered), "{told:?}");
        if !over {
            assert_eq!(told.iter().map(|done| done.packets).sum::<u64>(), 1);
        }
    }
}
