//! Words of libpcap's language that are not read here, and what to write instead: they are about
//! links and logs that a lab does not have, or about headers whose place a filter cannot know.

/// Links and logs, and their words.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "wireless frames",
        &[
            "type",
            "subtype",
            "dir",
            "direction",
            "addr1",
            "addr2",
            "addr3",
            "addr4",
            "address1",
            "address2",
            "address3",
            "address4",
            "ra",
            "ta",
            "radio",
        ],
    ),
    (
        "ATM",
        &[
            "lane",
            "metac",
            "bcc",
            "oam",
            "oamf4",
            "oamf4ec",
            "oamf4sc",
            "sc",
            "ilmic",
            "vpi",
            "vci",
            "connectmsg",
            "metaconnect",
        ],
    ),
    (
        "SS7",
        &[
            "fisu", "lssu", "lsu", "msu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls",
            "hsio", "hopc", "hdpc", "hsls",
        ],
    ),
    (
        "the log of pf",
        &["rset", "ruleset", "rnr", "rulenum", "srnr", "subrulenum", "reason", "action"],
    ),
];

/// Why a word is not read, with what to write instead.
pub(super) fn why(word: &str) -> Option<String> {
    let instead = match word {
        "geneve" => "write `udp port 6081`",
        "vxlan" => "write `udp port 4789`",
        "batadv" => "write `ether proto 0x4305`",
        "on" | "ifname" | "ifindex" => "write the port before the filter, as in `veth1 icmp`",
        _ => {
            let (about, _) = ELSEWHERE.iter().find(|(_, words)| words.contains(&word))?;
            return Some(format!(
                "`{word}` is about {about}, which a lab does not have: frames here are Ethernet"
            ));
        }
    };
    Some(format!("`{word}` is not read here: {instead}"))
}
