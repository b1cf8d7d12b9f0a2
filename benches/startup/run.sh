#!/usr/bin/env bash
# How long a lab takes from nothing to checked and undone again, beside a script of `ip` commands
# that does the same. As root, on a quiet machine, after `cargo build --release`:
#
#     benches/startup/run.sh [TURNS] [NODES...]
#
# Each turn has a mount and a network namespace of its own, so that nothing is seen on the host.
# Prints the median and the extremes, in milliseconds.
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-9}
shift || true
sizes=("$@")
((${#sizes[@]})) || sizes=(2 100)

# timed NAME COMMAND...: every turn of it; the statistics in one line.
timed() {
    local name=$1 times=() begun i
    shift
    for ((i = 0; i < turns; i++)); do
        begun=$(date +%s%N)
        unshare --mount --net "$@" >/dev/null || { echo "$name: failed"; return 1; }
        times+=($((($(date +%s%N) - begun) / 10000)))
    done
    printf '%s\n' "${times[@]}" | sort -n | awk -v name="$name" '{ t[NR] = $1 / 100 } END {
        printf "%-34s median %9.2f   least %9.2f   most %9.2f ms\n", name, t[int((NR + 1) / 2)], t[1], t[NR] }'
}

printf '%s, %s cores, Linux %s, %s, %d turns\n' \
    "$(grep -m1 -o 'model name.*' /proc/cpuinfo | cut -d: -f2 | xargs)" \
    "$(nproc)" "$(uname -r)" "$(date +%F)" "$turns"
own=(sh -c 'mount -t tmpfs tmpfs /run && exec target/release/uswitch "$@"' uswitch)
for n in "${sizes[@]}"; do
    timed "uswitch run -n $n --check" "${own[@]}" run -n "$n" --check
    timed "uswitch run -n $n, no uplink" "${own[@]}" run -n "$n" --uplink none --check
    timed "ip, $n nodes" benches/startup/by-ip.sh "$n"
    timed "ip -batch, $n nodes" benches/startup/by-ip.sh "$n" batch
done
