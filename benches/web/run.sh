#!/bin/sh
# How soon the page of a lab is drawn, and what it costs after that, by Debian's Chromium: for labs of 5, 60
# and 1,000 nodes, idle, and with pings from up to 250 of their nodes twice a second. As root.
#
#   benches/web/run.sh [USWITCH [PYTHON]]     by default target/release/uswitch, target/playwright/bin/python
set -eu
here=$(cd "$(dirname "$0")" && pwd)
uswitch=$(realpath "${1:-target/release/uswitch}")
python=${2:-target/playwright/bin/python}
case $python in /*) ;; *) python=$PWD/$python ;; esac

if [ -z "${USWITCH_BENCH_WEB:-}" ]; then
    # A machine of its own: namespaces, /run and processes end with it.
    export USWITCH_BENCH_WEB=1
    exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
        sh "$0" "$uswitch" "$python"
fi
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
export HOME=${HOME:-/root}

look() {
    "$uswitch" web >/run/url 2>&1 &
    page=$!
    while ! grep -q '^http' /run/url; do sleep 0.1; done
    "$python" "$here/page.py" "$(head -n 1 /run/url)" "$1"
    grep VmHWM "/proc/$page/status" | sed 's/VmHWM:[^0-9]*/       uswitch web held at most /'
    kill "$page"
    wait "$page" || true
    : >/run/url
}

for nodes in 5 60 1000; do
    : >/run/url
    "$uswitch" up -n "$nodes" >/run/up 2>&1 || { cat /run/up; exit 1; }
    [ "$nodes" != 5 ] || echo ' nodes  drawn ms  painted ms  busy %  heap MiB'
    look "$nodes"
    for number in $(seq 1 $((nodes < 250 ? nodes : 250))); do
        ip netns exec "net$number" ping -q -i 0.5 10.100.0.1 >/run/ping 2>&1 &
    done
    sleep 2
    echo '   with traffic:'
    look "$nodes"
    "$uswitch" down >/run/down
done
