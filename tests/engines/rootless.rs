//! The real podman without root, 5.4 of trixie or that of `USWITCH_TEST_SUITE`: its containers' networks lie in a network namespace of
//! the user's, behind pasta, and a plugin starts the server there.

use crate::machine::{Machine, eventually, on};
use crate::podman::suite;

/// A user, with what podman needs of the machine, and `joe COMMAND`, which is run as that user.
const USER: &str = r#"
echo 'joe:x:1500:1500::/home/joe:/bin/sh' >>/etc/passwd; echo 'joe:x:1500:' >>/etc/group
echo joe:200000:65536 >/etc/subuid; echo joe:200000:65536 >/etc/subgid
mkdir -p /home/joe /run/user/1500; mount -t tmpfs tmpfs /home/joe
chown 1500:1500 /home/joe /run/user/1500; chmod 700 /run/user/1500
echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range
cat >/usr/bin/joe <<'EOF'
#!/bin/sh
cd /home/joe; exec env -i USER=joe HOME=/home/joe XDG_RUNTIME_DIR=/run/user/1500 PATH=$PATH \
    setpriv --reuid 1500 --regid 1500 --init-groups -- "$@"
EOF
chmod +x /usr/bin/joe
mkdir -p /etc/containers /usr/local/lib/netavark; ln -s /uswitch/uswitch /usr/local/lib/netavark
cat >/etc/containers/containers.conf <<EOF
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
EOF
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
tar -C /tmp/image -c . | joe podman import - box >/dev/null 2>&1
mkdir /tmp/page; echo world >/tmp/page/index.html
ip netns exec world busybox httpd -p 203.0.113.9:80 -h /tmp/page
"#;

const SLEEP: &str = "box sh -c 'trap exit TERM; sleep 100000 & wait'";
const SERVE: &str = "box sh -c 'echo hello >/index.html; trap exit TERM; httpd -f -p 80 & wait'";

/// The page of a server, as a container sees it.
#[track_caller]
fn fetches(machine: &Machine, container: &str, from: &str, page: &str) {
    let line = format!("joe podman exec {container} wget -T 5 -q -O - http://{from}");
    eventually(&line, || (machine.try_sh(&line).out == page).then_some(()));
}

#[test]
fn a_users_containers() {
    on(&suite(), "pasta", |machine| {
        machine.sh(USER);
        machine.sh(
            "joe podman network create -d uswitch lab; joe podman network create -d uswitch two",
        );
        machine.sh(&format!(
            "joe podman run -d --name web --network lab:alias=www -p 8080:80 {SERVE}"
        ));
        machine.sh(&format!("joe podman run -d --name db --network lab {SLEEP}"));
        machine.sh(&format!("joe podman run -d --name other --network two {SLEEP}"));
        for name in ["web", "www"] {
            fetches(machine, "db", name, "hello\n");
        }
        // Out by pasta; in by podman's own program for a user's ports.
        fetches(machine, "db", "203.0.113.9", "world\n");
        for from in ["get 127.0.0.1 8080", "ip netns exec world get 198.51.100.2 8080"] {
            eventually(from, || (machine.try_sh(from).out == "hello\n").then_some(()));
        }
        // Seen from outside, by the user.
        let table = machine.sh("joe uswitch show");
        assert!(["web", "db", "other", "lab", "two"].iter().all(|n| table.contains(n)), "{table}");
        let explained = machine.sh("joe uswitch explain db web:80 || true");
        assert!(explained.contains("is known at"), "{explained}");
        // A second network, live.
        let other = "joe podman exec other wget -T 5 -q -O - http://web";
        assert_ne!(machine.try_sh(other).code, Some(0));
        machine.sh("joe podman network connect two web");
        fetches(machine, "other", "web", "hello\n");
        machine.sh("joe podman network disconnect two web");
        assert_ne!(machine.try_sh(other).code, Some(0));
        machine.sh("joe podman restart -t 1 web db");
        fetches(machine, "db", "web", "hello\n");
        fetches(machine, "db", "203.0.113.9", "world\n");
        // Killed: the links are podman's to ask for again.
        machine.sh("kill -KILL $(pgrep -xr S,R uswitch); joe podman network reload --all");
        fetches(machine, "db", "web", "hello\n");
        // The last one goes, and all with it; the next begins anew, in a network of podman's that is new.
        for _ in 0..2 {
            machine.sh("joe podman rm -fa -t 1");
            eventually("the end of the server", || {
                let left = machine.try_sh("pgrep -xr S,R uswitch; ls -A /run/user/1500/uswitch");
                left.out.is_empty().then_some(())
            });
            machine.sh(&format!("joe podman run -d --name db --network lab {SLEEP}"));
            fetches(machine, "db", "203.0.113.9", "world\n");
        }
        // One alone that is started anew has both new at once.
        machine.sh("joe podman restart -t 1 db");
        fetches(machine, "db", "203.0.113.9", "world\n");
        machine.sh("joe podman rm -fa -t 1");
        let links = machine.sh("ip -o link show | grep ': us' || true");
        assert_eq!(links, "");
    });
}

/// They go with the server, for its namespace is kept by nobody else.
#[test]
fn links_of_a_users_containers_are_put_back_by_the_next_server() {
    on(&suite(), "pasta", |machine| {
        machine.sh(USER);
        machine.sh("joe podman network create -d uswitch lab");
        machine.sh(&format!("joe podman run -d --name web --network lab -p 8080:80 {SERVE}"));
        machine.sh(&format!("joe podman run -d --name db --network lab {SLEEP}"));
        fetches(machine, "db", "web", "hello\n");
        machine.sh("kill -KILL $(pgrep -xr S,R uswitch)");
        // The next container that comes starts a server.
        machine.sh(&format!("joe podman run -d --name other --network lab {SLEEP}"));
        for from in ["db", "other"] {
            fetches(machine, from, "web", "hello\n");
            fetches(machine, from, "203.0.113.9", "world\n");
        }
        let from = "ip netns exec world get 198.51.100.2 8080";
        eventually(from, || (machine.try_sh(from).out == "hello\n").then_some(()));
        // One that goes does.
        machine.sh("kill -KILL $(pgrep -xr S,R uswitch); joe podman rm -f -t 1 other");
        fetches(machine, "db", "web", "hello\n");
        machine.sh("joe podman rm -fa -t 1");
    });
}

/// pasta is the host by an address of its own, and the host's own addresses are those of podman's namespace
/// too, where netavark leads published ports on to a bridge.
#[test]
fn a_users_containers_reach_the_host_as_from_podmans_bridge() {
    on(&suite(), "pasta", |machine| {
        machine.sh(USER);
        machine.sh(
            "mkdir /tmp/own; echo host >/tmp/own/index.html; busybox httpd -p 7000 -h /tmp/own",
        );
        machine.sh("joe podman network create -d uswitch lab; joe podman network create own");
        // A port at an address that the user's network has not is the host's alone.
        machine.sh(
            "ip link add far0 type veth peer name far1; ip addr add 192.0.2.7/32 dev far0; ip link set far0 up",
        );
        let networks = [("lab", 8080), ("own", 8081)];
        for (network, port) in networks {
            let ports = format!("-p {port}:80 -p 192.0.2.7:{}:80 -p {port}:80/udp", port + 10);
            machine.sh(&format!(
                "joe podman run -d --name web-{network} --network {network} {ports} {SERVE}"
            ));
            machine
                .sh(&format!("joe podman run -d --name db-{network} --network {network} {SLEEP}"));
        }
        for (network, _) in networks {
            let db = format!("db-{network}");
            for name in ["host.containers.internal", "host.docker.internal"] {
                fetches(machine, &db, &format!("{name}:7000"), "host\n");
            }
            for (_, port) in networks {
                for address in ["198.51.100.2", "169.254.1.2"] {
                    fetches(machine, &db, &format!("{address}:{port}"), "hello\n");
                }
                fetches(machine, &db, &format!("192.0.2.7:{}", port + 10), "hello\n");
            }
        }
        // The container itself, by its own port.
        fetches(machine, "web-lab", "198.51.100.2:8080", "hello\n");
        let routes = machine.sh("joe uswitch show routes");
        assert!(routes.contains("169.254.0.0/16"), "{routes}");
        // What somebody inside has already is not ours, and the container comes all the same.
        let taken = "joe podman unshare --rootless-netns busybox httpd -f -p 8099";
        let taken = machine.start_sh(taken);
        let listens = "joe podman unshare --rootless-netns ss -Hlnt sport = 8099";
        eventually(listens, || (!machine.sh(listens).is_empty()).then_some(()));
        machine.sh(&format!(
            "joe podman run -d --name third --network lab -p 8099:80 -p 8098:80 {SERVE}"
        ));
        fetches(machine, "db-lab", "198.51.100.2:8098", "hello\n");
        let outside = "get 127.0.0.1 8099";
        eventually(outside, || (machine.try_sh(outside).out == "hello\n").then_some(()));
        drop(taken);
    });
}
