//! The real podman as root: 4.3 of bookworm, which starts us as a plugin of CNI, and 5.4 of trixie, which
//! starts us as a driver of netavark's. What holds of both is one test, run for each.

use std::time::{Duration, Instant};

use crate::machine::{Machine, PATIENCE, eventually, on};
use crate::support::Process;

/// podman's settings. crun refuses a hybrid of both versions of cgroups.
const SETTINGS: &str = r#"
mkdir -p /etc/containers /etc/cni/net.d /opt/plugins
cat >/etc/containers/containers.conf <<EOF
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "$BACKEND"
cni_plugin_dirs = ["/usr/lib/cni", "/opt/plugins"]
netavark_plugin_dirs = ["/opt/plugins"]
EOF
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
printf '[storage]\ndriver="overlay"\nrunroot="/run/storage"\ngraphroot="/tmp/storage"\n' >/etc/containers/storage.conf
ln -s /uswitch/uswitch /opt/plugins/uswitch
tar -C /tmp/image -c . | podman import - box >/dev/null 2>&1
"#;

/// A container that sleeps, and one that serves a page; they end at once when told.
pub(crate) const SLEEP: &str = "box sh -c 'trap exit TERM; sleep 100000 & wait'";
pub(crate) const SERVE: &str =
    "box sh -c 'echo hello >/index.html; trap exit TERM; httpd -f -p 80 & wait'";

/// A machine on which podman and we run.
pub(crate) struct Podman<'m> {
    pub(crate) machine: &'m Machine,
    backend: &'static str,
    serve: Option<Process>,
}

/// The suite whose podman has netavark with plugins: trixie, or `USWITCH_TEST_SUITE` where that is another.
pub(crate) fn suite() -> String {
    let named = std::env::var("USWITCH_TEST_SUITE").ok();
    named.filter(|suite| suite != "bookworm").unwrap_or_else(|| "trixie".into())
}

pub(crate) fn podman(suite: &str, backend: &'static str, test: impl FnOnce(&mut Podman<'_>)) {
    alone(suite, backend, |podman| {
        podman.serve();
        test(podman);
        podman.end();
    });
}

/// The same where nobody serves.
pub(crate) fn alone(suite: &str, backend: &'static str, test: impl FnOnce(&mut Podman<'_>)) {
    on(suite, "podman", |machine| {
        let mut podman = Podman { machine, backend, serve: None };
        podman.sh(&format!("BACKEND={backend}\n{SETTINGS}"));
        test(&mut podman);
    });
}

impl Podman<'_> {
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        self.machine.sh(line)
    }

    pub(crate) fn serve(&mut self) {
        self.serve = Some(self.machine.serve());
    }

    pub(crate) fn kill(&mut self) {
        self.machine.kill(self.serve.take().unwrap());
    }

    /// Makes a network.
    pub(crate) fn network(&self, name: &str, prefix: &str) {
        if self.backend == "netavark" {
            self.sh(&format!("podman network create -d uswitch --subnet {prefix}.0/24 {name}"));
            return;
        }
        self.sh(&format!(
            r#"cat >/etc/cni/net.d/50-{name}.conflist <<EOF
{{"cniVersion": "1.0.0", "name": "{name}", "plugins": [{{"type": "uswitch",
 "capabilities": {{"portMappings": true, "ips": true, "mac": true, "aliases": true}},
 "ipam": {{"type": "host-local", "ranges": [[{{"subnet": "{prefix}.0/24", "gateway": "{prefix}.1"}}]],
  "routes": [{{"dst": "0.0.0.0/0"}}]}}}}]}}
EOF"#
        ));
    }

    #[track_caller]
    pub(crate) fn run(&self, options: &str, what: &str) {
        self.sh(&format!("podman run -d --cap-add NET_RAW {options} {what}"));
    }

    /// Asserts that a container reaches an address or a name, or does not.
    #[track_caller]
    pub(crate) fn reaches(&self, container: &str, to: &str, reached: bool) {
        let line = format!("podman exec {container} ping -c 1 -W 3 {to}");
        let ended = self.machine.try_sh(&line);
        assert_eq!(ended.code == Some(0), reached, "{line}:\n{}{}", ended.out, ended.err);
    }

    /// Waits until a port of the host leads to the page.
    #[track_caller]
    pub(crate) fn serves(&self, from: &str, at: &str) {
        let get = || self.machine.try_sh(&format!("{from} timeout 3 get {at}")).out;
        eventually(at, || (get() == "hello\n").then_some(()));
    }

    /// Waits until a server that a plugin has started is gone, and with it all that was made.
    #[track_caller]
    pub(crate) fn is_gone(&self) {
        let left = "ip -o link show | grep ': us'; ls -A /run/uswitch /var/lib/uswitch/networks; \
                    cut -d' ' -f2 /proc/self/mounts | grep uswitch | grep -vx /uswitch; \
                    cat /proc/sys/net/ipv4/ip_local_reserved_ports; \
                    ls /run/docker/plugins; ss -Hlntup";
        let limit = Instant::now() + PATIENCE;
        loop {
            let found = self.machine.try_sh(left).out;
            if found.lines().all(|line| line.is_empty() || line.ends_with(':')) {
                return;
            }
            assert!(Instant::now() < limit, "left:\n{found}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All containers go; nothing of ours is left on the host.
    pub(crate) fn end(&mut self) {
        self.sh("podman ps -aq | xargs -r podman rm -f -t 1 >/dev/null");
        let links = self.sh("ip -o link show | grep -E ': us[0-9a-f]{10}' || true");
        assert_eq!(links, "");
        assert_eq!(
            self.sh(
                "ls /var/lib/uswitch/networks /run/uswitch/serve/endpoints | grep -v : || true"
            )
            .trim(),
            ""
        );
        self.sh("kill $(cat /run/serve.pid)");
        assert_eq!(self.serve.take().unwrap().ended().code, Some(0));
        self.sh("uswitch serve --clean");
        assert_eq!(self.sh("ls -A /run/uswitch 2>/dev/null || true"), "");
    }
}

fn containers_live(podman: &mut Podman<'_>) {
    podman.network("lab", "10.92.0");
    podman.network("two", "10.93.0");
    let asked = "--network lab:alias=www,ip=10.92.0.77,mac=02:00:00:00:07:07";
    podman.run(&format!("--name web {asked} -p 8080:80"), SERVE);
    podman.run("--name db --network lab", SLEEP);
    podman.run("--name other --network two", SLEEP);
    for to in ["www", "web", "10.92.0.77", "10.92.0.1", "198.51.100.2", "203.0.113.9"] {
        podman.reaches("db", to, true);
    }
    for to in ["other", "10.93.0.2"] {
        podman.reaches("db", to, false);
    }
    podman.sh("ping -c 1 -W 3 10.92.0.77");
    let table = podman.sh("uswitch show");
    assert!(table.contains("02:00:00:00:07:07") && table.contains("other"), "{table}");
    let from = ["", "ip netns exec world"];
    for (from, at) in [
        (from[0], "127.0.0.1 8080"),
        (from[0], "198.51.100.2 8080"),
        (from[1], "198.51.100.2 8080"),
    ] {
        podman.serves(from, at);
    }
    assert!(podman.sh("podman port web").contains("0.0.0.0:8080"));
    // What podman holds for one container is not another's, and the other leaves nothing.
    let taken = podman.machine.try_sh(&format!("podman run --network lab -p 8080:80 {SERVE}"));
    assert!(taken.code != Some(0) && taken.err.contains("address already in use"), "{}", taken.err);
    podman.sh("podman rm -f -t 1 $(podman ps -aq --filter status=created) || true");
    podman.sh("podman restart -t 1 web");
    podman.serves("", "127.0.0.1 8080");
    podman.reaches("db", "www", true);
    // A second network, live: names and addresses of both, and the port goes on.
    podman.sh("podman network connect two web");
    podman.reaches("web", "other", true);
    podman.serves("", "127.0.0.1 8080");
    podman.sh("podman network disconnect two web");
    podman.reaches("web", "other", false);
    podman.serves("", "127.0.0.1 8080");
    // The server is killed; the next one goes on, with the ports too.
    podman.kill();
    podman.serve();
    podman.reaches("db", "www", true);
    podman.serves("", "198.51.100.2 8080");
    podman.sh("podman stop -t 1 web");
    assert!(podman.machine.try_sh("get 127.0.0.1 8080").code != Some(0));
    podman.sh("podman start web");
    podman.serves("", "127.0.0.1 8080");
}

#[test]
fn containers_of_podman_with_cni() {
    podman("bookworm", "cni", containers_live);
}

#[test]
fn containers_of_podman_with_netavark() {
    podman(&suite(), "netavark", |podman| {
        containers_live(podman);
        // teardown and setup with the same data; a link that somebody has taken is put back before that.
        podman.sh("podman network reload web");
        podman.serves("", "127.0.0.1 8080");
        let cut = "nsenter -t $(podman inspect -f '{{.State.Pid}}' web) -n ip link del eth0";
        podman.sh(cut);
        eventually("the link", || {
            let ping = podman.machine.try_sh("podman exec db ping -c 1 -W 1 10.92.0.77");
            ping.code.filter(|code| *code == 0)
        });
        podman.serves("", "127.0.0.1 8080");
        podman.sh("podman network reload web");
        podman.reaches("db", "www", true);
        // A network without a subnet of its own choice, its MTU, and one without a way out.
        podman.sh("podman network create -d uswitch -o mtu=1400 three");
        podman.sh("podman network create -d uswitch --internal --subnet 10.96.0.0/24 closed");
        podman.run("--name far --network three", SLEEP);
        podman.run("--name in --network closed", SLEEP);
        assert!(podman.sh("podman exec far ip link show eth0").contains("mtu 1400"));
        podman.reaches("far", "203.0.113.9", true);
        podman.reaches("in", "203.0.113.9", false);
        podman.reaches("in", "10.96.0.1", true);
        let wrong =
            podman.machine.try_sh("podman network create -d uswitch -o uswitch.nonsense=1 x");
        assert!(wrong.code != Some(0) && wrong.err.contains("no such option"), "{}", wrong.err);
        // Nobody serves: containers can go all the same, and nothing of them comes back.
        podman.kill();
        podman.sh("podman rm -f -t 1 far in");
        podman.serve();
        let table = podman.sh("uswitch show");
        assert!(!table.contains("far") && table.contains("web"), "{table}");
        podman.reaches("db", "www", true);
    });
}
