//! Ports of the block that the host forwards to others: refused by name, at start and by `publish`.

use super::host::{end, lab, on_a_host, sh};
use super::refused::refused;
use crate::support::Sandbox;

/// Each makes the host forward a port of the block, in the chain `pre`; where, as it is told.
const RULES: [(&str, &str); 13] = [
    ("iifname eth0 tcp dport 25000 dnat to 172.17.0.2:80", "port 25000/tcp # to 172.17.0.2:80"),
    ("udp dport { 53, 25001 } dnat to 172.17.0.2", "port 25001/udp # to 172.17.0.2"),
    ("tcp dport 24990-25010 redirect to :8080", "port 24990/tcp # to port 8080 of this host"),
    ("meta l4proto { tcp, udp } th dport 25002 dnat to 172.17.0.2", "port 25002/tcp #"),
    ("ip daddr 192.0.2.2 udp dport 25003 dnat to 172.17.0.2:53", "port 25003/udp #"),
    ("ip daddr 192.0.2.0/24 tcp dport != 80 dnat to 172.17.0.2", "port 20000/tcp #"),
    (
        "dnat to tcp dport map { 80 : 172.17.0.3, 25004 : 172.17.0.2 }",
        "port 25004/tcp # to 172.17.0.2",
    ),
    ("dnat ip to tcp dport map { 25005 : 172.17.0.2 . 80 }", "port 25005/tcp # to 172.17.0.2:80"),
    ("meta mark 7 tcp dport 25006 ct state new dnat to 172.17.0.2", "port 25006/tcp #"),
    ("ip protocol tcp tcp dport >= 29999 redirect", "port 29999/tcp #"),
    ("iifname \"eth*\" tcp dport @named dnat to 172.17.0.2:80", "port 25007/tcp #"),
    ("ip daddr . tcp dport { 192.0.2.2 . 25008 } dnat to 172.17.0.2", "port 25008/tcp #"),
    ("iifname eth0 dnat to 172.17.0.2", "port 20000/tcp # to 172.17.0.2"),
];

/// None of these is about the block, the address or the interface.
const OTHERS: &str = "
    tcp dport 8080 dnat to 172.17.0.2:80
    iifname docker0 tcp dport 25000 dnat to 172.17.0.2:80
    iifname != eth0 udp dport 25000 redirect to :53
    ip daddr 192.0.2.3 tcp dport 25000 dnat to 172.17.0.2
    ip daddr != 192.0.2.2 dnat to 172.17.0.2
    tcp dport { 80, 443, 19000-19999 } dnat to 172.17.0.2
    tcp dport != 20000-29999 redirect to :80
    ip daddr . tcp dport { 192.0.2.3 . 25008 } dnat to 172.17.0.2
    meta mark 7 dnat to 172.17.0.2
    ip saddr { 10.0.0.1, 10.0.0.2 } redirect
    ip daddr { 10.96.0.1, 10.96.0.10 } dnat to 172.17.0.2
    ip protocol sctp dnat to 172.17.0.2
    tcp dport 25000 counter accept
    tcp dport vmap { 80 : jump away, 25000 : accept }
";

fn chain(rules: &str) -> String {
    format!(
        "table ip dn {{
            set named {{ type inet_service; flags interval; elements = {{ 80, 25007-25009 }} }}
            chain away {{
                dnat to 172.17.0.2
            }}
            chain pre {{
                type nat hook prerouting priority dstnat;
                {rules}
            }}
            chain out {{
                type nat hook output priority -100;
                tcp dport 25000 dnat to 127.0.0.1
            }}
        }}"
    )
}

fn load(sandbox: &Sandbox, rules: &str) {
    sh(sandbox, &format!("nft flush ruleset; nft -f - <<'END'\n{}\nEND", chain(rules)));
}

#[test]
fn a_port_of_the_block_that_the_host_forwards_is_refused_by_name() {
    on_a_host(|sandbox| {
        for (rule, told) in RULES {
            load(sandbox, rule);
            let told = told.replace('#', "is forwarded by table ip dn chain pre");
            let words = ["eth0", &told, "choose another block with --uplink-ports"];
            refused(sandbox, &["--uplink", "eth0"], 1, &words);
        }
        load(sandbox, OTHERS);
        sandbox.uswitch(&["run", "--check", "--uplink", "eth0"]).ok();
        // Another block, another table, a chain that is jumped to.
        load(sandbox, RULES[0].0);
        let elsewhere = ["run", "--check", "--uplink", "eth0", "--uplink-ports", "26000-26999"];
        sandbox.uswitch(&elsewhere).ok();
        sh(
            sandbox,
            "nft flush ruleset; nft -f - <<'END'
             table inet services {
                 map ports { type inet_service : verdict; elements = { 22000 : goto web }; }
                 chain web {
                     udp dport != 53 dnat ip to 172.17.0.9:8000
                 }
                 chain pre {
                     type nat hook prerouting priority -110;
                     udp dport vmap @ports
                 }
             }\nEND",
        );
        let words =
            "port 22000/udp is forwarded by table inet services chain web to 172.17.0.9:8000";
        refused(sandbox, &["--uplink", "eth0"], 1, &[words]);
    });
}

#[test]
fn a_port_that_the_host_forwards_since_is_not_published() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        load(sandbox, RULES[0].0);
        let ended = sandbox.uswitch(&["publish", "25000:net1:80"]);
        let line = ended.complaint(1);
        let told = "port 25000/tcp is forwarded by table ip dn chain pre to 172.17.0.2:80: publish \
                    another";
        assert!(line.contains(told), "{line}");
        sandbox.uswitch(&["publish", "25000:net1:80/udp"]).ok();
        sandbox.uswitch(&["publish", "25001:net1:80"]).ok();
        end(run);
    });
}
