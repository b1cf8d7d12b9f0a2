#!/usr/bin/env bash
# Two hosts in namespaces at one cable, a node on each: the kernel's bridge and vxlan device beside
# uswitch's tunnel, without and with its fast path, in interleaved rounds; medians.
#
#   benches/hosts/run.sh [USWITCH [ROUNDS [SECONDS]]]     (target/release/uswitch, 5, 2)
#
# Takes root, iperf3, jq, Debian's etcd (target/etcd or installed) for the last row. All of it is in
# namespaces that end with it.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ -z "${USWITCH_BENCH_INSIDE:-}" ]; then
    export USWITCH_BENCH_INSIDE=1
    exec unshare -m -n -p -f --kill-child --mount-proc --propagation private "$0" "$@"
fi
program=$(readlink -f "${1:-$root/target/release/uswitch}")
rounds=${2:-5} seconds=${3:-2}
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/work
cd /run/work
export USWITCH_RUN_DIR=/run/uswitch
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

ip link set lo up
for host in 1 2; do
    ip netns add host$host
    ip -n host$host link set lo up
done
ip link add u1 netns host1 type veth peer name u2 netns host2
for host in 1 2; do
    ip -n host$host addr add 10.9.0.$host/24 dev u$host
    ip -n host$host link set u$host up
done

# `ip netns exec` would hide the labs' own namespaces from us.
# In the background the process is the program's own.
on() { local host=$1; shift; exec nsenter --net=/run/netns/host$host -- "$@"; }

# The kernel's own: a bridge, a vxlan device and a node's veth pair on each host.
kernel_up() {
    for host in 1 2; do
        other=$((3 - host))
        ip netns add k$host
        ip -n host$host link add br0 type bridge
        # A lab that was killed keeps the number until the kernel has cleaned up.
        for ((i = 0; i < 100; i++)); do
            ip -n host$host link add vx0 type vxlan id 100 dstport 4789 local 10.9.0.$host \
                remote 10.9.0.$other dev u$host 2>/dev/null && break
            sleep 0.05
        done
        ip -n host$host link add p0 mtu 1450 type veth peer name eth0 mtu 1450 netns k$host
        for link in vx0 p0; do ip -n host$host link set $link master br0 up; done
        ip -n host$host link set br0 up
        ip -n k$host addr add 10.100.0.$host/24 dev eth0
        ip -n k$host link set eth0 up
        ip -n k$host link set lo up
    done
    first=k1 second=k2
}
kernel_down() {
    for host in 1 2; do
        ip netns del k$host
        ip -n host$host link del vx0
        ip -n host$host link del br0
    done
}

# Waits until a lab, whose log and process these are, is ready.
ready() {
    until grep -q 'Ctrl-C undoes' "$1"; do
        kill -0 "$2" 2>/dev/null || { cat "$1" >&2; exit 1; }
        sleep 0.002
    done
}

# $1: --fast-path on or off. A lab on each host.
labs_up() {
    for host in 1 2; do
        other=$((3 - host))
        cat >lab$host.yaml <<LAB
networks:
  lan: {subnet: 10.100.0.0/24, gateway: false}
uplink: none
nodes:
  n$host: {network: "lan,10.100.0.$host"}
LAB
        : >log$host
        on $host "$program" run lab$host.yaml --name h$host --fast-path $1 \
            --join "vtep://10.9.0.$other?vni=100" --vtep 10.9.0.$host >log$host 2>&1 &
        pids[$host]=$!
    done
    for host in 1 2; do ready log$host "${pids[$host]}"; done
    first=h1-n1 second=h2-n2
}
labs_down() {
    for host in 1 2; do kill "${pids[$host]}"; done
    wait "${pids[1]}" "${pids[2]}" || true
}

measure() { # what
    for ((i = 0; i < 100; i++)); do
        ip netns exec $first ping -c 1 -W 1 10.100.0.2 >/dev/null 2>&1 && break
    done
    ip netns exec $second iperf3 -s -D -I /run/work/iperf.pid >/dev/null
    sleep 0.3
    for flows in 1 4; do
        bits=$(ip netns exec $first iperf3 -c 10.100.0.2 -t "$seconds" -O 0.5 -P $flows -J |
            jq '.end.sum_received.bits_per_second / 1e9')
        echo "tcp$flows $1 $bits" >>results
    done
    kill "$(tr -d '\0' <iperf.pid)"
    us=$(ip netns exec $first ping -f -q -c 20000 10.100.0.2 |
        sed -n 's|.*= [0-9.]*/\([0-9.]*\)/.*|\1|p')
    echo "flood $1 $(awk "BEGIN { print $us * 1000 }")" >>results
    sleep 0.2
}

for ((round = 0; round < rounds; round++)); do
    kernel_up; measure kernel; kernel_down
    labs_up off; measure off; labs_down
    labs_up on; measure on; labs_down
done

# 1,000 addresses of another host: `bridge -b` writes their rows; a lab joins the network that has
# them, and one that has none.
etcd=$root/target/etcd/usr/bin/etcd
[ -x "$etcd" ] || etcd=$(command -v etcd || true)
if [ -n "$etcd" ]; then
    on 1 "$etcd" --data-dir /run/work/etcd --listen-client-urls http://10.9.0.1:2379 \
        --advertise-client-urls http://10.9.0.1:2379 >/dev/null 2>&1 &
    for ((i = 0; i < 100; i++)); do
        (on 1 curl -sf -d '{"key":"AA=="}' http://10.9.0.1:2379/v3/kv/range) >/dev/null && break
        sleep 0.1
    done
    (on 1 python3 "$root/benches/hosts/fill.py" 10.9.0.1:2379 many 1000)
    (on 1 python3 "$root/benches/hosts/fill.py" 10.9.0.1:2379 none 0)
    for ((i = 1; i <= 1000; i++)); do
        printf 'fdb replace 02:00:0a:65:%02x:%02x dev vx0 dst 10.9.0.2 self static\n' \
            $((i / 256)) $((i % 256))
    done >rows
    cat >lab.yaml <<LAB
networks:
  lan: {subnet: 10.101.0.0/16, gateway: false}
uplink: none
nodes: {}
LAB
    sed -i 's/nodes: {}/nodes:\n  own: {network: "lan,10.101.200.1"}/' lab.yaml
    for ((round = 0; round < rounds; round++)); do
        ip -n host1 link add vx0 type vxlan id 7 dstport 4790 local 10.9.0.1 nolearning
        ip -n host1 link set vx0 up
        begun=$(date +%s%N)
        (on 1 bridge -b rows)
        echo "rows bridge $(((($(date +%s%N) - begun)) / 1000))" >>results
        ip -n host1 link del vx0
        for net in none many; do
            : >log
            begun=$(date +%s%N)
            on 1 "$program" run lab.yaml --name j --join etcd://10.9.0.1/$net \
                --vtep 10.9.0.1 --host-name one >log 2>&1 &
            pid=$!
            ready log $pid
            echo "ready $net $(((($(date +%s%N) - begun)) / 1000))" >>results
            kill $pid
            wait $pid || true
        done
    done
fi

echo "$(nproc) x $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r), $("$program" --version), $rounds rounds"
sort results | awk '
    function out() { printf "%s %s %s (%s to %s)\n", row, who, v[int((n + 1) / 2)], v[1], v[n] }
    { key = $1 " " $2 }
    key != last { if (n) { sort_v(); out() } n = 0; last = key; row = $1; who = $2 }
    { v[++n] = $3 }
    function sort_v(   i, j, t) {
        for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) {
            t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
        }
    }
    END { sort_v(); out() }'
