use control::api::FdbKind;

use super::*;

fn scene() -> Scene {
    let port = |ifname: &str, node: &str, network: &str| Plugged {
        ifname: ifname.into(),
        node: Some(node.into()),
        network: Some(network.into()),
    };
    Scene {
        switch: "switch".into(),
        networks: vec![("lan".into(), 0), ("dmz".into(), 1)],
        ports: vec![
            port("veth1", "web", "lan"),
            port("veth2", "db", "lan"),
            port("veth1n2", "web", "dmz"),
        ],
    }
}

#[test]
fn a_ports_settings_are_those_of_bridge_link() {
    let asked = SetPort {
        learning: Some(false),
        isolated: Some(true),
        mcast_router: Some(2),
        group_fwd_mask: Some(0x4000),
        learn_limit: Some(9),
        ..SetPort::default()
    };
    assert_eq!(
        scene().set_port("web:dmz", &asked),
        [
            "bridge -n switch link set dev veth1n2 isolated on learning off mcast_router 2",
            "ip -n switch link set veth1n2 type bridge_slave group_fwd_mask 16384",
            "# learn_limit 9: the kernel's bridge has nothing like it",
        ]
    );
    assert_eq!(scene().move_port("db", Some("dmz")), "ip -n switch link set veth2 master br01");
    assert_eq!(scene().move_port("db", None), "ip -n switch link set veth2 nomaster");
}

#[test]
fn a_networks_settings_are_those_of_its_bridge() {
    let asked = SetNetwork {
        ageing_time: Some(30),
        vlan_filtering: Some(true),
        mtu: Some(1400),
        mcast_query_interval: control::api::Seconds::of(1.5),
        gateway_guard: Some(false),
        ..SetNetwork::default()
    };
    assert_eq!(
        scene().set_network("dmz", &asked),
        [
            "ip -n switch link set br01 type bridge ageing_time 3000 mcast_query_interval 150 \
         vlan_filtering 1",
            "# gateway_guard off: the kernel's bridge has nothing like it",
            "ip -n switch link set br01 mtu 1400",
            "ip -n switch link set veth1n2 mtu 1400",
        ]
    );
    let own = ["10.1.0.1/24".to_owned()];
    assert_eq!(
        scene().add_network("dmz", &own, 1500),
        [
            "ip -n switch link add br01 type bridge",
            "ip -n switch link set br01 mtu 1500 up",
            "ip -n switch addr add 10.1.0.1/24 brd + dev br01",
        ]
    );
    assert_eq!(
        scene().remove_networks(&["dmz".into(), "nil".into()]),
        ["ip -n switch link del br01"]
    );
}

#[test]
fn memberships_of_vlans_are_a_ports_or_the_bridges_own() {
    let asked = AddVlan { vlan: 10, vlan_end: Some(20), pvid: false, untagged: true };
    assert_eq!(
        scene().add_vlan("web", &asked),
        "bridge -n switch vlan add vid 10-20 untagged dev veth1"
    );
    let gateway = scene().del_vlan("gateway:dmz", 7, 7);
    assert_eq!(gateway, "bridge -n switch vlan del vid 7 dev br01 self");
}

#[test]
fn addresses_are_set_taken_out_and_forgotten() {
    let mac = "02:00:00:00:00:09".to_owned();
    let set = |port: Option<&str>, kind, vlan| {
        let port = port.map(str::to_owned);
        scene().set_fdb(&SetFdb { mac: mac.clone(), port, vlan, network: None, kind, dst: None })
    };
    let add = format!("bridge -n switch fdb add {mac} dev");
    assert_eq!(set(Some("db"), FdbKind::Static, None), [format!("{add} veth2 master static")]);
    let sticky = set(Some("db"), FdbKind::Sticky, Some(3));
    assert_eq!(sticky, [format!("{add} veth2 master static sticky vlan 3")]);
    assert_eq!(set(None, FdbKind::Blackhole, None), [format!("{add} br00 self blackhole")]);
    let behind = SetFdb {
        mac: mac.clone(),
        port: Some("db".into()),
        vlan: None,
        network: None,
        kind: FdbKind::Static,
        dst: Some("10.9.0.2".parse().unwrap()),
    };
    let row = format!("bridge -n switch fdb replace {mac} dev veth2 dst 10.9.0.2 self");
    assert_eq!(scene().set_fdb(&behind), [row, format!("{add} veth2 master static")]);
    let flush = FlushFdb { port: None, vlan: None, network: Some("dmz".into()) };
    assert_eq!(scene().flush_fdb(&flush), ["bridge -n switch fdb flush dev br01 dynamic"]);
    let del = DelFdb { mac: mac.clone(), port: Some("web".into()), vlan: None, network: None };
    assert_eq!(scene().del_fdb(&del), [format!("bridge -n switch fdb del {mac} dev veth1 master")]);
    // Behind a tunnel, whose device has a row that all VLANs share.
    let mut far = scene();
    let tunnel = Plugged { ifname: "vxlan7".into(), node: None, network: Some("lan".into()) };
    far.ports.push(tunnel);
    for port in ["vxlan7", "vxlan"] {
        let del = DelFdb { port: Some(port.into()), vlan: Some(3), ..del.clone() };
        let own = format!("bridge -n switch fdb del {mac} dev vxlan7 master vlan 3");
        let row = format!(
            "bridge -n switch fdb show dev vxlan7 | grep -q '^{mac} .*master' || \
             bridge -n switch fdb del {mac} dev vxlan7 self"
        );
        assert_eq!(far.del_fdb(&del), [own, row]);
    }
}

#[test]
fn groups_links_and_the_gateway() {
    let asked = SetMdb { port: "db".into(), group: "239.1.2.3".into(), vlan: Some(5) };
    let line = "bridge -n switch mdb add dev br00 port veth2 grp 239.1.2.3 permanent vid 5";
    assert_eq!(scene().mdb("add", &asked), line);
    assert_eq!(
        scene().link("web", None, false),
        ["ip -n switch link set veth1 down", "ip -n switch link set veth1n2 down",]
    );
    assert_eq!(
        scene().set_gateway(Some(false), Some("none")),
        [
            "ip netns exec switch sysctl -qw net.ipv4.ip_forward=0",
            "ip netns exec switch nft flush chain ip nat postrouting",
        ]
    );
}

#[test]
fn neighbours_are_known_in_every_network() {
    let known = |mac: Option<&str>| Known {
        address: "10.100.9.9".into(),
        mac: mac.map(String::from),
        own: false,
    };
    assert_eq!(
        scene().set_known(&known(Some("02:00:00:00:00:09"))),
        [
            "ip -n switch neigh replace 10.100.9.9 lladdr 02:00:00:00:00:09 dev br00",
            "ip -n switch neigh replace 10.100.9.9 lladdr 02:00:00:00:00:09 dev br01",
        ]
    );
    assert_eq!(scene().set_known(&known(None))[1], "ip -n switch neigh del 10.100.9.9 dev br01");
}

#[test]
fn sessions_are_forgotten_as_conntrack_does_it() {
    let lines = |of: Option<&str>, from: Option<&[[u8; 4]]>| {
        let from = from.map(|all| all.iter().map(|own| (*own).into()).collect());
        let all = scene().flush_nat(of, from);
        let line = |line: &String| line.replace("ip netns exec switch conntrack ", "");
        all.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(lines(None, None), ["-F"]);
    assert_eq!(lines(Some("tcp"), None), ["-D -p tcp"]);
    let web: &[[u8; 4]] = &[[10, 0, 0, 2], [10, 1, 0, 2]];
    assert_eq!(lines(Some("udp"), Some(web)), ["-D -p udp -s 10.0.0.2", "-D -p udp -s 10.1.0.2"]);
    assert_eq!(lines(None, Some(&web[..1])), ["-D -s 10.0.0.2"]);
}

/// A network keeps its bridge's name when one before it goes; and a lab without a switch has none.
#[test]
fn bridges_are_called_by_the_networks_numbers() {
    let mut left = scene();
    left.networks.remove(0);
    assert_eq!(left.move_port("web:dmz", Some("dmz")), "ip -n switch link set veth1n2 master br01");
    assert_eq!(left.remove_networks(&["lan".into(), "dmz".into()]), ["ip -n switch link del br01"]);
    let none = Scene { switch: "switch".into(), networks: Vec::new(), ports: Vec::new() };
    assert!(none.link("net1", None, true).is_empty());
}
