//! Qualifiers and the identifiers behind them: `src host 10.100.0.10`, `tcp port (80 or 443)`.

use std::net::IpAddr;

use super::Host;
use super::ast::{Dir, Expr};
use super::ends::{Ends, Ports, mask4, partial_v4};
use super::error::FilterError;
use super::lex::{self, Word};
use super::numbers;
use super::parse::{Meaning, Parser, is_keyword};
use super::protocols::{self, Proto};

/// What kind of identifier follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    ProtoChain,
    Gateway,
}

/// Words for the kind of identifier.
pub(super) const KINDS: &[(&str, Kind)] = &[
    ("host", Kind::Host),
    ("net", Kind::Net),
    ("port", Kind::Port),
    ("portrange", Kind::PortRange),
    ("proto", Kind::Proto),
    ("protochain", Kind::ProtoChain),
    ("gateway", Kind::Gateway),
];

/// The words before an identifier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Qualifiers {
    proto: Option<Proto>,
    dir: Option<Dir>,
    kind: Option<Kind>,
}

impl<'a> Parser<'a> {
    /// `[proto] [direction] [kind] identifier`, a protocol alone, or an address or a node alone.
    pub(super) fn qualified(&mut self, first: &Word<'a>) -> Result<(Expr, Meaning), FilterError> {
        let mut q = Qualifiers { proto: protocols::named(first.text), ..Qualifiers::default() };
        let mut word = first.clone();
        if let Some(proto) = q.proto {
            match self.peek().map(|word| word.text) {
                Some("broadcast") => {
                    let word = self.take()?;
                    return Ok((self.broadcast(q.proto, &word)?, None));
                }
                Some("multicast") => {
                    let word = self.take()?;
                    let test = protocols::multicast(q.proto, &self.layers);
                    return Ok((self.about(&word, test)?, None));
                }
                Some(next) if kind(next).is_some() || matches!(next, "src" | "dst") => {
                    word = self.take()?;
                }
                _ => return Ok((self.about(&word, proto.alone(&self.layers))?, None)),
            }
        }
        if matches!(word.text, "src" | "dst") {
            q.dir = Some(self.direction(word.text));
            if let Some(next) = self.peek().filter(|word| kind(word.text).is_some()).cloned() {
                self.next += 1;
                word = next;
            }
        }
        q.kind = kind(word.text);
        let directed = matches!(q.kind, Some(Kind::Proto | Kind::ProtoChain | Kind::Gateway));
        if directed && q.dir.is_some() {
            let message = format!("`{}` has no source or destination", word.text);
            return Err(self.error(word.at, message));
        }
        if q.proto.is_none() && q.dir.is_none() && q.kind.is_none() {
            // Beyond tcpdump: an address or a node says enough.
            self.next -= 1;
            let known = matches!(first.kind, lex::Kind::V6(_))
                || (first.kind == lex::Kind::Dotted && first.text.split('.').count() == 4)
                || (!is_keyword(first.text) && !(self.known.host)(name(first.text)).is_empty());
            if !known {
                return Err(self.unknown(first));
            }
        }
        Ok((self.identifier(q)?, Some(q)))
    }

    /// `src`, `dst`, `src or dst`, `src and dst`.
    fn direction(&mut self, word: &str) -> Dir {
        let other = if word == "src" { "dst" } else { "src" };
        let after = self.words.get(self.next + 1).map(|word| word.text);
        let dir = match (self.peek().map(|word| word.text), after) {
            (Some("or" | "||"), Some(next)) if next == other => Dir::Either,
            (Some("and" | "&&"), Some(next)) if next == other => Dir::Both,
            _ if word == "src" => return Dir::Src,
            _ => return Dir::Dst,
        };
        self.next += 2;
        dir
    }

    /// An identifier, or a list of them in parentheses.
    pub(super) fn identifier(&mut self, q: Qualifiers) -> Result<Expr, FilterError> {
        let word = self.take()?;
        match word.text {
            "not" | "!" => self.deeper(&word, |parser| Ok(parser.identifier(q)?.not())),
            "(" => self.deeper(&word, |parser| {
                let mut left = parser.identifier(q)?;
                loop {
                    let join = match parser.peek().map(|word| word.text) {
                        Some("and" | "&&") => Expr::and,
                        Some("or" | "||") => Expr::or,
                        _ => break,
                    };
                    parser.next += 1;
                    left = join(left, parser.identifier(q)?);
                }
                parser.close(&word)?;
                Ok(left)
            }),
            _ => self.one(q, &word),
        }
    }

    fn one(&mut self, q: Qualifiers, word: &Word<'a>) -> Result<Expr, FilterError> {
        let is_proto = matches!(q.kind, Some(Kind::Proto | Kind::ProtoChain));
        // `proto` takes names that are words of the language elsewhere.
        let keyword = is_keyword(word.text) && !is_proto;
        if keyword || matches!(word.kind, lex::Kind::Sign | lex::Kind::Strange) {
            return Err(self.error(word.at.clone(), self.no_identifier(q, word)));
        }
        if word.kind == lex::Kind::BadNumber {
            let message = format!("`{}` is no number of 32 bits", word.text);
            return Err(self.error(word.at.clone(), message));
        }
        let outcome = match q.kind.unwrap_or(Kind::Host) {
            Kind::Host | Kind::Net if self.next_is("/") || self.next_is("mask") => {
                return self.masked(q, word);
            }
            Kind::Host => self.host(q, word),
            Kind::Net => self.net(q, word),
            Kind::Port => port(word).and_then(|ports| self.ends(&q).ports(ports)),
            Kind::PortRange => match word.kind {
                lex::Kind::Number(_) => port(word),
                _ => Ports::range(word.text),
            }
            .and_then(|ports| self.ends(&q).ports(ports)),
            Kind::Proto => {
                protocol(q, word).and_then(|number| Proto::carrying(q.proto, &self.layers, number))
            }
            Kind::ProtoChain => protocol(q, word)
                .and_then(|number| Proto::leading_to(q.proto, &self.layers, number)),
            Kind::Gateway => self.gateway(q, word),
        };
        self.about(word, outcome)
    }

    /// What to say of a word that is no identifier.
    fn no_identifier(&self, q: Qualifiers, word: &Word<'_>) -> String {
        let text = word.text;
        let mut line = format!("an address, name or number should stand here, not `{text}`");
        let host = matches!(q.kind, None | Some(Kind::Host));
        if host && !(self.known.host)(text).is_empty() {
            line.push_str(&format!(": of the node write `host \\{text}`"));
        }
        line
    }

    fn ends(&self, q: &Qualifiers) -> Ends<'_> {
        Ends { layers: &self.layers, proto: q.proto, dir: q.dir.unwrap_or(Dir::Either) }
    }

    fn known_host(&self, word: &Word<'_>) -> Vec<Host> {
        let is = word.kind == lex::Kind::Name;
        if is { (self.known.host)(name(word.text)) } else { Vec::new() }
    }

    fn host(&self, q: Qualifiers, word: &Word<'_>) -> Result<Expr, String> {
        let ends = self.ends(&q);
        let id = name(word.text);
        let known = self.known_host(word);
        match word.kind {
            lex::Kind::Mac(mac) => ends.mac(mac),
            lex::Kind::V6(addr) => ends.address(addr.into(), 128),
            _ if !known.is_empty() && q.proto == Some(Proto::Link) => {
                let macs = known.iter().filter_map(|host| host.mac);
                any(macs.map(|mac| ends.mac(mac)))
                    .unwrap_or_else(|| Err(format!("the MAC address of `{id}` is not known")))
            }
            _ if !known.is_empty() => any(addresses(&known).map(|own| whole(&ends, own)))
                .unwrap_or_else(|| Err(format!("the address of `{id}` is not known"))),
            lex::Kind::Dotted => {
                let (addr, bits) = partial_v4(id).ok_or(format!("`{id}` is no IPv4 address"))?;
                ends.v4(addr, mask4(bits))
            }
            lex::Kind::Number(_) => {
                Err(format!("`{id}` is no address: for a port write `port {id}`"))
            }
            _ => Err(format!("`{id}` is neither an address nor a node of the lab")),
        }
    }

    fn net(&self, q: Qualifiers, word: &Word<'_>) -> Result<Expr, String> {
        let ends = self.ends(&q);
        match word.kind {
            lex::Kind::V6(addr) => ends.address(addr.into(), 128),
            lex::Kind::Dotted | lex::Kind::Number(_) => {
                let text = word.text;
                let (addr, bits) = partial_v4(text)
                    .ok_or(format!("`{text}` is no network: write 10.100.0.0/16"))?;
                ends.v4(addr, mask4(bits))
            }
            _ => Err(format!("`{}` is no network: write 10.100.0.0/16", word.text)),
        }
    }

    /// `10.100.0.0/16`, `10.100.0.0 mask 255.255.0.0`: `word` is the address.
    fn masked(&mut self, q: Qualifiers, word: &Word<'a>) -> Result<Expr, FilterError> {
        let how = self.take()?;
        let by = self.take()?;
        let about = Word { at: word.at.start..by.at.end, ..word.clone() };
        let text = self.text[about.at.clone()].to_string();
        let outcome = self.network(q, word, how.text, &by, &text);
        self.about(&about, outcome)
    }

    fn network(
        &self,
        q: Qualifiers,
        word: &Word<'_>,
        how: &str,
        by: &Word<'_>,
        text: &str,
    ) -> Result<Expr, String> {
        let one = matches!((word.kind, by.text), (lex::Kind::V6(_), "128"));
        if q.kind != Some(Kind::Net) && !one {
            return Err(format!("`{text}` is a network: write `net {text}`"));
        }
        let outside = || format!("`{text}` has bits set behind its prefix");
        let no_mask =
            || format!("`{}` is no {}", by.text, if how == "/" { "prefix length" } else { "mask" });
        let bits = match by.kind {
            lex::Kind::Number(bits) if how == "/" => Some(bits),
            lex::Kind::Dotted if how == "mask" => None,
            _ => return Err(no_mask()),
        };
        if let lex::Kind::V6(addr) = word.kind {
            let bits = bits.and_then(|bits| u8::try_from(bits).ok()).filter(|bits| *bits <= 128);
            let bits = bits.ok_or("an IPv6 network has a prefix of 0 to 128 bits")?;
            let host = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            if addr.to_bits() & host != 0 {
                return Err(outside());
            }
            return self.ends(&q).address(IpAddr::V6(addr), bits);
        }
        let addr = match word.kind {
            lex::Kind::Dotted | lex::Kind::Number(_) => partial_v4(word.text),
            _ => None,
        };
        let (addr, _) =
            addr.ok_or_else(|| format!("`{}` is no network: write 10.100.0.0/16", word.text))?;
        let mask = match bits {
            Some(bits @ ..=32) => mask4(u8::try_from(bits).unwrap_or(32)),
            Some(bits) => return Err(format!("a prefix is at most 32, not {bits}")),
            None => partial_v4(by.text).ok_or_else(no_mask)?.0.to_bits(),
        };
        if addr.to_bits() & !mask != 0 {
            return Err(outside());
        }
        self.ends(&q).v4(addr, mask)
    }

    /// Frames that a host hands on: to or from its MAC address, and not to or from its own address.
    fn gateway(&self, q: Qualifiers, word: &Word<'_>) -> Result<Expr, String> {
        let id = name(word.text);
        let known = self.known_host(word);
        let ends = self.ends(&q);
        let link = |mac| Ends { proto: Some(Proto::Link), ..ends }.mac(mac);
        let links = any(known.iter().filter_map(|host| host.mac).map(link));
        let own = any(addresses(&known).map(|own| whole(&ends, own)));
        let (Some(links), Some(own)) = (links, own) else {
            return Err(format!(
                "`gateway` wants a node's name, not `{id}`: write `ether host MAC and not host ADDRESS`"
            ));
        };
        Ok(links?.and(own?.not()))
    }
}

/// One of several; None where there are none.
fn any(all: impl Iterator<Item = Result<Expr, String>>) -> Option<Result<Expr, String>> {
    all.reduce(|one, other| Ok(one?.or(other?)))
}

fn addresses(known: &[Host]) -> impl Iterator<Item = IpAddr> + '_ {
    known.iter().filter_map(|host| host.address)
}

fn whole(ends: &Ends<'_>, address: IpAddr) -> Result<Expr, String> {
    ends.address(address, if address.is_ipv4() { 32 } else { 128 })
}

fn kind(word: &str) -> Option<Kind> {
    KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
}

/// A name without the backslash that keeps it from being a keyword.
fn name(text: &str) -> &str {
    text.strip_prefix('\\').unwrap_or(text)
}

fn port(word: &Word<'_>) -> Result<Ports, String> {
    let text = name(word.text);
    match word.kind {
        lex::Kind::Number(number) => match u16::try_from(number) {
            Ok(port) => Ok(Ports::one(port)),
            Err(_) => Err(format!("`{text}` is no port: 0 to 65535")),
        },
        _ => Ports::named(text),
    }
}

fn protocol(q: Qualifiers, word: &Word<'_>) -> Result<u32, String> {
    if let lex::Kind::Number(number) = word.kind {
        return Ok(number);
    }
    let id = name(word.text);
    let numbered = || match protocols::named(id) {
        Some(Proto::Ip(_, number)) => Some(number),
        _ => numbers::ip_protocol(id),
    };
    match q.proto {
        Some(Proto::Link) => numbers::ether_type(id)
            .map(u32::from)
            .ok_or_else(|| format!("`{id}` is no EtherType: write ip, ip6, arp or a number")),
        Some(Proto::Iso) => numbers::iso_protocol(id)
            .map(u32::from)
            .ok_or_else(|| format!("`{id}` is no protocol of ISO: write clnp, esis or isis")),
        _ => numbered().map(u32::from).ok_or_else(|| {
            format!("`{id}` is no protocol: write tcp, udp, icmp or a number up to 255")
        }),
    }
}
