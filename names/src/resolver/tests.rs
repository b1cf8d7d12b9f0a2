use std::net::IpAddr;

use hickory_proto::op::Edns;
use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use proptest::prelude::*;

use super::*;
use crate::reply::LARGEST;
use crate::zone::{Host, Network, NetworkId, Place};

const LAN: NetworkId = NetworkId(1);
const BIG: NetworkId = NetworkId(2);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// net1 and net2 in `lan`, which is 10.100.0.0/16; `many` has 80 addresses in `big`.
pub(crate) fn resolver(further: bool) -> Resolver {
    let mut zone = Zone::new("demo");
    let subnets = vec![
        Subnet { address: ip("10.100.0.0"), length: 16 },
        Subnet { address: ip("fd00::"), length: 64 },
    ];
    let gateway = vec![ip("10.100.0.1")];
    zone.set_network(LAN, Network { gateway, subnets, beyond: true, ..Network::default() });
    zone.set_network(BIG, Network::default());
    for n in 1..=2u8 {
        let mut places = vec![Place::In(LAN, IpAddr::from([10, 100, 0, 10 * n]))];
        if n == 2 {
            places.push(Place::In(LAN, ip("fd00::2")));
        }
        zone.put(Host { name: format!("net{n}"), aliases: vec![], places });
    }
    let places = (0..80).map(|n| Place::In(BIG, IpAddr::from([10, 9, 0, n]))).collect();
    zone.put(Host { name: "many".into(), aliases: vec![], places });
    Resolver::new(zone, further)
}

/// A query as `dig` makes it.
fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

fn with_edns(mut message: Message, payload: u16, version: u8) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload).set_version(version).set_dnssec_ok(true);
    message.set_edns(edns);
    message
}

fn ask_from(resolver: &Resolver, message: &Message, from: NetworkId, over: Over) -> Message {
    match resolver.ask(&message.to_vec().unwrap(), &from.into(), over) {
        Answer::Reply(bytes, _) => {
            let reply = Message::from_vec(&bytes).unwrap();
            assert_eq!(reply.metadata.id, message.metadata.id);
            assert_eq!(reply.metadata.message_type, MessageType::Response);
            assert!(reply.metadata.recursion_available);
            assert_eq!(reply.metadata.recursion_desired, message.metadata.recursion_desired);
            reply
        }
        other => panic!("{other:?}"),
    }
}

const UDP: Over = Over::Udp(1472);

fn ask(resolver: &Resolver, message: &Message) -> Message {
    ask_from(resolver, message, LAN, UDP)
}

fn data(reply: &Message) -> Vec<String> {
    reply.answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn known_names_unknown_names_and_types_there_are_none_of() {
    use RecordType as T;
    let resolver = resolver(false);
    let (yes, no) = (ResponseCode::NoError, ResponseCode::NXDomain);
    // The name, the type, the code, the data, and the zone that says there is none.
    for (name, kind, code, answers, apex) in [
        ("net2", T::A, yes, &["10.100.0.20"][..], ""),
        ("NeT2.DeMo", T::A, yes, &["10.100.0.20"], ""),
        ("net2.demo", T::AAAA, yes, &["fd00::2"], ""),
        ("net2", T::ANY, yes, &["10.100.0.20", "fd00::2"], ""),
        ("gateway", T::A, yes, &["10.100.0.1"], ""),
        ("net1.demo", T::AAAA, yes, &[], "demo."),
        ("net1", T::AAAA, yes, &[], "net1."),
        ("net1", T::MX, yes, &[], "net1."),
        ("demo", T::A, yes, &[], "demo."),
        ("demo", T::NS, yes, &["gateway.demo."], ""),
        ("nosuch.demo", T::A, no, &[], "demo."),
        ("a.net1.demo", T::A, no, &[], "demo."),
        ("nosuch", T::A, no, &[], "."),
        ("www.example.org", T::A, no, &[], "."),
        ("many", T::A, no, &[], "many."),
        ("20.0.100.10.in-addr.arpa", T::PTR, yes, &["net2.demo."], ""),
        ("20.0.100.10.IN-ADDR.ARPA", T::ANY, yes, &["net2.demo."], ""),
        ("20.0.100.10.in-addr.arpa", T::A, yes, &[], "100.10.in-addr.arpa."),
        ("1.0.100.10.in-addr.arpa", T::PTR, yes, &["gateway.demo."], ""),
        ("99.0.100.10.in-addr.arpa", T::PTR, no, &[], "100.10.in-addr.arpa."),
        ("0.100.10.in-addr.arpa", T::PTR, yes, &[], "0.100.10.in-addr.arpa."),
        ("x.100.10.in-addr.arpa", T::PTR, no, &[], "."),
        ("8.8.8.8.in-addr.arpa", T::PTR, no, &[], "."),
        (
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
            T::PTR,
            yes,
            &["net2.demo."],
            "",
        ),
        ("localhost", T::A, yes, &["127.0.0.1"], ""),
        ("1.0.0.127.in-addr.arpa", T::PTR, yes, &["localhost."], ""),
        (".", T::NS, no, &[], "."),
    ] {
        let reply = ask(&resolver, &query(name, kind));
        let what = format!("{name} {kind}");
        assert_eq!(reply.metadata.response_code, code, "{what}");
        assert_eq!(data(&reply), answers, "{what}");
        assert!(reply.metadata.authoritative, "{what}");
        // RFC 2308: who says so, and for how long, when there is none.
        let authority: Vec<_> = reply.authorities.iter().map(|r| r.name.to_string()).collect();
        let wanted: Vec<_> = [apex].into_iter().filter(|apex| !apex.is_empty()).collect();
        assert_eq!(authority, wanted, "{what}");
        assert!(reply.authorities.iter().all(|r| matches!(r.data, RData::SOA(_))), "{what}");
    }
}

#[test]
fn the_question_comes_back_letter_by_letter() {
    let resolver = resolver(false);
    for name in ["nEt2", "NET2.dEMO", "NoSuch", "20.0.100.10.iN-aDDr.ARPA"] {
        let asked = query(name, RecordType::A).to_vec().unwrap();
        let Answer::Reply(reply, _) = resolver.ask(&asked, &LAN.into(), UDP) else { panic!() };
        assert_eq!(crate::question(&reply), crate::question(&asked), "{name}");
        assert!(crate::question(&asked).is_some());
    }
}

#[test]
fn what_is_no_plain_question_is_answered_properly() {
    use ResponseCode as C;
    let resolver = resolver(false);
    let code = |message: &Message| ask(&resolver, message).metadata.response_code;
    let mut message = query("net2", RecordType::A);
    for (class, wanted) in
        [(DNSClass::CH, C::Refused), (DNSClass::HS, C::Refused), (DNSClass::ANY, C::Refused)]
    {
        message.queries[0].set_query_class(class);
        assert_eq!(code(&message), wanted, "{class}");
    }
    for (kind, wanted) in [
        (252, C::Refused),
        (251, C::Refused),
        (250, C::NotImp),
        (253, C::NotImp),
        (41, C::NotImp),
        (0, C::NotImp),
    ] {
        assert_eq!(code(&query("demo", RecordType::from(kind))), wanted, "type {kind}");
    }
    let two = {
        let mut message = query("net2", RecordType::A);
        message.add_query(message.queries[0].clone());
        message
    };
    let none = Message::new(1, MessageType::Query, OpCode::Query);
    for message in [two, none] {
        let Answer::Reply(reply, Said::Refused) =
            resolver.ask(&message.to_vec().unwrap(), &LAN.into(), UDP)
        else {
            panic!()
        };
        assert_eq!((reply.len(), reply[3] & 0xf), (12, 1));
    }
    // RFC 6891 section 6.1.3.
    let reply = ask(&resolver, &with_edns(query("net2", RecordType::A), 4096, 1));
    assert_eq!(u16::from(reply.metadata.response_code), u16::from(C::BADVERS));
    assert_eq!(reply.edns.as_ref().map(Edns::version), Some(0));
}

#[test]
fn other_opcodes_damage_and_responses() {
    let resolver = resolver(false);
    let good = query("net2", RecordType::A).to_vec().unwrap();
    for op in 1..16u8 {
        let mut bytes = good.clone();
        bytes[2] = bytes[2] & 0x87 | op << 3;
        let Answer::Reply(reply, Said::Refused) = resolver.ask(&bytes, &LAN.into(), UDP) else {
            panic!()
        };
        assert_eq!((&reply[..2], reply[2] >> 3 & 0xf, reply[3] & 0xf), (&good[..2], op, 4));
    }
    for end in 0..12 {
        assert!(matches!(resolver.ask(&good[..end], &LAN.into(), UDP), Answer::Nothing));
    }
    for end in 12..good.len() {
        let Answer::Reply(reply, _) = resolver.ask(&good[..end], &LAN.into(), UDP) else {
            panic!()
        };
        assert_eq!(reply[3] & 0xf, 1, "{end} bytes: FORMERR");
    }
    let mut response = good.clone();
    response[2] |= 0x80;
    assert!(
        matches!(resolver.ask(&response, &LAN.into(), UDP), Answer::Nothing),
        "two could go on for ever"
    );
    // A name that leads to itself.
    let mut circle = good;
    circle[12..14].copy_from_slice(&[0xc0, 12]);
    let Answer::Reply(reply, _) = resolver.ask(&circle, &LAN.into(), UDP) else { panic!() };
    assert_eq!(reply[3] & 0xf, 1);
}

#[test]
fn replies_are_as_long_as_who_asks_can_take() {
    let resolver = resolver(false);
    let many = query("many", RecordType::A);
    let length =
        |message: &Message, over| match resolver.ask(&message.to_vec().unwrap(), &BIG.into(), over)
        {
            Answer::Reply(bytes, _) => (bytes.len(), Message::from_vec(&bytes).unwrap()),
            other => panic!("{other:?}"),
        };
    // 80 addresses: 1,300 bytes. Too long for any datagram; TCP has room.
    for (message, over, limit, whole) in [
        (many.clone(), UDP, 512, false),
        (with_edns(many.clone(), 100, 0), UDP, 512, false),
        (with_edns(many.clone(), 1200, 0), UDP, 1200, false),
        (with_edns(many.clone(), 4096, 0), UDP, usize::from(LARGEST), false),
        (many.clone(), Over::Udp(40), 40, false),
        (many.clone(), Over::Udp(12), 12, false),
        (many.clone(), Over::Tcp, 65_535, true),
        (with_edns(many, 512, 0), Over::Tcp, 65_535, true),
    ] {
        let (bytes, reply) = length(&message, over);
        assert!(bytes <= limit, "{bytes} of {limit}");
        assert_eq!(reply.metadata.truncation, !whole, "{over:?}");
        assert_eq!(reply.answers.len(), if whole { 80 } else { 0 });
        let spoke = message.edns.is_some() && limit >= 512;
        assert_eq!(reply.edns.is_some(), spoke, "OPT is answered by OPT");
        if let Some(edns) = &reply.edns {
            assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (LARGEST, true));
        }
    }
    let (_, short) = length(&query("nosuch", RecordType::A), UDP);
    assert!(!short.metadata.truncation);
}

#[test]
fn what_the_lab_does_not_know_is_passed_on_and_nothing_else() {
    let resolver = resolver(true);
    let forward =
        |message: &Message| match resolver.ask(&message.to_vec().unwrap(), &LAN.into(), UDP) {
            Answer::Forward(forward) => Some(Message::from_vec(&forward.query).unwrap()),
            _ => None,
        };
    for (name, kind) in [
        ("www.EXAMPLE.org", RecordType::AAAA),
        ("nosuch", RecordType::A),
        ("8.8.8.8.in-addr.arpa", RecordType::PTR),
    ] {
        let asked = with_edns(query(name, kind), 4096, 0);
        let onward = forward(&asked).unwrap();
        assert_eq!(onward.queries[0].name().to_ascii(), asked.queries[0].name().to_ascii());
        assert_eq!(onward.queries, asked.queries);
        assert_eq!(
            onward.edns.as_ref().map(|e| (e.max_payload(), e.flags().dnssec_ok)),
            Some((LARGEST, true))
        );
        assert!(onward.metadata.recursion_desired);
        assert!(forward(&query(name, kind)).unwrap().edns.is_none());
    }
    // Names that would be the lab's, and its addresses, stay here.
    for name in
        ["net1", "nosuch.demo", "demo", "many", "99.0.100.10.in-addr.arpa", "0.100.10.in-addr.arpa"]
    {
        assert!(forward(&query(name, RecordType::A)).is_none(), "{name}");
    }
    let mut message = query("www.example.org", RecordType::A);
    message.metadata.recursion_desired = false;
    assert_eq!(ask(&resolver, &message).metadata.response_code, ResponseCode::Refused);
}

#[test]
fn anothers_response_becomes_the_reply() {
    let resolver = resolver(true);
    let asked = with_edns(query("www.Example.org", RecordType::TXT), 600, 0);
    let Answer::Forward(Forward { query: onward, echo }) =
        resolver.ask(&asked.to_vec().unwrap(), &LAN.into(), UDP)
    else {
        panic!()
    };
    let mut response = onward;
    response[2] |= 0x80;
    let short = echo.fit(response.clone());
    assert_eq!((&short[..2], &short[2..]), (&[0x12, 0x34][..], &response[2..]));
    response.resize(601, 0);
    let cut = Message::from_vec(&echo.fit(response)).unwrap();
    assert!(cut.metadata.truncation && cut.edns.is_some() && cut.queries == asked.queries);
    let failed = Message::from_vec(&echo.failure()).unwrap();
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
    assert_eq!((failed.metadata.id, &failed.queries), (0x1234, &asked.queries));
}

#[test]
fn from_an_internal_network_no_question_goes_out() {
    let resolver = resolver(true);
    let asked = query("secret.example.org", RecordType::A);
    let bytes = asked.to_vec().unwrap();
    assert!(matches!(resolver.ask(&bytes, &LAN.into(), Over::Tcp), Answer::Forward(_)));
    for from in [BIG, NetworkId(99)] {
        let reply = ask_from(&resolver, &asked, from, Over::Tcp);
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    }
}

#[test]
fn a_lab_whose_name_makes_no_domain_still_answers() {
    for domain in ["a..b", "x.", &"y".repeat(70)] {
        let mut zone = Zone::new(domain);
        zone.set_network(LAN, Network { gateway: vec![ip("10.0.0.1")], ..Network::default() });
        zone.put(Host {
            name: "web".into(),
            aliases: vec![],
            places: vec![Place::In(LAN, ip("10.0.0.2"))],
        });
        let resolver = Resolver::new(zone, false);
        assert_eq!(data(&ask(&resolver, &query("web", RecordType::A))), ["10.0.0.2"]);
        let reply = ask(&resolver, &query("nosuch", RecordType::A));
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
        ask(&resolver, &query("2.0.0.10.in-addr.arpa", RecordType::PTR));
    }
}

/// Queries that are nearly good ones.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let names = ["net2", "net2.demo", "many", "demo", "nosuch", "20.0.100.10.in-addr.arpa", "."];
    let edns = prop::option::of((any::<u16>(), 0u8..2));
    (0..names.len(), any::<u16>(), edns, prop::collection::vec((any::<usize>(), any::<u8>()), 0..4))
        .prop_map(move |(name, kind, edns, damage)| {
            let mut message = query(names[name], RecordType::from(kind));
            if let Some((payload, version)) = edns {
                message = with_edns(message, payload, version);
            }
            let mut bytes = Vec::new();
            message.emit(&mut BinEncoder::new(&mut bytes)).unwrap();
            for (place, byte) in damage {
                let length = bytes.len();
                bytes[place % length] = byte;
            }
            bytes
        })
}

proptest! {
    #[test]
    fn whatever_is_asked_the_reply_is_one_and_fits(
        bytes in prop_oneof![nearly(), prop::collection::vec(any::<u8>(), 0..600)],
        fits in prop_oneof![Just(1472usize), 12usize..2000],
        further: bool,
        big: bool,
    ) {
        let resolver = resolver(further);
        let from = if big { BIG } else { LAN };
        for over in [Over::Udp(fits), Over::Tcp] {
            match resolver.ask(&bytes, &from.into(), over) {
                Answer::Reply(reply, _) => {
                    let limit = if let Over::Udp(fits) = over { fits.min(1232) } else { 65_535 };
                    prop_assert!(reply.len() <= limit);
                    prop_assert_eq!(&reply[..2], &bytes[..2]);
                    prop_assert!(reply[2] & 0x80 != 0);
                    prop_assert!(Message::from_vec(&reply).is_ok());
                }
                Answer::Forward(forward) => {
                    prop_assert!(further);
                    prop_assert_eq!(&forward.query[..2], &[0, 0]);
                    prop_assert!(forward.echo.failure().len() <= 1232);
                    let _ = forward.echo.fit(bytes.clone());
                }
                Answer::Nothing => prop_assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
            }
        }
    }
}
