//! The metrics: a strict reader of OpenMetrics takes them, and their figures are those of `show`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use super::{json, lab, until};
use crate::support::rooted;

/// A sample: its name and its labels.
type Key = (String, Vec<(String, String)>);

/// Reads a whole text, or says what is wrong with it, by the rules of OpenMetrics 1.0.
fn read(text: &str) -> Result<BTreeMap<Key, f64>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("does not end with # EOF")?;
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (word, name) = (words.next().unwrap(), words.next().ok_or(wrong("no name"))?);
            let rest = words.next().ok_or(wrong("nothing said"))?;
            if name != family {
                let new = families.insert(name.to_owned());
                new.then_some(()).ok_or(wrong("a family in two parts"))?;
                (family, kind) = (name.to_owned(), String::new());
                is_name(name).then_some(()).ok_or(wrong("no name"))?;
            }
            match word {
                "HELP" => {}
                "TYPE" => kind = rest.to_owned(),
                "UNIT" if name.ends_with(&format!("_{rest}")) => {}
                _ => return Err(wrong("not HELP, TYPE or a UNIT that ends the name")),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').ok_or(wrong("no value"))?;
        let value: f64 = value.parse().map_err(|_| wrong("no number"))?;
        let (name, labels) = match series.split_once('{') {
            None => (series, Vec::new()),
            Some((name, rest)) => (name, labels(rest).ok_or(wrong("bad labels"))?),
        };
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "gauge" => "",
            _ => return Err(wrong("neither counter nor gauge")),
        };
        (name == format!("{family}{suffix}")).then_some(()).ok_or(wrong("of another family"))?;
        (kind == "gauge" || value >= 0.0).then_some(()).ok_or(wrong("a counter below zero"))?;
        let unique = samples.insert((name.to_owned(), labels), value).is_none();
        unique.then_some(()).ok_or(wrong("twice"))?;
    }
    Ok(samples)
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `a="b",c="d"}` as pairs; None where it is anything else, or names a label twice.
fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut rest = text.strip_suffix('}')?;
    let mut labels: Vec<(String, String)> = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.chars();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => value.push(match letters.next()? {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                c => value.push(c),
            }
        }
        if !is_name(name) || labels.iter().any(|(other, _)| other == name) {
            return None;
        }
        labels.push((name.to_owned(), value));
        rest = letters.as_str();
        rest = rest
            .strip_prefix(',')
            .filter(|rest| !rest.is_empty())
            .or(rest.is_empty().then_some(""))?;
    }
    Some(labels)
}

#[test]
fn the_reader_is_strict() {
    let good = "# HELP a_bytes A.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\n\
                a_bytes_total{x=\"1\"} 5\na_bytes_total{x=\"2\"} 6\n# EOF\n";
    assert_eq!(read(good).unwrap().len(), 2);
    for (from, to) in [
        ("# EOF\n", ""),
        ("_total{x=\"2\"}", "{x=\"2\"}"),
        ("x=\"2\"", "x=\"1\""),
        ("x=\"2\"", "x=2"),
        ("} 6", "} six"),
        ("} 6", "} -6"),
        ("counter", "thing"),
        ("UNIT a_bytes bytes", "UNIT a_bytes seconds"),
    ] {
        assert!(read(&good.replace(from, to)).is_err(), "{from:?} as {to:?}");
    }
}

/// The body of an HTTP answer with status 200.
fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let ask = "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: application/openmetrics-text\r\n\
               connection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("application/openmetrics-text; version=1.0.0"), "{head}");
    body.to_owned()
}

#[test]
fn the_figures_are_those_of_show() {
    rooted(|sandbox| {
        let mut run = lab(sandbox, &["run", "--metrics", "9105", "-n", "3"]);
        run.wait_for("metrics at http://127.0.0.1:9105/metrics");
        sandbox.tool("ip", &["netns", "exec", "net1", "ping", "-c", "5", "-i", "0.01", "8.8.8.8"]);
        let key = |name: &str, labels: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            (name.to_owned(), labels.iter().map(own).collect::<Vec<_>>())
        };
        // Between two looks a stray frame may come; then they are taken again.
        until("all three agree", || {
            let verb = read(&sandbox.uswitch(&["metrics", "--openmetrics"]).ok().out).unwrap();
            let ports = json(sandbox, &["show", "ports", "-j"]);
            let counters = json(sandbox, &["show", "counters", "-j"]);
            let served = read(&scrape("127.0.0.1:9105")).unwrap();
            let mut pairs = vec![(
                key("uswitch_switch_verdict_frames_total", &[("verdict", "forwarded")]),
                &counters["switch"]["forwarded"],
            )];
            for port in ports.as_array().unwrap() {
                let labels = [
                    ("port", port["ifname"].as_str().unwrap()),
                    ("node", port["node"].as_str().unwrap_or("")),
                ];
                let stats = &port["stats64"];
                pairs.push((
                    key("uswitch_port_receive_bytes_total", &labels),
                    &stats["rx"]["bytes"],
                ));
                pairs.push((
                    key("uswitch_port_transmit_frames_total", &labels),
                    &stats["tx"]["packets"],
                ));
            }
            let opened = key("uswitch_nat_opened_sessions_total", &[]);
            pairs.push((opened, &counters["gateway"]["nat"]["opened"]));
            let agrees = pairs.iter().all(|(key, shown)| {
                let figure = shown.as_f64();
                let found = (verb.get(key).copied(), served.get(key).copied());
                assert!(found.0.is_some() && found.1.is_some(), "{key:?} is missing");
                found == (figure, figure)
            });
            agrees.then_some(())
        });
        // What is printed unasked is the older text: each sample by the name that is described.
        let plain = sandbox.uswitch(&["metrics"]).ok().out;
        assert!(plain.contains("# TYPE uswitch_switch_received_frames_total counter\n"), "{plain}");
        assert!(!plain.contains("# EOF") && !plain.contains("# UNIT"), "{plain}");
        let text = scrape("127.0.0.1:9105");
        assert!(!text.contains("02:00:") && !text.contains("10.100."), "an address as a label");
        let taken = sandbox.uswitch(&["run", "--name", "b", "--check", "--metrics", "9105"]);
        assert_eq!(taken.code, Some(1));
        assert!(taken.err.contains("cannot serve metrics on 127.0.0.1:9105"), "{}", taken.err);
    });
}
