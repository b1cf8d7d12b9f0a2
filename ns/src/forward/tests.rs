use std::net::Ipv4Addr;

use super::scope::Scope;
use super::{Ask, Forwarded, Transport, legacy, xt};

fn ask() -> Ask<'static> {
    let address = Ipv4Addr::new(192, 0, 2, 2);
    Ask { interface: "eth0", index: 2, address, ports: 20_000..=20_009 }
}

fn taken(narrow: impl FnOnce(&mut Scope)) -> Vec<(Transport, u16)> {
    let mut scope = Scope::all(&ask());
    narrow(&mut scope);
    scope.taken()
}

/// Numbers of this machine, one behind the other.
fn halves(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

#[test]
fn what_cannot_be_read_counts_where_ports_are_named() {
    use Transport::{Tcp, Udp};
    assert_eq!(taken(|_| {}), [(Tcp, 20_000), (Udp, 20_000)], "everything is forwarded");
    assert_eq!(taken(Scope::unread), []);
    let named = |scope: &mut Scope| {
        scope.unread();
        scope.range(&(20_005..=20_007), false);
    };
    assert_eq!(taken(named), [(Tcp, 20_005), (Udp, 20_005)]);
    assert_eq!(taken(|scope| scope.range(&(1..=20_007), true)), [(Tcp, 20_008), (Udp, 20_008)]);
    assert_eq!(taken(|scope| scope.protocols(|number| number == 17)), [(Udp, 20_000)]);
    let out = |scope: &mut Scope| {
        let mut other = scope.clone();
        other.range(&(20_000..=20_003), false);
        scope.without(&other);
    };
    assert_eq!(taken(out), [(Tcp, 20_004), (Udp, 20_004)]);
}

#[test]
fn matches_of_iptables() {
    use Transport::{Tcp, Udp};
    let tcp = |ports: [u16; 4], inverted: u8| {
        let info = [halves(&ports), vec![0, 0, 0, inverted]].concat();
        taken(|scope| xt::condition(scope, "tcp", 0, &info))
    };
    assert_eq!(tcp([0, 65_535, 20_003, 20_004], 0), [(Tcp, 20_003)]);
    assert_eq!(tcp([0, 65_535, 20_000, 20_004], 2), [(Tcp, 20_005)]);
    assert_eq!(tcp([0, 65_535, 80, 80], 0), []);
    assert_eq!(tcp([0, 65_535, 0, 65_535], 0), [(Tcp, 20_000)]);
    let mut multiport = vec![0; 48];
    multiport[..2].copy_from_slice(&[1, 3]);
    multiport[2..8].copy_from_slice(&halves(&[80, 20_002, 20_004]));
    multiport[33] = 1;
    let ports = taken(|scope| xt::condition(scope, "multiport", 1, &multiport));
    assert_eq!(ports, [(Tcp, 20_002), (Udp, 20_002)]);
    assert_eq!(taken(|scope| xt::condition(scope, "mark", 1, &[0; 12])), []);
    assert_eq!(taken(|scope| xt::condition(scope, "udp", 0, &[])), []);
}

#[test]
fn cut_off_tables_and_matches_are_no_reason_to_panic() {
    let mut found: Vec<Forwarded> = Vec::new();
    for length in 0..300 {
        for fill in [0, 1, 0x7f, 0xff] {
            let bytes = vec![fill; length];
            legacy::through(&bytes, 0, &ask(), &mut found);
            for name in ["tcp", "udp", "multiport"] {
                taken(|scope| xt::condition(scope, name, 1, &bytes));
            }
            for name in ["DNAT", "REDIRECT", "TPROXY"] {
                for revision in 0..3 {
                    xt::target(name, revision, &bytes);
                }
            }
        }
    }
}
