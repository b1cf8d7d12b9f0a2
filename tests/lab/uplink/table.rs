//! Where no BPF program may be loaded (here: root of a user namespace, with all that is the
//! host's inside it) an nftables table keeps the stack silent.

use std::path::Path;

use super::host::{MAKE, PATIENCE, on_a_host};
use crate::support::{As, Process, rootless};

/// Sets a host up (the provider counts resets of the host's own stack, which a node's are told from
/// by their time to live), shares its address under load, kills the lab; each word is checked for below.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs tmpfs /mnt
touch /mnt/uswitch
mount --bind "$0" /mnt/uswitch
mount -t tmpfs tmpfs /run
ip link set lo up
MAKE
/mnt/uswitch run --uplink auto >/run/out 2>/run/err &
lab=$!
i=0
until grep -q 'Ctrl-C undoes' /run/out; do
    i=$((i + 1)); [ $i -lt 600 ] || { cat /run/out /run/err; exit 1; }
    sleep 0.05
done
grep -o 'nftables table' /run/out
nft list tables
ip netns exec isp nft '
    add table ip seen
    add chain ip seen in { type filter hook prerouting priority 0; }
    add rule ip seen in ip saddr 192.0.2.2 ip ttl 64 tcp flags & rst == rst counter
    add rule ip seen in ip saddr 192.0.2.2 icmp type destination-unreachable counter'
ip netns exec server iperf3 -s -1 -D
i=0
until ip netns exec net1 iperf3 -c 8.8.8.8 -n 64M >/run/iperf 2>&1; do
    i=$((i + 1)); [ $i -lt 100 ] || { cat /run/iperf; exit 1; }
    sleep 0.05
done
grep -c receiver /run/iperf
ping -c 3 -i 0.2 -W 5 8.8.8.8 | grep -o '3 received'
# Datagrams in fragments, to a node and then to the host itself: what the stack put together.
fragments() { awk '/^Ip: [0-9]/ {print $15}' /proc/net/snmp; }
large() {
    i=0
    # Where iperf's first datagram finds no server yet both wait for ever.
    until ip netns exec server iperf3 -s -1 -D && sleep 0.2 &&
        timeout 10 "$@" iperf3 -c 8.8.8.8 -R -u -l 20000 -b 40M -n 2M >/run/iperf 2>&1; do
        i=$((i + 1)); [ $i -lt 8 ] || { cat /run/iperf; exit 1; }
    done
}
before=$(fragments)
large ip netns exec net1
echo "of the NAT: $(($(fragments) - before))"
large
echo "of the host: $(($(fragments) - before))"
echo "silent: $(ip netns exec isp nft list table ip seen | grep -c 'counter packets 0')"
kill -KILL $lab
wait $lab || true
i=0
until [ -z "$(nft list tables)" ]; do
    i=$((i + 1)); [ $i -lt 600 ] || { echo 'the table stays'; exit 1; }
    sleep 0.05
done
/mnt/uswitch down >/dev/null
echo "reserved: $(cat /proc/sys/net/ipv4/ip_local_reserved_ports)."
"#;

#[test]
fn without_bpf_an_nftables_table_does() {
    rootless(|sandbox| {
        let binary = sandbox.uswitch_command(&[]).get_args().last().unwrap().to_owned();
        let mut command = sandbox.command(As::User, Path::new("unshare"));
        command.args(["--user", "--map-root-user", "--net", "--mount", "--kill-child", "--fork"]);
        command.args(["sh", "-c", &SCRIPT.replace("MAKE\n", MAKE)]).arg(binary);
        let ended = Process::start(command, "a host without BPF").ended_within(4 * PATIENCE).ok();
        for word in [
            "nftables table\n",
            "table netdev uswitch-",
            "3 received",
            "of the NAT: 0\n",
            "silent: 2\n",
            "reserved: .",
        ] {
            assert!(ended.out.contains(word), "no {word:?} in:\n{}", ended.out);
        }
        let own = ended.out.lines().find_map(|line| line.strip_prefix("of the host: ")).unwrap();
        assert!(own.parse::<u32>().unwrap() >= 1400, "the host lost fragments: {}", ended.out);
    });
}

#[test]
fn with_bpf_there_is_no_table() {
    on_a_host(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        let run = super::lab(sandbox, &["run", "--uplink", "auto"]);
        assert!(run.out().contains("(tcx)"), "{}", run.out());
        assert_eq!(sandbox.tool("nft", &["list", "tables"]), "");
        super::end(run);
    });
}
