//! Routes of a network as GoBGP's messages, and such messages as routes. What comes from other hosts is
//! anything: what is no route of type 2 or 3, or makes no sense, is none.

use std::net::{IpAddr, Ipv4Addr};

use overlay::evpn::{Heard, Key, Mobility, Of, Route, Says, Site, Target};
use prost::Message;

use crate::messages::{
    Any, EVPNInclusiveMulticastEthernetTagRoute as Floods, EVPNMACIPAdvertisementRoute as Mac,
    EncapExtended, EthernetSegmentIdentifier, ExtendedCommunitiesAttribute, Family,
    FourOctetAsSpecificExtended, MacMobilityExtended, MpReachNLRIAttribute, NextHopAttribute,
    OriginAttribute, Path, PmsiTunnelAttribute, RouteDistinguisherFourOctetASN,
    RouteDistinguisherIPAddress, RouteDistinguisherTwoOctetASN, TwoOctetAsSpecificExtended,
};

/// Routes of EVPN: layer 2 VPN (25), EVPN (70).
pub(crate) const EVPN: Family = Family { afi: 25, safi: 70 };
/// A route target among extended communities (RFC 4360, section 4).
const TARGET: u32 = 2;
/// VXLAN among encapsulations (RFC 8365, section 5.1.3).
const VXLAN: u32 = 8;
/// Ingress replication among tunnels of floods (RFC 6514, section 5).
const REPLICATION: u32 = 6;

/// A route of ours, as it is said or taken back.
pub(crate) fn path(site: &Site, of: Of, sequence: u32, is_withdraw: bool) -> Path {
    let [a, b, c, d] = site.vtep.octets();
    let low = site.vni & 0xffff;
    let rd = Any::of(&RouteDistinguisherIPAddress { admin: site.vtep.to_string(), assigned: low });
    let nlri = match of {
        Of::Mac(mac, ip) => Any::of(&Mac {
            rd: Some(rd),
            esi: Some(EthernetSegmentIdentifier { kind: 0, value: vec![0; 9] }),
            ethernet_tag: 0,
            mac_address: mac.to_string(),
            ip_address: ip.map_or_else(String::new, |ip| ip.to_string()),
            labels: vec![site.vni],
        }),
        Of::Floods(from) => {
            Any::of(&Floods { rd: Some(rd), ethernet_tag: 0, ip_address: from.to_string() })
        }
    };
    let mut pattrs = vec![
        Any::of(&OriginAttribute { origin: 0 }),
        Any::of(&NextHopAttribute { next_hop: site.vtep.to_string() }),
    ];
    // A route that is taken back is known by its key. The speaker compares a number, if there is one.
    if !is_withdraw {
        let mut communities =
            vec![target(site.target), Any::of(&EncapExtended { tunnel_type: VXLAN })];
        match of {
            // Where there is none GoBGP makes one up, and it is one too low.
            Of::Mac(..) => {
                let (is_sticky, sequence_num) = (false, sequence);
                communities.push(Any::of(&MacMobilityExtended { is_sticky, sequence_num }));
            }
            Of::Floods(_) => pattrs.push(Any::of(&PmsiTunnelAttribute {
                flags: 0,
                kind: REPLICATION,
                label: site.vni,
                id: vec![a, b, c, d],
            })),
        }
        pattrs.push(Any::of(&ExtendedCommunitiesAttribute { communities }));
    }
    Path { nlri: Some(nlri), pattrs, best: false, is_withdraw, family: Some(EVPN) }
}

fn target(Target { asn, number }: Target) -> Any {
    let (is_transitive, sub_type, local_admin) = (true, TARGET, number);
    match u16::try_from(asn) {
        Ok(_) => Any::of(&TwoOctetAsSpecificExtended { is_transitive, sub_type, asn, local_admin }),
        Err(_) => {
            Any::of(&FourOctetAsSpecificExtended { is_transitive, sub_type, asn, local_admin })
        }
    }
}

/// A path as a route; None for what is none of type 2 or 3.
pub(crate) fn heard(path: &Path) -> Option<Heard> {
    let nlri = path.nlri.as_ref()?;
    let (key, label) = match (nlri.read::<Mac>(), nlri.read::<Floods>()) {
        (Some(mac), _) => {
            let ip = mac.ip_address.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
            let of = Of::Mac(mac.mac_address.parse().ok()?, ip);
            (key(of, mac.rd, mac.ethernet_tag)?, mac.labels.first().copied())
        }
        (None, Some(floods)) => {
            let of = Of::Floods(floods.ip_address.parse().ok()?);
            (key(of, floods.rd, floods.ethernet_tag)?, None)
        }
        (None, None) => return None,
    };
    if path.is_withdraw {
        return Some(Heard { key, says: None });
    }
    // One that cannot be followed says nothing, whatever it said before.
    Some(Heard { key, says: says(&path.pattrs, key.of, label) })
}

/// One network at each host has one VLAN; a bundle of several is none of ours.
fn key(of: Of, rd: Option<Any>, tag: u32) -> Option<Key> {
    Some(Key { of, rd: distinguisher(&rd?)? }).filter(|_| tag == 0)
}

fn says(attributes: &[Any], of: Of, label: Option<u32>) -> Option<Says> {
    let all = || attributes.iter();
    let reach = all().find_map(Any::read::<MpReachNLRIAttribute>);
    let reach = reach.and_then(|reach| reach.next_hops.into_iter().next());
    let hop = reach.or_else(|| Some(all().find_map(Any::read::<NextHopAttribute>)?.next_hop));
    let vtep: Ipv4Addr = hop?.parse().ok()?;
    let communities = all().filter_map(Any::read::<ExtendedCommunitiesAttribute>);
    let communities: Vec<_> = communities.flat_map(|all| all.communities).collect();
    let encapsulation = communities.iter().find_map(Any::read::<EncapExtended>);
    if encapsulation.is_some_and(|is| is.tunnel_type != VXLAN) {
        return None;
    }
    let tunnel = all().find_map(Any::read::<PmsiTunnelAttribute>);
    if matches!(of, Of::Floods(_)) && tunnel.as_ref().is_none_or(|is| is.kind != REPLICATION) {
        return None;
    }
    let vni = label.or(tunnel.map(|tunnel| tunnel.label)).filter(|vni| *vni != 0);
    let mobility = communities.iter().find_map(Any::read::<MacMobilityExtended>);
    let mobility = mobility.map(|is| Mobility { sticky: is.is_sticky, sequence: is.sequence_num });
    let route = Route { vtep, mobility: mobility.unwrap_or_default() };
    Some(Says { vni, targets: communities.iter().filter_map(target_of).collect(), route })
}

fn target_of(community: &Any) -> Option<Target> {
    let short = community.read::<TwoOctetAsSpecificExtended>();
    let short = short.map(|is| (is.sub_type, is.asn, is.local_admin));
    let long = || community.read::<FourOctetAsSpecificExtended>();
    let long = || long().map(|is| (is.sub_type, is.asn, is.local_admin));
    let (kind, asn, number) = short.or_else(long)?;
    (kind == TARGET).then_some(Target { asn, number })
}

/// A route distinguisher's bytes (RFC 4364, section 4.2).
fn distinguisher(rd: &Any) -> Option<[u8; 8]> {
    let low = |number: u32| u16::try_from(number).ok().map(u16::to_be_bytes);
    if let Some(rd) = rd.read::<RouteDistinguisherIPAddress>() {
        let [a, b, c, d] = rd.admin.parse::<Ipv4Addr>().ok()?.octets();
        let [high, low] = low(rd.assigned)?;
        return Some([0, 1, a, b, c, d, high, low]);
    }
    if let Some(rd) = rd.read::<RouteDistinguisherTwoOctetASN>() {
        let ([high, low], [a, b, c, d]) = (low(rd.admin)?, rd.assigned.to_be_bytes());
        return Some([0, 0, high, low, a, b, c, d]);
    }
    let rd = rd.read::<RouteDistinguisherFourOctetASN>()?;
    let ([a, b, c, d], [high, low]) = (rd.admin.to_be_bytes(), low(rd.assigned)?);
    Some([0, 2, a, b, c, d, high, low])
}

/// Reads bytes as a path that a speaker tells: the door of the fuzz target `evpn_paths`, and of tests.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Heard> {
    heard(&Path::decode(bytes).ok()?)
}

/// A path of ours as bytes, for the same.
#[must_use]
pub fn write(site: &Site, of: Of, sequence: u32, is_withdraw: bool) -> Vec<u8> {
    path(site, of, sequence, is_withdraw).encode_to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wire::MacAddr;

    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 10, 100, 1, 2]);

    fn site() -> Site {
        Site::usual(100, Ipv4Addr::new(10, 9, 0, 1), 65000)
    }

    #[test]
    fn what_is_said_is_heard() {
        let site = site();
        for (of, sequence) in [
            (Of::Mac(MAC, None), 0),
            (Of::Mac(MAC, Some([10, 100, 1, 2].into())), 7),
            (Of::Mac(MAC, Some("fd10::2".parse().unwrap())), u32::MAX),
            (Of::Floods(site.vtep.into()), 0),
        ] {
            let heard = read(&write(&site, of, sequence, false)).unwrap();
            let says = heard.says.unwrap();
            assert_eq!(heard.key, site.key(of));
            assert!(site.takes(&says), "{says:?}");
            assert_eq!((says.vni, says.route.vtep), (Some(100), site.vtep));
            assert_eq!(says.route.mobility, Mobility { sticky: false, sequence });
            let gone = read(&write(&site, of, sequence, true)).unwrap();
            assert_eq!((gone.key, gone.says), (site.key(of), None));
        }
    }

    #[test]
    fn a_target_of_a_long_as_has_a_form_of_its_own() {
        let target = Target { asn: 4_200_000_000, number: 9 };
        let site = Site { target, exact: true, ..site() };
        let heard = read(&write(&site, Of::Mac(MAC, None), 1, false)).unwrap();
        assert_eq!(heard.says.unwrap().targets, [target]);
    }

    #[test]
    fn what_makes_no_sense_says_nothing() {
        let site = site();
        let of = Of::Mac(MAC, None);
        let strange = |change: &dyn Fn(&mut Path)| {
            let mut path = path(&site, of, 1, false);
            change(&mut path);
            heard(&path)
        };
        let nlri = |change: &dyn Fn(&mut Mac)| {
            strange(&|path: &mut Path| {
                let mut own = path.nlri.as_ref().unwrap().read::<Mac>().unwrap();
                change(&mut own);
                path.nlri = Some(Any::of(&own));
            })
        };
        assert!(strange(&|_| ()).unwrap().says.is_some());
        // None at all: nothing that could be known by a key.
        assert_eq!(strange(&|path| path.nlri = None), None);
        assert_eq!(strange(&|path| path.nlri = Some(Any::of(&EncapExtended::default()))), None);
        assert_eq!(nlri(&|own| own.mac_address = "x".into()), None);
        assert_eq!(nlri(&|own| own.ethernet_tag = 5), None);
        assert_eq!(nlri(&|own| own.rd = None), None);
        let rd = |assigned| {
            let admin = "10.9.0.1".into();
            Some(Any::of(&RouteDistinguisherIPAddress { admin, assigned }))
        };
        assert_eq!(nlri(&|own| own.rd = rd(65536)), None);
        // Of addresses that are none there is none.
        for none in ["<nil>", "", "0.0.0.0", "::"] {
            let said = nlri(&|own| own.ip_address = none.into()).unwrap();
            assert_eq!(said.key.of, of, "{none}");
        }
        // By a key that is known, and nothing to follow.
        let silent = |change: &dyn Fn(&mut Path)| strange(change).unwrap().says.is_none();
        assert!(silent(&|path| path.pattrs.clear()));
        let hop = |text: &str| Any::of(&NextHopAttribute { next_hop: text.into() });
        assert!(silent(&|path| path.pattrs[1] = hop("fd00::1")));
        let mpls = Any::of(&EncapExtended { tunnel_type: 10 });
        let communities = Any::of(&ExtendedCommunitiesAttribute { communities: vec![mpls] });
        assert!(silent(&|path| path.pattrs[2] = communities.clone()));
    }

    #[test]
    fn distinguishers_have_three_forms() {
        let two = RouteDistinguisherTwoOctetASN { admin: 65000, assigned: 100 };
        assert_eq!(distinguisher(&Any::of(&two)), Some([0, 0, 0xfd, 0xe8, 0, 0, 0, 100]));
        let four = RouteDistinguisherFourOctetASN { admin: 65536, assigned: 100 };
        assert_eq!(distinguisher(&Any::of(&four)), Some([0, 2, 0, 1, 0, 0, 0, 100]));
    }

    #[test]
    fn no_bytes_panic() {
        let site = site();
        for of in [Of::Mac(MAC, Some([10, 0, 0, 1].into())), Of::Floods(site.vtep.into())] {
            let whole = write(&site, of, 5, false);
            for at in 0..whole.len() {
                let _ = read(&whole[..at]);
                for value in [0, 0x7f, 0xff, whole[at] ^ 0x20] {
                    let mut bytes = whole.clone();
                    bytes[at] = value;
                    let _ = read(&bytes);
                }
            }
        }
    }
}
