//! The kernel's tables as text, and a claim made for real.

use super::*;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn row(local: &str, port: u16, state: &str) -> String {
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid\n";
    format!("{head}   0: {local}:{port:04X} 0101A8C0:01BB {state} 00000000:00000000 00:00000000 0")
}

fn hex(address: Ipv4Addr) -> String {
    format!("{:08X}", u32::from_ne_bytes(address.octets()))
}

#[test]
fn sockets_at_the_address_or_at_every_one() {
    let block = PortBlock::default();
    let other = hex(Ipv4Addr::LOCALHOST);
    let mapped =
        format!("0000000000000000{:08X}{}", u32::from_ne_bytes([0, 0, 0xff, 0xff]), hex(OWN));
    for (local, port, state, wanted) in [
        (hex(OWN), 20_080, "0A", true),
        (hex(OWN), 20_080, "01", true),
        (hex(OWN), 20_080, "06", false),
        (hex(OWN), 30_000, "0A", false),
        ("00000000".into(), 29_999, "07", true),
        (other, 20_080, "0A", false),
        ("0".repeat(32), 20_000, "0A", true),
        (mapped, 20_000, "01", true),
    ] {
        let seen = found(&row(&local, port, state), OWN, &block.range());
        assert_eq!(seen.map(|s| s.port()), wanted.then_some(port), "{local}:{port} {state}");
    }
    for garbage in ["", "\n\n", "head\n 0: xx:yy zz 0A", "head\n 0: 0A"] {
        assert_eq!(found(garbage, OWN, &block.range()), None);
    }
}

#[test]
fn two_labs_cannot_have_one_port() {
    let block = |text: &str| text.parse::<PortBlock>().unwrap();
    let lab = format!("first-{}", std::process::id());
    let first = claim(block("64000-64099"), &lab).unwrap().unwrap();
    let refusal = claim(block("64099-64200"), "second").unwrap().unwrap_err();
    assert!(refusal.contains(&lab) && refusal.contains("--uplink-ports"), "{refusal}");
    claim(block("64100-64200"), "second").unwrap().unwrap();
    drop(first);
    claim(block("64000-64099"), "second").unwrap().unwrap();
}

#[test]
fn a_claim_that_is_not_ours_is_no_claim() {
    let block = PortBlock::default();
    let row = |name: &str| format!("0000: 00000002 00000000 00010000 0001 01 4711 @{name}\n");
    let name = format!("{CLAIM}20000-20099/other/0123");
    let table = row(&name);
    let found = |table: &str, own: &str, ours| claimant(table, block, own, |_| ours);
    assert_eq!(found(&table, "", true).unwrap().as_str(), "other");
    assert_eq!(found(&table, "", false), None);
    assert_eq!(found(&table, &name, true), None);
    assert_eq!(found(&row(&format!("{CLAIM}30000-30099/other/0123")), "", true), None);
    let words = row(&format!("{CLAIM}1024-65535/x\u{1b}]0;owned\u{7}/0123"));
    assert_eq!(found(&words, "", true), None);
}
