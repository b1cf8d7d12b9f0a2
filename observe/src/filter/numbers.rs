//! Names people write for numbers: services, IP protocols, EtherTypes, and the constants of the
//! language. Services and protocols are those of IANA as Debian's netbase has them; what the
//! machine's own files call otherwise does not change what a filter means.

use wire::ethertype::{ARP, IPV4, IPV6};

use super::layers::sap;

/// What a service is spoken over. One of TCP and UDP has the ports of any protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Tcp,
    Udp,
    Any,
}

/// A service's port, and what it is spoken over.
pub(super) fn service(name: &str) -> Option<(u16, Over)> {
    let tables = [(TCP, Over::Tcp), (UDP, Over::Udp), (BOTH, Over::Any)];
    tables.iter().find_map(|(table, over)| find(table, name).map(|port| (port, *over)))
}

/// The number of a protocol that IP carries.
pub(super) fn ip_protocol(name: &str) -> Option<u8> {
    find(PROTOCOLS, name)
}

/// An EtherType, or an access point of LLC.
pub(super) fn ether_type(name: &str) -> Option<u16> {
    find(ETHER_TYPES, name)
}

/// A protocol of ISO's, by its number in its own header.
pub(super) fn iso_protocol(name: &str) -> Option<u8> {
    find(ISO, name)
}

/// A constant of the language, as in `tcp[tcpflags] & tcp-syn != 0`.
pub(super) fn constant(name: &str) -> Option<u32> {
    find(CONSTANTS, name)
}

/// All constants, for one that was misspelt.
pub(super) fn constants() -> impl Iterator<Item = &'static str> {
    CONSTANTS.iter().map(|(name, _)| *name)
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Spoken over TCP.
#[rustfmt::skip]
const TCP: &[(&str, u16)] = &[
    ("ftp-data", 20), ("ftp", 21), ("ssh", 22), ("telnet", 23), ("mail", 25), ("smtp", 25),
    ("nicname", 43), ("whois", 43), ("gopher", 70), ("finger", 79), ("http", 80), ("www", 80),
    ("pop-3", 110), ("pop3", 110), ("auth", 113), ("authentication", 113), ("ident", 113),
    ("tap", 113), ("nntp", 119), ("readnews", 119), ("untp", 119), ("epmap", 135),
    ("loc-srv", 135), ("netbios-ssn", 139), ("imap", 143), ("imap2", 143), ("bgp", 179),
    ("microsoft-ds", 445), ("smtps", 465), ("ssmtp", 465), ("submissions", 465), ("urd", 465),
    ("printer", 515), ("spooler", 515), ("submission", 587), ("ipp", 631), ("rsync", 873),
    ("telnets", 992), ("imaps", 993), ("pop3s", 995), ("socks", 1080), ("ms-sql-s", 1433),
    ("iscsi-target", 3260), ("mysql", 3306), ("ms-wbt-server", 3389), ("subversion", 3690),
    ("svn", 3690), ("jabber-client", 5222), ("xmpp-client", 5222), ("jabber-server", 5269),
    ("xmpp-server", 5269), ("postgres", 5432), ("postgresql", 5432), ("amqps", 5671),
    ("amqp", 5672), ("x11", 6000), ("x11-0", 6000), ("redis", 6379), ("syslog-tls", 6514),
    ("ircd", 6667), ("ircs-u", 6697), ("http-alt", 8080), ("webcache", 8080), ("git", 9418),
    ("zabbix-agent", 10050), ("zabbix-trapper", 10051), ("nbd", 10809),
];

/// Spoken over UDP.
#[rustfmt::skip]
const UDP: &[(&str, u16)] = &[
    ("bootps", 67), ("bootpc", 68), ("tftp", 69), ("ntp", 123), ("netbios-ns", 137),
    ("netbios-dgm", 138), ("isakmp", 500), ("syslog", 514), ("route", 520), ("routed", 520),
    ("router", 520), ("dhcpv6-client", 546), ("dhcpv6-server", 547), ("ms-sql-m", 1434),
    ("l2f", 1701), ("l2tp", 1701), ("ipsec-nat-t", 4500), ("mdns", 5353),
];

/// Spoken over both.
#[rustfmt::skip]
const BOTH: &[(&str, u16)] = &[
    ("echo", 7), ("discard", 9), ("null", 9), ("sink", 9), ("daytime", 13), ("chargen", 19),
    ("source", 19), ("ttytst", 19), ("time", 37), ("timserver", 37), ("tacacs", 49),
    ("domain", 53), ("kerberos", 88), ("kerberos-sec", 88), ("kerberos5", 88), ("krb5", 88),
    ("portmapper", 111), ("sunrpc", 111), ("snmp", 161), ("snmp-trap", 162), ("snmptrap", 162),
    ("ldap", 389), ("https", 443), ("kpasswd", 464), ("rtsp", 554), ("ldaps", 636), ("ldp", 646),
    ("domain-s", 853), ("openvpn", 1194), ("radius", 1812), ("radacct", 1813),
    ("radius-acct", 1813), ("nfs", 2049), ("sip", 5060), ("sip-tls", 5061),
];

#[rustfmt::skip]
const PROTOCOLS: &[(&str, u8)] = &[
    ("ip", 0), ("hopopt", 0), ("icmp", 1), ("igmp", 2), ("ggp", 3), ("ipencap", 4), ("st", 5),
    ("tcp", 6), ("egp", 8), ("igp", 9), ("pup", 12), ("udp", 17), ("hmp", 20), ("xns-idp", 22),
    ("rdp", 27), ("iso-tp4", 29), ("dccp", 33), ("xtp", 36), ("ddp", 37), ("idpr-cmtp", 38),
    ("ipv6", 41), ("ipv6-route", 43), ("ipv6-frag", 44), ("idrp", 45), ("rsvp", 46), ("gre", 47),
    ("esp", 50), ("ah", 51), ("skip", 57), ("ipv6-icmp", 58), ("ipv6-nonxt", 59),
    ("ipv6-opts", 60), ("rspf", 73), ("vmtp", 81), ("eigrp", 88), ("ospf", 89), ("ax.25", 93),
    ("ipip", 94), ("etherip", 97), ("encap", 98), ("pim", 103), ("ipcomp", 108), ("vrrp", 112),
    ("l2tp", 115), ("isis", 124), ("sctp", 132), ("fc", 133), ("mobility-header", 135),
    ("udplite", 136), ("mpls-in-ip", 137), ("manet", 138), ("hip", 139), ("shim6", 140),
    ("wesp", 141), ("rohc", 142), ("ethernet", 143),
];

#[rustfmt::skip]
const ETHER_TYPES: &[(&str, u16)] = &[
    ("ip", IPV4), ("ip6", IPV6), ("arp", ARP), ("rarp", 0x8035), ("pup", 0x0200), ("xns", 0x0600),
    ("sprite", 0x0500), ("mopdl", 0x6001), ("moprc", 0x6002), ("decnet", 0x6003), ("lat", 0x6004),
    ("sca", 0x6007), ("loopback", 0x9000), ("vexp", 0x805b), ("vprod", 0x805c), ("atalk", 0x809b),
    ("aarp", 0x80f3), ("iso", sap::ISO), ("stp", sap::STP), ("ipx", sap::IPX),
    ("netbeui", sap::NETBEUI),
];

#[rustfmt::skip]
const ISO: &[(&str, u8)] = &[
    ("clnp", 0x81), ("esis", 0x82), ("isis", 0x83),
];

#[rustfmt::skip]
const CONSTANTS: &[(&str, u32)] = &[
    ("icmptype", 0), ("icmpcode", 1), ("icmp-echoreply", 0), ("icmp-unreach", 3),
    ("icmp-sourcequench", 4), ("icmp-redirect", 5), ("icmp-echo", 8), ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10), ("icmp-timxceed", 11), ("icmp-paramprob", 12),
    ("icmp-tstamp", 13), ("icmp-tstampreply", 14), ("icmp-ireq", 15), ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17), ("icmp-maskreply", 18), ("icmp6type", 0), ("icmp6code", 1),
    ("icmp6-destinationunreach", 1), ("icmp6-packettoobig", 2), ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4), ("icmp6-echo", 128), ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130), ("icmp6-multicastlistenerreportv1", 131),
    ("icmp6-multicastlistenerdone", 132), ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134), ("icmp6-neighborsolicit", 135), ("icmp6-neighboradvert", 136),
    ("icmp6-redirect", 137), ("icmp6-routerrenum", 138), ("icmp6-nodeinformationquery", 139),
    ("icmp6-nodeinformationresponse", 140), ("icmp6-ineighbordiscoverysolicit", 141),
    ("icmp6-ineighbordiscoveryadvert", 142), ("icmp6-multicastlistenerreportv2", 143),
    ("icmp6-homeagentdiscoveryrequest", 144), ("icmp6-homeagentdiscoveryreply", 145),
    ("icmp6-mobileprefixsolicit", 146), ("icmp6-mobileprefixadvert", 147),
    ("icmp6-certpathsolicit", 148), ("icmp6-certpathadvert", 149),
    ("icmp6-multicastrouteradvert", 151), ("icmp6-multicastroutersolicit", 152),
    ("icmp6-multicastrouterterm", 153), ("tcpflags", 13), ("tcp-fin", 1), ("tcp-syn", 2),
    ("tcp-rst", 4), ("tcp-push", 8), ("tcp-ack", 16), ("tcp-urg", 32), ("tcp-ece", 64),
    ("tcp-cwr", 128),
];
