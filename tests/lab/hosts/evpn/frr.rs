//! A host that is none of ours: FRR, and a bridge of the kernel with its vxlan device.

use serde_json::Value;

use super::speakers::Speakers;
use super::{AT_WEB, bgp, mac, web};
use crate::door::until;
use crate::support::Process;

/// The hardware address of the node behind FRR, 10.100.1.3.
const FAR: &str = "02:f0:00:00:00:03";

/// Host 3: a bridge with a VXLAN whose rows FRR sets, and a node `far` behind it.
fn kernel(bgp: &Speakers<'_>) {
    let ip = |line: &str| drop(bgp.world.sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
    ip("-n host3 link add br0 type bridge");
    ip("-n host3 link set br0 addrgenmode none");
    ip("-n host3 link add vx0 type vxlan id 100 local 10.9.0.3 dstport 4789 nolearning");
    ip("-n host3 link set vx0 addrgenmode none master br0");
    ip("-n host3 link set vx0 type bridge_slave learning off");
    ip("netns add far");
    ip(&format!("-n host3 link add far0 type veth peer name eth0 address {FAR} netns far"));
    ip("-n host3 link set far0 addrgenmode none master br0");
    for link in ["br0", "vx0", "far0"] {
        ip(&format!("-n host3 link set {link} mtu 1450 up"));
    }
    ip("-n far addr add 10.100.1.3/16 dev eth0");
    ip("-n far link set eth0 mtu 1450 up");
}

/// zebra and bgpd on host 3, neighbours of hosts 1 and 2.
fn start(bgp: &Speakers<'_>) -> [Process; 2] {
    let folder = std::path::Path::new("/run/frr");
    std::fs::create_dir_all(folder).unwrap();
    let text = "router bgp 65000\n bgp router-id 10.9.0.3\n no bgp default ipv4-unicast\n \
                timers bgp 3 9\n \
                neighbor 10.9.0.1 remote-as 65000\n neighbor 10.9.0.1 timers connect 1\n \
                neighbor 10.9.0.2 remote-as 65000\n neighbor 10.9.0.2 timers connect 1\n \
                address-family l2vpn evpn\n  neighbor 10.9.0.1 activate\n  \
                neighbor 10.9.0.2 activate\n  advertise-all-vni\n exit-address-family\n";
    std::fs::write(folder.join("bgpd.conf"), text).unwrap();
    std::fs::write(folder.join("zebra.conf"), "hostname host3\n").unwrap();
    // They ask for a group, of which their user is to be; /etc is this test's own.
    let mut groups = std::fs::read_to_string("/etc/group").unwrap();
    groups += "frrvty:x:64999:root\n";
    std::fs::write("/etc/group", groups).unwrap();
    let of = |folder: &str| bgp.programs.join(folder).display().to_string();
    let libraries = ["usr/lib/x86_64-linux-gnu/frr", "usr/lib/x86_64-linux-gnu"].map(of).join(":");
    let run = |program: &str, further: &[&str]| {
        let (environment, program_file) =
            (format!("LD_LIBRARY_PATH={libraries}"), of(&format!("usr/lib/frr/{program}")));
        let (config, pid) = (format!("/run/frr/{program}.conf"), format!("/run/frr/{program}.pid"));
        let words = [&environment, &program_file, "-u", "root", "-g", "root", "-f", &config];
        let words = words.into_iter().chain(["-i", &pid, "-z", "/run/frr/zserv.api"]);
        let words: Vec<_> = words
            .chain(["--vty_socket", "/run/frr", "-P", "0", "--log", "stdout"])
            .chain(further.iter().copied())
            .collect();
        bgp.world.on(3, "env", &words)
    };
    let zebra = run("zebra", &[]);
    until("zebra listens", || folder.join("zserv.api").exists().then_some(()));
    [zebra, run("bgpd", &["-l", "10.9.0.3"])]
}

/// The end behind which host 3's kernel has an address.
fn behind(bgp: &Speakers<'_>, mac: &str) -> Option<String> {
    let said = bgp.world.on(3, "bridge", &["-j", "fdb", "show", "dev", "vx0"]).ended().ok().out;
    let rows: Value = serde_json::from_str(&said).unwrap();
    let row =
        rows.as_array().unwrap().iter().find(|row| row["mac"] == mac && row["dst"].is_string());
    row.map(|row| row["dst"].as_str().unwrap().to_owned())
}

#[test]
fn frr_peer() {
    bgp(3, |bgp| {
        kernel(bgp);
        let _frr = start(bgp);
        [1, 2].iter().for_each(|host| bgp.start(*host));
        let [one, two] = [1, 2].map(|host| bgp.lab(host));

        // What is said here is in the kernel there: types 2 and 3.
        for host in [1, 2] {
            let end = Some(format!("10.9.0.{host}"));
            until("host 3 has a node's row", || (behind(bgp, &mac(host)) == end).then_some(()));
        }
        until("host 3 floods to somebody", || behind(bgp, "00:00:00:00:00:00"));
        // And the other way: what its bridge has learned.
        let ping = |to: &str| {
            let args = ["netns", "exec", "far", "ping", "-c", "1", "-W", "1", to];
            bgp.world.on(3, "ip", &args).ended().code == Some(0)
        };
        until("far reaches n1", || ping("10.100.1.1").then_some(()));
        let far = (FAR.to_owned(), "10.9.0.3".to_owned());
        for lab in [&one, &two] {
            until("host 3's node is known", || bgp.world.rows(lab).contains(&far).then_some(()));
            assert!(bgp.world.rows(lab).contains(&super::flood(3)));
        }
        assert!(bgp.world.pings(2, "n2", "10.100.1.3"));

        // A node moves, and back.
        bgp.world.uswitch(1, &AT_WEB).ok();
        until("it is at host 1", || (behind(bgp, super::WEB)? == web(1).1).then_some(()));
        assert!(ping("10.100.7.7"));
        until("host 2 knows it", || bgp.world.rows(&two).contains(&web(1)).then_some(()));
        bgp.world.uswitch(2, &AT_WEB).ok();
        until("it is at host 2", || (behind(bgp, super::WEB)? == web(2).1).then_some(()));
        assert_eq!(bgp.said(1, 2).get(super::WEB), Some(&1));
        until("far reaches it there", || ping("10.100.7.7").then_some(()));
        until("host 1 knows it", || bgp.world.rows(&one).contains(&web(2)).then_some(()));
        bgp.world.uswitch(1, &["remove", "web"]).ok();
        bgp.world.uswitch(1, &AT_WEB).ok();
        until("it is at host 1", || (behind(bgp, super::WEB)? == web(1).1).then_some(()));
        assert_eq!(bgp.said(2, 1).get(super::WEB), Some(&2));
        until("far reaches it there", || ping("10.100.7.7").then_some(()));
    });
}
