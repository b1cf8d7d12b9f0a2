#!/usr/bin/env bash
# TCP inside a VXLAN and without one, between two nodes and out through the NAT: by the kernel's bridge and
# nft, and by uswitch without and with the fast path, in turn. Gbit/s of one flow, a line each.
#
#     benches/tunnels/run.sh USWITCH [ROUNDS] [SECONDS]
#
# Takes root, iproute2, iperf3 and nft. All of it runs in namespaces of a private machine; no packet leaves it.
set -euo pipefail
if [ -z "${ALONE:-}" ]; then
    USWITCH=$(realpath "$1")
    export ALONE=1 USWITCH ROUNDS=${2:-5} SECONDS_EACH=${3:-2}
    exec unshare -m -n -p -f --kill-child --mount-proc --propagation private bash "$0"
fi
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up

# tunnel NAMESPACE REMOTE ADDRESS: an end of it.
tunnel() {
    ip -n "$1" link add vx type vxlan id 7 remote "$2" dstport 4789
    ip -n "$1" addr add "$3/24" dev vx
    ip -n "$1" link set vx up
}

# rate LABEL CLIENT SERVER ADDRESS
rate() {
    local port=$((20000 + RANDOM % 20000)) served
    ip netns exec "$2" ping -c 2 -i 0.2 -W 1 "$4" >/dev/null || true
    ip netns exec "$3" timeout $((SECONDS_EACH + 8)) iperf3 -s -1 -p $port >/dev/null 2>&1 &
    served=$!
    sleep 0.3
    ip netns exec "$2" timeout $((SECONDS_EACH + 6)) iperf3 -c "$4" -p $port -t "$SECONDS_EACH" -f g |
        awk -v label="$1" '/receiver/ { print label, $7 }' || echo "$1 failed"
    wait $served || true
}

bridge() {
    for n in sw k1 k2; do ip netns add $n; done
    ip -n sw link add bridge0 type bridge
    ip -n sw link set bridge0 up
    for n in 1 2; do
        ip -n sw link add port$n type veth peer name eth0 netns k$n
        ip -n sw link set port$n master bridge0 up
        ip -n k$n addr add 10.1.0.$n/24 dev eth0
        ip -n k$n link set eth0 up
        tunnel k$n 10.1.0.$((3 - n)) 10.2.0.$n
    done
    rate bridge k1 k2 10.1.0.2
    rate bridge-vxlan k1 k2 10.2.0.2
    for n in sw k1 k2; do ip netns del $n; done
}

nft_nat() {
    for n in router k1 world; do ip netns add $n; done
    ip -n router link add inside type veth peer name eth0 netns k1
    ip -n router link add outside type veth peer name eth0 netns world
    ip -n router addr add 10.1.0.254/24 dev inside
    ip -n router addr add 203.0.113.2/24 dev outside
    ip -n k1 addr add 10.1.0.1/24 dev eth0
    ip -n world addr add 203.0.113.1/24 dev eth0
    for link in "router inside" "router outside" "k1 eth0" "world eth0"; do
        ip -n "${link% *}" link set "${link#* }" up
    done
    ip -n k1 route add default via 10.1.0.254
    ip netns exec router sysctl -qw net.ipv4.ip_forward=1
    ip netns exec router nft -f - <<'RULES'
table ip nat {
    chain out { type nat hook postrouting priority 100; oifname outside masquerade; }
    chain in { type nat hook prerouting priority -100; iifname outside udp dport 4789 dnat to 10.1.0.1; }
}
RULES
    tunnel k1 203.0.113.1 10.2.0.1
    tunnel world 203.0.113.2 10.2.0.2
    rate nft k1 world 203.0.113.1
    rate nft-vxlan k1 world 10.2.0.2
    for n in router k1 world; do ip netns del $n; done
}

# ours on|off
ours() {
    "$USWITCH" up -n 2 --fast-path "$1" -p 4789:net1:4789/udp >/dev/null
    for n in 1 2; do tunnel net$n 10.100.0.$((3 - n))0 10.2.0.$n; done
    rate "fast-path-$1" net1 net2 10.100.0.20
    rate "fast-path-$1-vxlan" net1 net2 10.2.0.2
    ip -n net1 link del vx
    tunnel net1 203.0.113.1 10.2.0.1
    tunnel inet 203.0.113.2 10.2.0.2
    rate "fast-path-$1-nat" net1 inet 203.0.113.1
    rate "fast-path-$1-nat-vxlan" net1 inet 10.2.0.2
    "$USWITCH" down >/dev/null
}

for _ in $(seq "$ROUNDS"); do
    bridge
    ours off
    nft_nat
    ours on
done | sort
