//! What the manual shows of each verb: lines to type, and pages that stand near.

/// Lines to type, with what they do, of a verb with the words before it: `fdb add`.
pub(super) fn of(verb: &str) -> &'static [(&'static str, &'static str)] {
    match verb {
        "uswitch" => &[
            ("uswitch run", "Builds a lab of two nodes, checks it with pings, stays until Ctrl-C."),
            ("uswitch up && uswitch shell net1", "A lab in the background, and a shell in a node."),
            ("uswitch down", "Undoes all of it."),
        ],
        "run" => &[
            ("uswitch run pair", "The walkthrough's first half: two namespaces on one veth pair."),
            ("uswitch run -n 4 --check", "Four nodes on the switch; ends after the checks."),
            ("uswitch run --dry-run", "Prints the commands that would build the same by hand."),
            ("uswitch run -p 8080:net1:80", "Port 8080 of the uplink leads to port 80 of net1."),
            (
                "uswitch run lab.yaml",
                "The lab that a file says; `uswitch schema` says what it may.",
            ),
            ("uswitch run --uplink auto", "The nodes share this host's address on its network."),
        ],
        "up" => &[
            ("uswitch up", "Builds and checks a lab and leaves it in the background."),
            ("uswitch up -v 2>steps.sh", "The same, and writes down what was done as commands."),
            ("uswitch up mesh -n 5 --name m1", "A second lab beside the first."),
        ],
        "down" => &[
            ("uswitch down", "Stops the lab that runs; after a crash removes what it left."),
            ("uswitch down m1", "Stops the lab m1."),
        ],
        "serve" => &[
            (
                "uswitch serve",
                "Serves Docker: `docker network create -d uswitch lab` from then on.",
            ),
            ("uswitch serve --clean", "Undoes what a server has left: links, interfaces."),
        ],
        "ls" => &[("uswitch ls -j", "The labs that run, as JSON.")],
        "ping" => &[
            ("uswitch ping net1 net2", "From net1 to net2, until Ctrl-C."),
            ("uswitch ping net1 internet -c 3", "Three times to the simulated internet."),
            ("uswitch ping --all", "Every node to every other."),
            ("uswitch ping net1 8.8.8.8 --split", "Where the time of each round trip goes."),
        ],
        "exec" => &[("uswitch exec net1 -- ip addr", "What net1 sees of its interfaces.")],
        "shell" => &[("uswitch shell net1", "A shell in net1.")],
        "show" => &[
            ("uswitch show topology --file >lab.yaml", "The running lab as a file."),
            ("uswitch show fdb", "The switch's table of addresses."),
            ("uswitch show ports -j", "Its ports as JSON, with the fields of `ip -j -s link`."),
        ],
        "schema" => &[
            ("uswitch schema >lab.schema.json", "For editors: what a lab's file may say."),
            ("uswitch schema show ports", "What `uswitch show ports -j` prints."),
        ],
        "top" => &[("uswitch top -b -n 1", "One look, as text.")],
        "web" => &[
            ("uswitch web", "Prints an address to open; Ctrl-C ends the page."),
            ("uswitch web --listen 8000", "The same at port 8000, as for a tunnel of ssh."),
        ],
        "capture" => &[
            ("uswitch capture net1 icmp", "A line for each ICMP frame of net1."),
            ("uswitch capture -w - | tcpdump -r -", "All frames, read by tcpdump."),
        ],
        "trace" => &[("uswitch trace net1 icmp -c 2", "The way of the next two ICMP frames.")],
        "explain" => &[
            ("uswitch explain net1 8.8.8.8:443", "Whether net1 would reach a port outside."),
            (
                "uswitch explain net1 8.8.8.8/gre",
                "The same of a tunnel's packet, which has no port.",
            ),
            ("uswitch explain inet 203.0.113.2:80", "What comes of a packet from outside."),
        ],
        "monitor" => &[("uswitch monitor -j", "What happens, an object a line.")],
        "add" => &[
            ("uswitch add web --address 10.100.0.80", "A node of that name and address."),
            ("uswitch add --dry-run", "Prints what would be done."),
        ],
        "remove" => &[("uswitch remove net3 web", "Takes two nodes out.")],
        "publish" => &[
            (
                "uswitch publish 8080:net1:80",
                "TCP port 8080 of the uplink leads to port 80 of net1.",
            ),
            ("uswitch publish 53:net2:53/udp", "The same for UDP."),
        ],
        "unpublish" => &[("uswitch unpublish 8080", "Withdraws it.")],
        "metrics" => &[("uswitch metrics | promtool check metrics", "Reads and checks them.")],
        "completions" => &[("source <(uswitch completions bash)", "For the running shell.")],
        "man" => &[("uswitch man show | man -l -", "Reads a page without installing it.")],
        "doctor" => &[("sudo uswitch doctor", "What root may do here, and what a lab can have.")],
        "learn" => &[("uswitch learn", "The walkthrough, a step at a time; q ends it.")],
        "iperf" => &[("uswitch iperf net1 net2 -P 4 -t 10", "Four streams for ten seconds.")],
        "graph" => &[("uswitch graph --svg >lab.svg", "A picture of the running lab.")],
        "link" => &[("uswitch link net1 down", "Pulls net1's cable; `up` plugs it in again.")],
        verb => of_tables(verb),
    }
}

/// Of verbs that change what a network, a port or a table is set to; those with words of their own show them.
fn of_tables(verb: &str) -> &'static [(&'static str, &'static str)] {
    match verb {
        "set" | "set gateway" => &[
            ("uswitch set gateway --nat none", "Packets leave with the node's own address."),
            ("uswitch set gateway --forwarding off", "The gateway forwards nothing."),
        ],
        "network" | "network add" => &[(
            "uswitch network add dmz --subnet 10.9.0.0/24 --routed lan",
            "A network that the gateway forwards to from lan, and back.",
        )],
        "network set" => &[(
            "uswitch network set lan --vlan-filtering on",
            "VLANs are told apart in lan from now on.",
        )],
        "network remove" => &[("uswitch network remove dmz", "Ends a network that nobody is in.")],
        "network ls" => &[("uswitch network ls -j", "The networks as JSON.")],
        "port" => &[
            ("uswitch port net1", "What net1's port is set to."),
            ("uswitch port net1 --isolated on", "It does not reach other isolated ports."),
            ("uswitch port net1 --network dmz", "Moves it to another network."),
        ],
        "tunnel" | "tunnel add" => &[(
            "uswitch tunnel add vxlan 7 --local 10.0.0.1 --remote 10.0.0.2",
            "Joins the first network to the one with VNI 7 at another host.",
        )],
        "tunnel check" => &[("uswitch tunnel check", "Tries the way to each other host.")],
        "tunnel remove" => &[("uswitch tunnel remove 7", "Takes the tunnel with VNI 7 out.")],
        "vlan" | "vlan add" => &[
            ("uswitch vlan add net1 10 --pvid --untagged", "net1 is in VLAN 10, without tags."),
            ("uswitch vlan add net2 10-20", "net2 has these VLANs on a trunk."),
        ],
        "vlan del" => &[("uswitch vlan del net1 1", "net1 is in VLAN 1 no longer.")],
        "fdb" | "fdb add" => &[
            ("uswitch fdb add 02:00:00:00:00:01 net1 --sticky", "It neither ages nor moves."),
            ("uswitch fdb add 02:00:00:00:00:02 --blackhole", "Frames to it are dropped."),
        ],
        "fdb del" => &[("uswitch fdb del 02:00:00:00:00:01", "Takes the address out.")],
        "fdb flush" => &[("uswitch fdb flush net1", "Forgets what was learned behind net1.")],
        "mdb" | "mdb add" => &[("uswitch mdb add net1 239.1.2.3", "net1 gets the group's frames.")],
        "mdb del" => &[("uswitch mdb del net1 239.1.2.3", "It does no longer, unless it asks.")],
        "neigh" | "neigh add" => &[(
            "uswitch neigh add 10.100.9.9 02:00:00:00:00:09",
            "Ports that suppress questions are told so.",
        )],
        "neigh del" => &[("uswitch neigh del 10.100.9.9", "It is answered for no longer.")],
        "neigh ls" => &[("uswitch neigh ls -j", "The neighbours set by hand, as JSON.")],
        "nat" | "nat flush" => &[
            ("uswitch nat flush", "Forgets every session."),
            ("uswitch nat flush --node net1 --proto tcp", "Forgets connections of one node."),
        ],
        _ => &[],
    }
}

/// Verbs whose pages stand near.
pub(super) fn near(verb: &str) -> &'static [&'static str] {
    match verb {
        "uswitch" => &["run", "up", "down", "ping", "show"],
        "run" | "up" => &["run", "up", "down", "ls"],
        "down" | "ls" => &["up", "down", "ls"],
        "ping" => &["ping", "explain", "trace"],
        "exec" | "shell" => &["exec", "shell"],
        "capture" | "trace" | "explain" => &["capture", "trace", "explain"],
        "add" | "remove" => &["add", "remove", "show"],
        "publish" | "unpublish" => &["publish", "unpublish", "show"],
        "top" | "metrics" | "monitor" | "web" => &["top", "web", "metrics", "monitor", "show"],
        _ => &["show"],
    }
}

/// Pages of others.
pub(super) fn others(verb: &str) -> &'static [&'static str] {
    match verb {
        "ping" => &["ping(8)"],
        "capture" | "trace" => &["tcpdump(8)", "pcap-filter(7)"],
        "publish" | "unpublish" | "nat" => &["nft(8)"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    /// Each page has examples, each of them is a line of that verb's, and the command takes it.
    #[test]
    fn every_page_shows_lines_of_its_own_that_are_taken() {
        fn all(command: &Command, before: &str) {
            let verb = format!("{before} {}", command.get_name());
            let words = super::super::page::words(&verb);
            let examples = of(words);
            assert!(!examples.is_empty(), "no example of {words}");
            for (line, _) in examples {
                let first = words.split(' ').next().unwrap();
                assert!(line.contains(first) || words == "uswitch", "{words}: {line}");
                // What the shell makes of the rest is not ours.
                let ours = line.split(" | ").next().unwrap();
                let ours = ours.split(" >").next().unwrap().split(" 2>").next().unwrap();
                let ours = ours.split(" && ").next().unwrap().trim_start_matches("sudo ");
                let ours = ours.trim_start_matches("source <(").trim_end_matches(')');
                let taken = Cli::try_parse_from(ours.split(' '));
                assert!(taken.is_ok(), "{line}: {:?}", taken.err().map(|e| e.to_string()));
            }
            let shown = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
            command.get_subcommands().filter(shown).for_each(|own| all(own, &verb));
        }
        all(&Cli::command(), "");
    }
}
