#!/usr/bin/env bash
# What `uswitch run -n N --uplink none --check` does, by the machine's own programs: namespaces,
# veths, a bridge, addresses, routes, one ping from each node to the next, and all of it undone.
#
#     sudo unshare --mount --net benches/startup/by-ip.sh N [batch]
#
# `batch` gives `ip` all requests of a namespace at once, as a careful script would.
set -euo pipefail
nodes=$1 mode=${2:-plain}
mount -t tmpfs tmpfs /run
trap 'for ((i = 1; i <= nodes; i++)); do ip netns del "net$i"; done; ip netns del hub' EXIT

# The walkthrough's addresses (lab/src/address.rs).
address() {
    local k=$(($1 - 26))
    if (($1 <= 25)); then echo "10.100.0.$((10 * $1))"; else echo "10.100.$((1 + k / 254)).$((1 + k % 254))"; fi
}

ip netns add hub
ip -n hub link add br0 type bridge forward_delay 0
ip -n hub addr add 10.100.0.1/16 dev br0
ip -n hub link set br0 up
for ((i = 1; i <= nodes; i++)); do
    ip netns add "net$i"
    at=$(address "$i")
    outside=("link add veth$i type veth peer vethpeer$i netns net$i" "link set veth$i master br0 up")
    inside=("link set lo up" "addr add $at/16 dev vethpeer$i" "link set vethpeer$i up"
        "route add default via 10.100.0.1")
    if [[ $mode == batch ]]; then
        printf '%s\n' "${outside[@]}" | ip -n hub -b -
        printf '%s\n' "${inside[@]}" | ip -n "net$i" -b -
    else
        for line in "${outside[@]}"; do ip -n hub $line; done
        for line in "${inside[@]}"; do ip -n "net$i" $line; done
    fi
done
pings=()
for ((i = 1; i <= nodes; i++)); do
    ip netns exec "net$i" ping -q -n -c 1 -W 2 "$(address $((i % nodes + 1)))" >/dev/null &
    pings+=($!)
done
for ping in "${pings[@]}"; do wait "$ping" || { echo "a ping was not answered" >&2; exit 1; }; done
