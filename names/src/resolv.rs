//! `resolv.conf(5)`: read (the host's, for whom to ask further) and written (a node's).

use std::net::{IpAddr, Ipv4Addr};

/// As many servers as the C library asks (MAXNS).
const MAX_SERVERS: usize = 3;
/// As many domains as it once searched (MAXDNSRCH).
const MAX_SEARCH: usize = 6;

/// What a resolv.conf says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolv {
    /// Whom to ask, in this order.
    pub servers: Vec<IpAddr>,
    /// Domains that are tried behind a name.
    pub search: Vec<String>,
}

impl Resolv {
    /// Reads one. As with the C library, one without servers means the host itself, the last of
    /// several `search` or `domain` lines counts, and what is not understood is skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut servers = Vec::new();
        let mut search = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => servers.extend(words.next().and_then(server)),
                Some("search") => search = words.map(str::to_owned).collect(),
                Some("domain") => search = words.take(1).map(str::to_owned).collect(),
                _ => {}
            }
        }
        servers.truncate(MAX_SERVERS);
        search.truncate(MAX_SEARCH);
        if servers.is_empty() {
            servers.push(Ipv4Addr::LOCALHOST.into());
        }
        Self { servers, search }
    }
}

/// A server's address. One with a scope (`fe80::1%eth0`) would need the interface: it is skipped.
fn server(word: &str) -> Option<IpAddr> {
    word.parse().ok()
}

/// The file of a node whose resolver is `gateway`, in a lab with this domain; `search` is tried
/// behind a name after it.
#[must_use]
pub fn write(gateway: IpAddr, domain: &str, search: &[String]) -> String {
    let mut text =
        format!("# of lab {domain}: the gateway answers\nnameserver {gateway}\nsearch {domain}");
    for name in search.iter().filter(|name| !name.eq_ignore_ascii_case(domain)).take(MAX_SEARCH - 1)
    {
        text.push(' ');
        text.push_str(name);
    }
    text.push('\n');
    text
}

#[cfg(test)]
#[test]
fn it_is_read_as_the_c_library_reads_it() {
    let text = "; old\n# comment\nnameserver 10.0.0.1\nnameserver nonsense\nnameserver ::1\n\
                options rotate\nsearch a b\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n\
                \tnameserver fe80::1%eth0\nsearch c.example d\n";
    let read = Resolv::parse(text);
    let servers: Vec<_> = read.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.1", "::1", "10.0.0.2"]);
    assert_eq!(read.search, ["c.example", "d"]);
    assert_eq!(Resolv::parse("domain x y\n").search, ["x"]);
    assert_eq!(Resolv::parse("").servers, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
}

#[cfg(test)]
#[test]
fn what_is_written_is_read_again() {
    let gateway: IpAddr = "10.100.0.1".parse().unwrap();
    let search = ["corp.example".to_owned(), "LAB".to_owned()];
    let read = Resolv::parse(&write(gateway, "lab", &search));
    assert_eq!(read.servers, [gateway]);
    assert_eq!(read.search, ["lab", "corp.example"]);
    let many: Vec<_> = (0..9).map(|n| format!("d{n}")).collect();
    assert_eq!(Resolv::parse(&write(gateway, "lab", &many)).search.len(), MAX_SEARCH);
}
