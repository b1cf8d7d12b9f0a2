//! The page of a server: `uswitch web` shows containers and their networks by their names.

use super::{SLEEP, docker};
use crate::machine::eventually;

#[test]
fn the_page_shows_containers_by_their_names() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh(&format!("docker run -d --name web --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name db --network two {SLEEP}"));
        let mut page = docker.machine.start_sh("exec uswitch web -j");
        page.wait_for("}\n");
        let told: serde_json::Value = serde_json::from_str(&page.out()).unwrap();
        let (address, url) = (told["address"].as_str().unwrap(), told["url"].as_str().unwrap());
        let token = url.split_once("/#").unwrap().1;
        let stream = format!(
            "timeout 3 busybox wget -qO - --header 'x-uswitch-token: {token}' http://{address}/events"
        );
        let mut seen = String::new();
        eventually("both containers and their networks on the page", || {
            // Cut off by its deadline: a stream has no end of its own.
            seen = docker.machine.try_sh(&stream).out;
            let all = ["node/web", "node/db", "network/one", "network/two", "10.77.0.2"];
            all.iter().all(|word| seen.contains(word)).then_some(())
        });
        docker.sh("docker rm -f db >/dev/null");
        eventually("what is gone is gone", || {
            seen = docker.machine.try_sh(&stream).out;
            (seen.contains("node/web") && !seen.contains("node/db")).then_some(())
        });
        // Without the token nobody sees it.
        let stranger = format!("busybox wget -qO - http://{address}/events");
        assert_ne!(docker.machine.try_sh(&stranger).code, Some(0));
    });
}
