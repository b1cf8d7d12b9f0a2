//! The words of a capture or a trace, as a person types them: which name ports, and which are a filter.
//! The command and the page of a lab take them apart by this alone.

use crate::api::Port;

/// The words that name ports or nodes, or the port of a node in a network (`NODE:NETWORK`), and the
/// filter that the others are.
///
/// # Errors
/// A line for people, when a filter begins with what joins two: then the words before it were meant to
/// be part of it, and the line says how to write that.
pub fn split(ports: &[Port], words: &[String]) -> Result<(Vec<String>, String), String> {
    let row = |port: &Port| (port.ifname.clone(), port.node.clone(), port.network.clone());
    apart(&ports.iter().map(row).collect::<Vec<_>>(), words)
}

/// A port, its node and its network.
type Row = (String, Option<String>, Option<String>);

fn apart(ports: &[Row], words: &[String]) -> Result<(Vec<String>, String), String> {
    let is_port = |word: &str| ports.iter().any(|(port, ..)| port == word);
    let is_node = |word: &str| ports.iter().any(|(_, node, _)| node.as_deref() == Some(word));
    // One of a node's, as other verbs have it too.
    let is_place = |word: &str| {
        let place = word.split_once(':');
        place.is_some_and(|(node, network)| {
            let is = |own: &Option<String>, named: &str| own.as_deref() == Some(named);
            ports.iter().any(|(_, own, within)| is(own, node) && is(within, network))
        })
    };
    let names = |word: &&String| is_port(word) || is_node(word) || is_place(word);
    let count = words.iter().take_while(names).count();
    let (before, filter) = words.split_at(count);
    let filter = filter.join(" ");
    let mut rest = filter.split_whitespace();
    if let (Some(join @ ("and" | "or" | "&&" | "||")), 1..) = (rest.next(), count) {
        let rest: Vec<_> = rest.collect();
        return Err(joined(before, join, &rest, &is_node));
    }
    Ok((before.to_vec(), filter))
}

/// What to write instead of ports that a filter joins.
fn joined(before: &[String], join: &str, after: &[&str], is_node: &dyn Fn(&str) -> bool) -> String {
    let said = before.join(" ");
    let meant = if before.iter().all(|word| is_node(word)) {
        let host = |words: &[&str]| {
            let mut last = "";
            let mut out = Vec::new();
            for word in words {
                let alone = matches!(last, "" | "and" | "or" | "not" | "&&" | "||" | "!" | "(");
                out.push(if alone && is_node(word) {
                    format!("host {word}")
                } else {
                    (*word).into()
                });
                last = word;
            }
            out.join(" ")
        };
        let hosts: Vec<_> = before.iter().map(|word| format!("host {word}")).collect();
        format!("{} {join} {}", hosts.join(&format!(" {join} ")), host(after))
    } else {
        format!("{said} {}", after.join(" "))
    };
    format!("`{said}` names what to look at, and no filter begins with `{join}`: write \"{meant}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_nodes_and_places_come_before_the_filter() {
        let port = |ifname: &str, node: &str, network: &str| {
            (ifname.to_owned(), Some(node.to_owned()), Some(network.to_owned()))
        };
        let ports = [port("veth1", "net1", "lan"), port("veth2", "net2", "dmz")];
        let split = |line: &str| {
            let words: Vec<String> = line.split(' ').map(Into::into).collect();
            apart(&ports, &words).map(|(ports, filter)| (ports.join(" "), filter))
        };
        for (line, named, filter) in [
            ("net1:lan icmp", "net1:lan", "icmp"),
            ("net1 veth2 tcp port 80", "net1 veth2", "tcp port 80"),
            ("net1:dmz icmp", "", "net1:dmz icmp"),
            ("host net1", "", "host net1"),
        ] {
            assert_eq!(split(line), Ok((named.into(), filter.into())), "{line}");
        }
        let meant = split("net1 and net2").unwrap_err();
        assert!(meant.contains("host net1 and host net2"), "{meant}");
    }
}
