//! The real Docker: networks of ours beside nothing else, containers in them, the host and the world.
//!
//! Each test is run for the Docker of one suite: that of trixie, or of `USWITCH_TEST_SUITE`.

use crate::machine::{Machine, eventually, on};
use crate::support::Process;

/// Docker 26.1.
const SUITE: &str = "trixie";

/// A machine on which Docker and we run.
struct Docker<'m> {
    machine: &'m Machine,
    serve: Option<Process>,
    dockerd: Option<Process>,
}

fn docker(test: impl FnOnce(&mut Docker<'_>)) {
    let named = std::env::var("USWITCH_TEST_SUITE");
    on(named.as_deref().unwrap_or(SUITE), "docker", |machine| {
        let mut docker = Docker { machine, serve: None, dockerd: None };
        docker.serve();
        docker.dock("");
        docker.sh("tar -C /tmp/image -c . | docker import - box >/dev/null");
        test(&mut docker);
        docker.end();
    });
}

impl Docker<'_> {
    #[track_caller]
    fn sh(&self, line: &str) -> String {
        self.machine.sh(line)
    }

    /// Starts to serve.
    fn serve(&mut self) {
        let mut serve = self.machine.start_sh("echo $$ >/run/serve.pid; exec uswitch serve");
        serve.wait_for("serving Docker");
        self.serve = Some(serve);
    }

    /// Kills the server, as a crash would.
    fn kill(&mut self) {
        self.sh("kill -KILL $(cat /run/serve.pid)");
        self.serve.take().unwrap().ended();
    }

    /// Starts dockerd.
    fn dock(&mut self, options: &str) {
        let line = format!(
            "echo $$ >/run/dockerd.pid; exec dockerd --data-root /tmp/docker --exec-root /tmp/exec --storage-driver overlay2 \
             -H unix:///run/docker.sock {options}"
        );
        self.dockerd = Some(self.machine.start_sh(&line));
        let up = || self.machine.try_sh("docker version").code.filter(|code| *code == 0);
        eventually("dockerd answers", up);
    }

    /// All that was made goes, and so do we; nothing of ours is left on the host.
    fn end(&mut self) {
        self.sh(
            "docker ps -aq | xargs -r docker rm -f >/dev/null; docker network prune -f >/dev/null",
        );
        let left = self.sh("docker network ls -qf driver=uswitch");
        assert_eq!(left, "", "networks that cannot be removed");
        let links = self.sh("ip -o link show | grep -E ': u[seh][0-9a-f]{8}' || true");
        assert_eq!(links, "");
        self.sh("kill $(cat /run/serve.pid)");
        assert_eq!(self.serve.take().unwrap().ended().code, Some(0));
        self.sh("uswitch serve --clean");
        assert_eq!(self.sh("ls -A /run/uswitch; ls /var/lib/uswitch/networks"), "");
        self.sh("kill $(cat /run/dockerd.pid)");
        self.dockerd.take().unwrap().ended();
    }

    /// Asserts that a container reaches an address, or does not.
    #[track_caller]
    fn reaches(&self, container: &str, to: &str, reached: bool) {
        let line = format!("docker exec {container} ping -c 1 -W 3 {to}");
        let ended = self.machine.try_sh(&line);
        assert_eq!(ended.code == Some(0), reached, "{line}:\n{}{}", ended.out, ended.err);
    }
}

/// A container that sleeps, and ends at once when told.
const SLEEP: &str = "box sh -c 'trap exit TERM; sleep 100000 & wait'";

#[test]
fn containers_meet_each_other_the_host_and_the_world() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh(&format!("docker run -d --name web --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name db --network one --ip 10.77.9.9 {SLEEP}"));
        docker.sh(&format!("docker run -d --name other --network two {SLEEP}"));
        for to in ["db", "web", "10.77.9.9", "10.77.0.1", "198.51.100.2", "203.0.113.9"] {
            docker.reaches("web", to, true);
        }
        for to in ["10.78.0.2", "other"] {
            docker.reaches("web", to, false);
        }
        docker.sh("ping -c 1 -W 3 10.77.9.9");
        let table = eventually("containers' names", || {
            let table = docker.sh("uswitch show");
            ["web", "db", "other"].iter().all(|name| table.contains(name)).then_some(table)
        });
        assert!(table.contains("10.77.9.9/16"), "{table}");
        // A second network, live, and out of it again.
        docker.sh("docker network connect two web");
        docker.reaches("web", "other", true);
        docker.sh("docker network disconnect two web");
        docker.reaches("web", "other", false);
        docker.reaches("web", "db", true);
        let explained = docker.sh("uswitch explain web 203.0.113.9:80");
        assert!(explained.contains("198.51.100.2"), "{explained}");
    });
}

#[test]
fn a_network_is_as_it_was_asked_for() {
    docker(|docker| {
        docker.sh(
            "docker network create -d uswitch --internal --subnet 10.80.0.0/24 --gateway 10.80.0.7 \
             -o com.docker.network.driver.mtu=1400 closed",
        );
        let mac = "--mac-address 02:00:00:00:07:07";
        docker.sh(&format!("docker run -d --name in --network closed {mac} {SLEEP}"));
        let link = docker.sh("docker exec in ip addr show eth0");
        assert!(link.contains("02:00:00:00:07:07") && link.contains("mtu 1400"), "{link}");
        docker.reaches("in", "10.80.0.7", true);
        docker.reaches("in", "203.0.113.9", false);
        let routes = docker.sh("docker exec in ip route");
        assert!(!routes.contains("default"), "{routes}");
        let wrong =
            docker.machine.try_sh("docker network create -d uswitch -o uswitch.nonsense=1 x");
        assert!(wrong.code != Some(0) && wrong.err.contains("no such option"), "{}", wrong.err);
        docker.sh("docker network create -d uswitch -o uswitch.isolate=true apart");
        for name in ["aa", "bb"] {
            docker.sh(&format!("docker run -d --name {name} --network apart {SLEEP}"));
        }
        docker.reaches("aa", "bb", false);
        docker.reaches("aa", "203.0.113.9", true);
        docker.sh("docker network create -d uswitch --ipv6 --subnet fd00:7::/64 --subnet 10.90.0.0/24 six");
        docker.sh(&format!("docker run -d --name six1 --network six {SLEEP}"));
        docker.sh(&format!("docker run -d --name six2 --network six {SLEEP}"));
        for to in ["fd00:7::1", "fd00:7::3", "10.90.0.3"] {
            docker.reaches("six1", to, true);
        }
        docker.sh("ping -6 -c 1 -W 3 fd00:7::2");
    });
}

#[test]
fn ports_are_published_and_one_that_is_taken_is_refused() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch one");
        let serve = "box sh -c 'echo hello >/index.html; exec httpd -f -p 80'";
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {serve}"));
        docker.sh(&format!("docker run -d --name near --network one -p 127.0.0.1:8081:80 {serve}"));
        let got = |from: &str, at: &str| docker.machine.try_sh(&format!("{from} get {at}")).out;
        // A container runs a moment before its server does.
        let hello = |at: &str| eventually(at, || (got("", at) == "hello\n").then_some(()));
        for at in ["127.0.0.1 8080", "198.51.100.2 8080", "::1 8080", "127.0.0.1 8081"] {
            hello(at);
        }
        assert_eq!(got("ip netns exec world", "198.51.100.2 8080"), "hello\n");
        assert_eq!(got("ip netns exec world", "198.51.100.2 8081"), "");
        // From another network, and from itself, by the host's address.
        docker.sh("docker network create -d uswitch two");
        docker.sh(&format!("docker run -d --name other --network two {SLEEP}"));
        for from in ["docker exec other", "docker exec web"] {
            let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 198.51.100.2 8080";
            let said = docker.sh(&format!("{from} sh -c \"{ask}\""));
            assert!(said.ends_with("\r\n\r\nhello\n"), "{from}: {said}");
        }
        let taken = docker.machine.try_sh(&format!("docker run --network one -p 8080:80 {serve}"));
        assert!(taken.err.contains("port is already allocated"), "{}", taken.err);
        docker.sh("docker restart -t 1 web");
        hello("127.0.0.1 8080");
        docker.sh("docker rm -f web");
        assert_eq!(got("", "127.0.0.1 8080"), "");
    });
}

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
