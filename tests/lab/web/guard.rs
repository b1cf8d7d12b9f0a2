//! Who is answered: by the right name, reading alone, with the token; and what every answer carries.

use super::{Served, lab, served};
use crate::support::{rooted, rootless};

/// A request in its parts, each as it is to be sent.
fn request(served: &Served, method: &str, target: &str, head: &[String]) -> u16 {
    let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("{method} {target} HTTP/1.1\r\n{head}connection: close\r\n\r\n");
    served.raw(&request).status
}

#[test]
fn only_the_right_name_method_and_token_are_answered() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let (address, port) = (&served.address, served.address.rsplit_once(':').unwrap().1);
        let host = format!("host: {address}");
        let token = format!("x-uswitch-token: {}", served.token);
        let (wrong, short) = ("0".repeat(32), &served.token[..31]);
        let of = |host: &str| vec![format!("host: {host}"), token.clone()];
        let both = || vec![host.clone(), token.clone()];
        let said = |token: &str| vec![host.clone(), format!("x-uswitch-token: {token}")];
        for (method, target, head, status) in [
            // The page tells nothing, so that it can ask for the token.
            ("GET", "/", vec![host.clone()], 200),
            ("GET", "/", vec![format!("host: localhost:{port}")], 200),
            ("GET", "/capture?count=1&seconds=1&filter=host+192.0.2.1", both(), 200),
            ("GET", "/events", vec![host.clone()], 401),
            ("GET", "/capture", vec![host.clone()], 401),
            ("GET", "/nothing", vec![host.clone()], 401),
            ("GET", "/events", said(&wrong), 401),
            ("GET", "/events", said(short), 401),
            ("GET", "/events", said(""), 401),
            ("GET", "/events", [both(), vec![token.clone()]].concat(), 401),
            ("GET", &format!("/events?token={}", served.token), vec![host.clone()], 401),
            ("GET", "/nothing", both(), 404),
            ("GET", "/page.html", both(), 404),
            ("GET", "/../events", both(), 404),
            ("GET", "/capture?count=0", both(), 422),
            ("GET", "/capture?count=100001", both(), 422),
            ("GET", "/capture?seconds=601", both(), 422),
            ("GET", "/capture?filter=frobnicate", both(), 422),
            ("GET", "/events?follow=frobnicate", both(), 422),
            ("GET", "/capture?count=many", both(), 400),
            ("GET", "/events?hidden=perhaps", both(), 400),
            // Names that are made to lead here, and addresses that do not.
            ("GET", "/", of("evil.example"), 421),
            ("GET", "/events", of(&format!("evil.example:{port}")), 421),
            ("GET", "/events", of("127.0.0.1"), 421),
            ("GET", "/events", of(&format!("127.0.0.2:{port}")), 421),
            ("GET", "/events", of(&format!("[::1]:{port}")), 421),
            ("GET", "/events", [both(), vec![host.clone()]].concat(), 421),
            ("GET", &format!("http://evil.example:{port}/events"), both(), 421),
            ("POST", "/events", of("evil.example"), 421),
        ] {
            assert_eq!(
                request(&served, method, target, &head),
                status,
                "{method} {target} {head:?}"
            );
        }
        for target in ["/capture?count=many", "/events?hidden=perhaps", "/capture?count=0"] {
            let said = served.get(target).body;
            let said: serde_json::Value = serde_json::from_slice(said.as_ref()).unwrap();
            assert!(said["error"].is_string(), "{target}: {said}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FROBNICATE"] {
            for target in ["/", "/events", "/capture", "/v1/nodes", "/nothing"] {
                for head in [vec![host.clone()], both()] {
                    assert_eq!(request(&served, method, target, &head), 405, "{method} {target}");
                }
            }
        }
    });
}

#[test]
fn every_answer_is_strict_and_none_is_for_another_origin() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let post =
            format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", served.address);
        let foreign = "GET / HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n\
                       connection: close\r\n\r\n";
        let answers = [
            served.get("/"),
            served.get("/nothing"),
            served.get("/capture?count=1&seconds=1&filter=host+192.0.2.1"),
            served.raw(&post),
            served.raw(foreign),
        ];
        for answer in &answers {
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains(concat!("un", "safe")), "{policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("x-frame-options"), "DENY");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
            assert!(!answer.has("access-control-allow-origin"), "{}", answer.head);
            assert!(!answer.has("set-cookie"), "{}", answer.head);
        }
        assert_eq!(answers[3].header("allow"), "GET");

        // The page's script is known by a number that no other answer has.
        let nonce = |answer: &super::Answer| {
            let policy = answer.header("content-security-policy").to_owned();
            let nonce =
                policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
            let page = std::str::from_utf8(&answer.body).unwrap();
            assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));
            assert!(!page.contains(&served.token), "the page tells the token");
            nonce.to_owned()
        };
        assert_ne!(nonce(&answers[0]), nonce(&served.get("/")));
    });
}

#[test]
fn another_address_than_loopback_is_asked_for_twice() {
    rooted(|sandbox| {
        let none = sandbox.uswitch(&["web"]);
        assert!(none.complaint(2).contains("is not running"), "{}", none.err);
        let _lab = lab(sandbox, &["run"]);
        let refused = sandbox.uswitch(&["web", "--listen", "0.0.0.0:0"]);
        assert!(refused.complaint(2).contains("--anyone"), "{}", refused.err);
        let odd = sandbox.uswitch(&["web", "--listen", "localhost"]);
        assert!(odd.complaint(2).contains("ADDRESS:PORT"), "{}", odd.err);

        let served = served(sandbox);
        let taken = sandbox.uswitch(&["web", "--listen", &served.address]);
        assert!(taken.complaint(1).contains("is in use"), "{}", taken.err);

        // Root's page is served without root's rights, but for a port below 1024.
        let status = std::fs::read_to_string(format!("/proc/{}/status", served.process.pid()));
        let status = status.unwrap();
        assert!(status.contains("CapEff:\t0000000000000400\n"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        let mut low = sandbox.start(&["web", "--listen", "127.0.0.1:81"]);
        low.wait_for("http://127.0.0.1:81/#");

        let mut open = sandbox.start(&["web", "--listen", "0.0.0.0", "--anyone"]);
        open.wait_for("/#");
        open.wait_for_complaint("other hosts can reach this page");
    });
}

#[test]
fn an_ordinary_users_lab_has_a_page() {
    rootless(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        served.events("").tells("node/net2", |node| node["up"] == true);
    });
}
