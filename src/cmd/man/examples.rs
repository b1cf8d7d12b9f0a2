//! What the manual shows of each verb: lines to type, and pages that stand near.

/// Lines to type, with what they do.
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
        "fdb" => &[("uswitch fdb flush net1", "Forgets the addresses learned behind net1.")],
        "nat" => &[("uswitch nat flush", "Forgets every session.")],
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
