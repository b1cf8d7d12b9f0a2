#!/usr/bin/env bash
# A cross-check by somebody else's load generator: iperf3 between two namespaces, through the
# kernel's bridge and through uswitch in turn, with 1 and with 4 flows. As root, on a quiet machine,
# after `cargo build --release`:
#
#     benches/peers/iperf3.sh [ROUNDS] [SECONDS]
#
# It has a mount and a network namespace of its own, so that nothing is seen on the host. Prints the
# medians and the extremes in Gbit/s, as iperf3's receiver counts them, and the ratio.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [[ -z ${USWITCH_APART:-} ]]; then
    USWITCH_APART=1 exec unshare --mount --net "$0" "$@"
fi
mount -t tmpfs tmpfs /run
rounds=${1:-3} seconds=${2:-4}
flows=(1 4)
uswitch=target/release/uswitch
results=$(mktemp)
trap 'rm -f "$results"; $uswitch down >/dev/null 2>&1' EXIT

linux_bridge() {
    local node
    ip netns add bridge
    ip -n bridge link add br0 type bridge forward_delay 0
    ip -n bridge link set br0 up
    for node in 1 2; do
        ip netns add net$node
        ip -n net$node link add vethpeer$node type veth peer veth$node netns bridge
        ip -n net$node addr add 10.100.0.${node}0/16 dev vethpeer$node
        ip -n net$node link set vethpeer$node up
        ip -n bridge link set veth$node master br0 up
    done
}

# once FORWARDER FLOWS: one run between the nodes there are; a line of the results.
once() {
    local server gbits
    ip netns exec net2 iperf3 --server --one-off >/dev/null &
    server=$!
    until [[ -n $(ip netns exec net2 ss -Hltn 'sport = 5201') ]]; do sleep 0.05; done
    gbits=$(ip netns exec net1 iperf3 --client 10.100.0.20 --time "$seconds" --parallel "$2" \
        --format g | awk '/receiver/ { gbits = $(NF - 2) } END { print gbits }')
    wait "$server"
    echo "$1 $2 $gbits" >>"$results"
}

for ((round = 0; round < rounds; round++)); do
    linux_bridge
    for n in "${flows[@]}"; do once bridge "$n"; done
    for name in net1 net2 bridge; do ip netns del "$name"; done
    $uswitch up --uplink none >/dev/null
    for n in "${flows[@]}"; do once uswitch "$n"; done
    $uswitch down >/dev/null
done

printf '%s, %s cores, Linux %s, %s, commit %s, %s; %d rounds of %d s\n\n' \
    "$(grep -m1 -o 'model name.*' /proc/cpuinfo | cut -d: -f2 | xargs)" "$(nproc)" "$(uname -r)" \
    "$(iperf3 --version | head -n 1 | cut -d' ' -f1,2)" "$(git rev-parse --short HEAD)" \
    "$(date -u '+%F %H:%M UTC')" "$rounds" "$seconds"
echo '| flows | Linux bridge | uswitch | ratio |'
echo '|---|---:|---:|---:|'
# of FORWARDER FLOWS: its results, from the least to the most.
of() { awk -v name="$1" -v flows="$2" '$1 == name && $2 == flows { print $3 }' "$results" | sort -n; }
for n in "${flows[@]}"; do
    paste <(of bridge "$n") <(of uswitch "$n") | awk -v flows="$n" '
        { bridge[NR] = $1; own[NR] = $2 }
        END {
            middle = int((NR + 1) / 2)
            printf "| %d | %.1f (%.1f to %.1f) | %.1f (%.1f to %.1f) | %.2f |\n", flows,
                bridge[middle], bridge[1], bridge[NR], own[middle], own[1], own[NR],
                own[middle] / bridge[middle]
        }'
done
