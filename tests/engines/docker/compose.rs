//! docker compose: networks, names, ports and restarts as a file has them.

use super::docker;
use crate::machine::eventually;

const FILE: &str = r#"
mkdir -p /tmp/shop; cat >/tmp/shop/compose.yaml <<'EOF'
services:
  web:
    image: box
    command: ["sh", "-c", "echo shop >/index.html; trap exit TERM; httpd -f -p 80 & wait"]
    networks:
      front: {}
      back: { ipv4_address: 10.91.0.10, aliases: [backend] }
    ports: ["8080:80", "127.0.0.1:8081:80"]
    restart: always
  db:
    image: box
    command: ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]
    networks: [back]
    deploy: { replicas: 2 }
networks:
  front:
    driver: uswitch
    driver_opts: { com.docker.network.driver.mtu: "1400", com.docker.network.bridge.name: br7 }
  back:
    driver: uswitch
    internal: true
    ipam: { config: [ { subnet: 10.91.0.0/24, ip_range: 10.91.0.128/25 } ] }
EOF
"#;

#[test]
fn a_project_goes_up_and_down() {
    docker(|docker| {
        if docker.machine.try_sh("docker compose version").code != Some(0) {
            return crate::support::beyond("this suite has no docker compose");
        }
        docker.sh(FILE);
        docker.sh("cd /tmp/shop && docker compose up -d 2>&1");
        docker.tells_the_world("198.51.100.2 8080", "shop");
        docker.says("127.0.0.1 8081", "shop");
        let link = docker.sh("docker exec shop-web-1 ip link");
        assert!(link.contains("mtu 1400"), "{link}");
        for to in ["db", "shop-db-2", "203.0.113.9"] {
            docker.reaches("shop-web-1", to, true);
        }
        docker.reaches("shop-db-1", "backend", true);
        docker.reaches("shop-db-1", "203.0.113.9", false);
        eventually("the project's names", || {
            let table = docker.sh("uswitch show");
            let names = ["shop_front", "shop_back", "shop-web-1", "shop-db-2"];
            names.iter().all(|name| table.contains(name)).then_some(())
        });
        docker.sh("cd /tmp/shop && docker compose up -d --scale db=3 2>&1");
        docker.reaches("shop-web-1", "shop-db-3", true);
        docker.sh("cd /tmp/shop && docker compose restart -t 1 web 2>&1");
        docker.tells_the_world("198.51.100.2 8080", "shop");
        docker.sh("cd /tmp/shop && docker compose down -t 1 2>&1");
        assert_eq!(docker.sh("docker network ls -qf driver=uswitch"), "");
    });
}
