#!/usr/bin/env bash
# Many containers on many networks: how long they take to come, what memory `uswitch serve` has then, how
# long it takes to serve again after a SIGKILL, what it uses of a core while nothing is sent. Containers are
# namespaces, brought by the CNI plugin without a plugin for addresses, each with a published port. As root,
# after `cargo build --release`:
#
#     benches/containers/many.sh [CONTAINERS [NETWORKS [BINARY]]]
#
# All of it stands in a mount and a network namespace of its own. Prints a line a figure.
set -euo pipefail
cd "$(dirname "$0")/../.."
containers=${1:-200} networks=${2:-20} binary=$(readlink -f "${3:-target/release/uswitch}")
if [[ ${INSIDE:-} != yes ]]; then
    INSIDE=yes exec unshare --mount --net --propagation private "$0" "$containers" "$networks" "$binary"
fi

printf '%s, %s cores, Linux %s, %s: %d containers on %d networks\n' \
    "$(grep -m1 -o 'model name.*' /proc/cpuinfo | cut -d: -f2 | xargs)" \
    "$(nproc)" "$(uname -r)" "$(date +%F)" "$containers" "$networks"
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/bin /run/state
ln -s "$binary" /run/bin/uswitch
ip link set lo up
ip netns add world
ip link add eth0 type veth peer name w0 netns world
ip addr add 198.51.100.2/24 dev eth0
ip link set eth0 up
ip -n world addr add 198.51.100.1/24 dev w0
ip -n world link set w0 up
ip route add default via 198.51.100.1

now() { echo $(($(date +%s%N) / 1000000)); }
begin() {
    : >/run/serve.log
    /run/bin/uswitch serve --docker none --state /run/state >>/run/serve.log 2>&1 &
    serve=$!
    until grep -q '^serving' /run/serve.log; do
        kill -0 $serve 2>/dev/null || { cat /run/serve.log; exit 1; }
        sleep 0.01
    done
}
trap 'kill $serve 2>/dev/null; wait $serve 2>/dev/null || true' EXIT

conf() {
    local of=$1 at=$2 port=$3
    printf '{"cniVersion":"1.0.0","name":"n%d","type":"uswitch","capabilities":{"ips":true,"portMappings":true},
        "runtimeConfig":{"ips":["10.%d.0.%d/16"],
        "portMappings":[{"hostPort":%d,"containerPort":80,"protocol":"tcp"}]}}' "$of" $((100 + of)) "$at" "$port"
}
plugin() {
    CNI_COMMAND=$1 CNI_CONTAINERID=c$2 CNI_IFNAME=eth0 CNI_NETNS=/run/netns/c$2 CNI_PATH=/run/bin \
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAME=c$2" /run/bin/uswitch \
        < <(conf $(($2 % networks)) $((2 + $2 / networks)) $((8000 + $2))) >/run/told ||
        { cat /run/told; exit 1; }
}
for ((i = 0; i < containers; i++)); do ip netns add "c$i"; done

begin
printf 'serve alone          %8d KiB\n' "$(awk '/VmRSS/ { print $2 }' /proc/$serve/status)"
began=$(now)
for ((i = 0; i < containers; i++)); do
    each=$(now)
    plugin ADD "$i"
    times[i]=$(($(now) - each))
done
printf 'all of them came in  %8d ms; one ADD (median) %d ms\n' $(($(now) - began)) \
    "$(printf '%s\n' "${times[@]}" | sort -n | sed -n $((containers / 2))p)"
printf 'with all of them     %8d KiB, %d threads, %d descriptors\n' \
    "$(awk '/VmRSS/ { print $2 }' /proc/$serve/status)" "$(ls /proc/$serve/task | wc -l)" \
    "$(ls /proc/$serve/fd | wc -l)"
reach() { ip netns exec c$1 ping -q -c 1 -W 5 10.$((100 + $2)).0.2 >/dev/null; }
reach $((containers - 1)) $(((containers - 1) % networks))

ticks() { awk '{ print $14 + $15 }' /proc/$serve/stat; }
sleep 5
before=$(ticks)
sleep 10
printf 'idle                 %8.2f %% of a core\n' "$(awk -v n=$(($(ticks) - before)) \
    -v hz="$(getconf CLK_TCK)" 'BEGIN { print n / hz / 10 * 100 }')"

for turn in 1 2 3; do
    kill -KILL $serve
    wait $serve 2>/dev/null || true
    began=$(now)
    begin
    printf 'after SIGKILL, %d     %8d ms until it serves\n' $turn $(($(now) - began))
    reach $((containers - 1)) $(((containers - 1) % networks))
    [[ -z ${LOG:-} ]] || cat /run/serve.log
done
began=$(now)
for ((i = 0; i < containers; i++)); do plugin DEL "$i"; done
printf 'all of them went in  %8d ms\n' $(($(now) - began))
