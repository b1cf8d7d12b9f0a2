//! Either side killed, restarted, late; containers that end meanwhile.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{SLEEP, docker, page};
use crate::machine::eventually;

#[test]
fn a_killed_server_is_followed_by_one_that_goes_on() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        let serve = "box sh -c 'echo hello >/index.html; exec httpd -f -p 80'";
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {serve}"));
        docker.sh(&format!("docker run -d --name db --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name gone --network one --ip 10.77.7.7 {SLEEP}"));
        docker.reaches("web", "db", true);
        docker.kill();
        // Nobody is there to hear of it; dockerd goes on trying.
        docker.sh("kill -9 $(docker inspect -f '{{.State.Pid}}' gone)");
        docker.serve();
        docker.reaches("web", "db", true);
        docker.reaches("db", "203.0.113.9", true);
        assert_eq!(docker.sh("get 198.51.100.2 8080"), "hello\n");
        let table = docker.sh("uswitch show");
        assert!(table.contains("web") && table.contains("db"), "{table}");
        eventually("the end of the one that is gone", || {
            (!docker.sh("uswitch show").contains("10.77.7.7")).then_some(())
        });
        // dockerd gives the address back once it has given up on the server that was dead.
        let again = format!("docker run -d --name again --network one --ip 10.77.7.7 {SLEEP}");
        eventually("a container with the address of the one that is gone", || {
            let ended = docker.machine.try_sh(&again);
            if ended.code != Some(0) {
                docker.sh("docker rm -f again");
            }
            (ended.code == Some(0)).then_some(())
        });
        docker.reaches("again", "web", true);
    });
}

/// The ports that were found, and the links, though somebody lets go of the switch's namespace meanwhile.
#[test]
fn containers_keep_their_ports_and_their_links_when_the_server_is_followed_by_another() {
    docker(|docker| {
        docker
            .sh("docker network create -d uswitch --subnet 10.77.0.0/24 --subnet 10.79.0.0/24 lab");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/24 spare");
        let names = ["w4", "w3", "w2", "w1"];
        for (place, name) in names.iter().enumerate() {
            let ports = if *name == "w1" { "-p 80" } else { "-p 8000-8010:80" };
            // Of the second subnet as well as of the first.
            let net = if place % 2 == 0 { 77 } else { 79 };
            let own = format!("--network lab --ip 10.{net}.0.{}", place + 10);
            docker.sh(&format!("docker run -d --name {name} {own} {ports} {}", page(name)));
        }
        for name in names {
            docker.sh(&format!("docker network connect spare {name}"));
        }
        let machine = docker.machine;
        // By the first of its networks, in the order of their names, each is led out.
        let ways =
            || names.map(|name| machine.sh(&format!("docker exec {name} ip route show default")));
        let led = ways();
        let ports = || {
            let said = machine.sh("uswitch show published -j");
            let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
            let row =
                |row: &serde_json::Value| (row["inside"].to_string(), row["port"].to_string());
            rows.iter().map(row).collect::<std::collections::BTreeMap<_, _>>()
        };
        let before = ports();
        assert_eq!(before.len(), 4, "{before:?}");
        for lost in [false, true] {
            docker.kill();
            if lost {
                docker.sh("umount /run/uswitch/serve/switch.ns");
            }
            docker.serve();
            assert_eq!(ways(), led);
            for name in names {
                docker.reaches(name, "203.0.113.9", true);
            }
            docker.reaches("w1", "10.77.0.10", true);
        }
        // A link that is deleted while somebody serves.
        docker.sh(
            "ns=/run/uswitch/serve/switch.ns; for own in $(nsenter --net=$ns ip -o link | \
             sed -n 's/^[0-9]*: \\(us[0-9a-f]*\\)@.*/\\1/p'); do nsenter --net=$ns ip link del $own; done",
        );
        for name in names {
            let ping = format!("docker exec {name} ping -c 1 -W 1 203.0.113.9");
            eventually(name, || docker.machine.try_sh(&ping).code.filter(|code| *code == 0));
        }
        docker.sh("docker exec w2 ping -c 1 -W 3 10.78.0.1");
        assert_eq!(ports(), before);
        for (inside, port) in before {
            let at = inside.trim_matches('"').split(':').next().unwrap().to_owned();
            let name = docker.sh(&format!("get {at} 80"));
            docker.says(&format!("127.0.0.1 {port}"), name.trim());
        }
        for name in names {
            docker.sh(&format!("docker network disconnect spare {name}"));
        }
    });
}

#[test]
fn a_killed_dockerd_tells_nobody_and_its_containers_come_back() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        let (always, once) = (page("always"), page("once"));
        docker.sh(&format!(
            "docker run -d --name always --restart always --network one -p 8080:80 {always}"
        ));
        docker.sh(&format!("docker run -d --name once --network one -p 8081:80 {once}"));
        docker.tells_the_world("198.51.100.2 8080", "always");
        docker.tells_the_world("198.51.100.2 8081", "once");
        for signal in ["KILL", "TERM"] {
            docker.undock(signal);
            docker.dock("");
            docker.tells_the_world("198.51.100.2 8080", "always");
            docker.sh("docker start once");
            docker.tells_the_world("198.51.100.2 8081", "once");
            docker.reaches("once", "always", true);
        }
        let places = docker.sh("ls /run/uswitch/serve/endpoints | wc -l");
        assert_eq!(places.trim(), "2", "those of before are forgotten");
    });
}

/// The one that comes first has the address of another, and its ports from before are nobody's.
#[test]
fn containers_of_a_killed_dockerd_come_back_in_another_order() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh(&format!("docker run -d --name idle --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {}", page("web")));
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.undock("KILL");
        docker.dock("");
        docker.sh("docker start web");
        let table = docker.sh("uswitch show");
        assert!(!table.contains("10.77.0.3/16"), "web has the first address:\n{table}");
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.sh("docker start idle");
        docker.reaches("idle", "web", true);
        let places = docker.sh("ls /run/uswitch/serve/endpoints | wc -l");
        assert_eq!(places.trim(), "2", "those of before are forgotten");
        // The same of a port that another asks for.
        docker.undock("KILL");
        docker.dock("");
        docker.sh("docker rm web");
        docker
            .sh(&format!("docker run -d --name other --network one -p 8080:80 {}", page("other")));
        docker.tells_the_world("198.51.100.2 8080", "other");
    });
}

#[test]
fn containers_live_on_without_dockerd_and_without_us() {
    docker(|docker| {
        docker.undock("TERM");
        docker.dock("--live-restore");
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {}", page("web")));
        docker.sh(&format!("docker run -d --name db --network one {SLEEP}"));
        docker.tells_the_world("198.51.100.2 8080", "web");
        for signal in ["KILL", "TERM"] {
            docker.undock(signal);
            docker.tells_the_world("198.51.100.2 8080", "web");
            docker.dock("--live-restore");
            docker.tells_the_world("198.51.100.2 8080", "web");
            docker.reaches("db", "web", true);
        }
        // Both at once.
        docker.kill();
        docker.undock("KILL");
        docker.serve();
        docker.dock("--live-restore");
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.reaches("db", "203.0.113.9", true);
        docker.sh("docker restart -t 1 web");
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.sh("docker rm -f web");
        assert_eq!(docker.sh("ip netns exec world get 198.51.100.2 8080 || true"), "");
    });
}

/// As a service manager does it: the socket is there before either, and what is asked waits.
#[test]
fn dockerd_waits_at_a_socket_for_a_server_that_is_late() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        let run = "docker run -d --name web --restart always --network one -p 8080:80";
        docker.sh(&format!("{run} {}", page("web")));
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.undock("TERM");
        docker.sh("kill $(cat /run/serve.pid)");
        docker.serve.take().unwrap().ended();
        // As after a boot.
        docker.sh(
            "uswitch serve --clean; mkdir -p /run/docker/plugins; rm -f /run/docker/plugins/uswitch.sock",
        );
        let listener = docker.machine.listener("/run/docker/plugins/uswitch.sock");
        docker.start_dock("");
        // dockerd has asked, and nobody has answered.
        eventually("a call at the socket", || {
            let mut waits = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            (poll(&mut waits, PollTimeout::ZERO).unwrap() > 0).then_some(())
        });
        docker.serve_at(listener);
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.docked();
    });
}

#[test]
fn what_goes_while_nobody_serves_is_forgotten() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {}", page("web")));
        docker.sh(&format!("docker run -d --name db --network one {SLEEP}"));
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.kill();
        // Both take Docker its 15 s, and work.
        docker.sh("docker rm -f web");
        docker.machine.try_sh("docker network rm two");
        docker.serve();
        let table = docker.sh("uswitch show");
        assert!(!table.contains("10.77.0.2/16") && table.contains("10.77.0.3/16"), "{table}");
        assert_eq!(docker.sh("get 127.0.0.1 8080 || true"), "");
        eventually("the network that Docker has no more", || {
            (!docker.sh("uswitch show").contains("10.78.0.1")).then_some(())
        });
        let again = format!("docker run -d --name web --network one -p 8080:80 {}", page("again"));
        eventually("dockerd has given up on what was dead", || {
            let ended = docker.machine.try_sh(&again);
            if ended.code != Some(0) {
                docker.sh("docker rm -f web");
            }
            (ended.code == Some(0)).then_some(())
        });
        docker.tells_the_world("198.51.100.2 8080", "again");
    });
}
