//! An etcd that speaks TLS and asks for certificates: who gets in, and what is said to whoever does not.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::world::{World, etcd};
use crate::door::until;
use crate::support::{Process, rooted, skip};

/// The certificates of a test, in a folder of its own.
pub(super) struct Papers<'d>(&'d Path);

impl<'d> Papers<'d> {
    /// Two authorities, `ca` and `other`; None where there is no openssl.
    pub(super) fn new(folder: &'d Path) -> Option<Self> {
        if !Path::new("/usr/bin/openssl").exists() {
            skip("no openssl here: the package openssl");
            return None;
        }
        let own = Self(folder);
        for name in ["ca", "other"] {
            own.openssl(&format!("req -x509 {} -days 2 -out {name}.pem", key(name)));
        }
        Some(own)
    }

    fn openssl(&self, line: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(self.0).args(line.split(' '));
        Process::start(command, line).ended().ok();
    }

    /// A certificate signed by an authority, for this long and with these names.
    pub(super) fn sign(&self, name: &str, by: &str, (days, names): (i32, &str)) {
        let text = format!("{names}extendedKeyUsage=serverAuth,clientAuth\n");
        std::fs::write(self.0.join("names"), text).unwrap();
        self.openssl(&format!("req {} -out {name}.csr", key(name)));
        let by = format!("-CA {by}.pem -CAkey {by}.key -CAcreateserial");
        let of = format!("-in {name}.csr -out {name}.pem -days {days} -extfile names");
        self.openssl(&format!("x509 -req {by} {of}"));
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

fn key(name: &str) -> String {
    let curve = "ec_paramgen_curve:P-256";
    format!("-newkey ec -pkeyopt {curve} -nodes -keyout {name}.key -subj /CN={name}")
}

/// Host 1 with an etcd that lets in by certificates of `ca`, and hosts 2 and 3.
pub(super) fn shut(test: impl FnOnce(&mut World<'_>, &Papers<'_>) + Send) {
    let Some(program) = etcd() else { return };
    rooted(|sandbox| {
        let Some(papers) = Papers::new(&sandbox.dir) else { return };
        papers.sign("server", "ca", (2, "subjectAltName=IP:10.9.0.1\n"));
        papers.sign("client", "ca", (2, ""));
        let mut world = World::dark(sandbox, program, 3);
        start(&mut world, &papers, "ca.pem");
        let names = ["client.pem", "client.key", "ca.pem"];
        let [cert, key, ca] = names.map(|name| papers.path(name));
        let options = ["--cacert", &ca, "--cert", &cert, "--key", &key];
        until("etcd answers", || {
            let asked = ("kv/range", r#"{"key":"AA=="}"#);
            world.ask_by(1, ("https", &options), asked).map(drop)
        });
        test(&mut world, &papers);
    });
}

/// Starts the etcd of host 1, which takes certificates of this authority.
fn start(world: &mut World<'_>, papers: &Papers<'_>, ca: &str) {
    let names = ["server.pem", "server.key", ca];
    let [cert, key, ca] = names.map(|name| papers.path(name));
    let by = ["--cert-file", &cert, "--key-file", &key, "--client-cert-auth"];
    world.start_alone(1, "https", &[&by[..], &["--trusted-ca-file", &ca]].concat());
}

#[test]
fn certificates_let_in_by_the_url_and_by_etcdctls_environment() {
    shut(|world, papers| {
        let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| papers.path(name));
        let url = format!("etcds://10.9.0.1/prod?vni=100&cacert={ca}&cert={cert}&key={key}");
        let mut one = world.start_at(1, &url, &[]);
        one.wait_for(crate::READY);
        let said = [("ETCDCTL_CACERT", &*ca), ("ETCDCTL_CERT", &cert), ("ETCDCTL_KEY", &key)];
        let mut two = world.start_at(2, "etcds://10.9.0.1/prod", &said);
        two.wait_for(crate::READY);
        until("host 2 reaches host 1", || world.pings(2, "n2", "10.100.1.1").then_some(()));
        let hosts = world.json(2, &["show", "hosts"]);
        assert_eq!(hosts[0]["registry"][0], "etcds://10.9.0.1:2379");
        world.uswitch(2, &["add", "more"]).ok();
        until("host 1 knows more", || {
            let hosts = world.json(1, &["show", "hosts"]);
            (hosts[0]["hosts"][1]["nodes"] == serde_json::json!(["more", "n2"])).then_some(())
        });
        // Files are named where the lab is shown, and nothing of what is in them.
        let shown = world.uswitch(1, &["show", "topology", "--file"]).ok().out;
        assert!(shown.contains(&format!("key={key}")) && !shown.contains("PRIVATE"), "{shown}");
        // An etcd of another authority, which takes nobody else's: the files of before do not do.
        world.signal_member(1, Signal::SIGKILL);
        papers.sign("server", "other", (2, "subjectAltName=IP:10.9.0.1\n"));
        start(world, papers, "other.pem");
        let is = |state: &str, why: &str| {
            let hosts = world.json(2, &["show", "hosts"]);
            let said = hosts[0]["why"].as_str().unwrap_or_default();
            (hosts[0]["state"] == state && said.contains(why)).then_some(())
        };
        until("it is not taken", || is("alone", "signed by none of the authorities known here"));
        // What is put in their place counts, though the lab runs.
        papers.sign("client", "other", (2, ""));
        std::fs::copy(papers.path("other.pem"), &ca).unwrap();
        until("it is joined again", || is("joined", ""));
    });
}

#[test]
fn who_is_not_let_in_is_told_why_in_a_line_and_joins_nothing() {
    shut(|world, papers| {
        papers.sign("foreign", "other", (2, ""));
        papers.sign("expired", "ca", (-1, ""));
        papers.sign("late", "ca", (-1, "subjectAltName=IP:10.9.0.2\n"));
        // Members that nobody ought to speak with: one whose certificate has expired, and one without TLS.
        let [cert, key] = ["late.pem", "late.key"].map(|name| papers.path(name));
        world.start_alone(2, "https", &["--cert-file", &cert, "--key-file", &key]);
        world.start_alone(3, "http", &[]);
        world.member_answers(3);
        let before = world.sandbox.state();
        let path = |name: &str| papers.path(name);
        let ca = format!("cacert={}", path("ca.pem"));
        let own = |name: &str| {
            format!(
                "{ca}&cert={}&key={}",
                path(&format!("{name}.pem")),
                path(&format!("{name}.key"))
            )
        };
        let with = |query: String| format!("etcds://10.9.0.1/prod?{query}");
        let other = own("client").replacen("ca.pem", "other.pem", 1);
        let mixed = own("client").replacen("client.key", "foreign.key", 1);
        for (url, code, says) in [
            (with(other), 1, "signed by none of the authorities known here"),
            (with(ca.clone()), 1, "certificate"),
            (with(own("foreign")), 1, "certificate"),
            (with(own("expired")), 1, "certificate"),
            (with(own("client") + "&server-name=elsewhere"), 1, "its certificate names another"),
            (format!("etcds://10.9.0.2/prod?{}", own("client")), 1, "its certificate has expired"),
            (format!("etcds://10.9.0.3/prod?{}", own("client")), 1, "etcd:// is for that"),
            ("etcd://10.9.0.1/prod".into(), 1, "etcds:// is for that"),
            (with(format!("cacert={}", path("none.pem"))), 2, "none.pem cannot be read"),
            (with(format!("cacert={}", path("ca.key"))), 2, "no certificate in it"),
            (with(mixed), 2, "client.pem and key="),
            (with(format!("{ca}&cert={}", path("client.pem"))), 2, "cert= without key="),
            (format!("etcd://10.9.0.1/prod?{ca}"), 2, "cacert= goes with TLS"),
        ] {
            until(&format!("{url}: {says}"), || {
                let ended = world.start_at(2, &url, &[]).ended();
                // A member that has begun to listen only.
                let early = ended.err.contains("refused");
                if !early {
                    assert!(ended.complaint(code).contains(says), "{url}: {}", ended.err);
                }
                (!early).then_some(())
            });
        }
        assert_eq!(world.sandbox.state(), before);
    });
}
