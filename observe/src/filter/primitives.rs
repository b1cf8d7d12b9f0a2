//! Primitives that are a word, or a word and a number: lengths, `inbound`, `vlan 5`, `llc`.

use super::ast::{At, Expr, Is, Size, Test, Value};
use super::error::FilterError;
use super::layers::Layers;
use super::lex::{Kind, Word};
use super::parse::{Meaning, Parser};
use super::protocols::{self, IP, Proto};

impl<'a> Parser<'a> {
    /// The primitive that `word` begins.
    pub(super) fn primitive(&mut self, word: &Word<'a>) -> Result<(Expr, Meaning), FilterError> {
        let number = |value: u32, is: Is| {
            Expr::Test(Test::Relation { left: Value::Length, is, right: Value::Number(value) })
        };
        let expr = match word.text {
            "less" => number(self.plain_number()?, Is::Greater).not(),
            "greater" => number(self.plain_number()?, Is::AtLeast),
            "byte" => self.byte()?,
            "broadcast" => self.broadcast(None, word)?,
            "multicast" => self.about(word, protocols::multicast(None, &self.layers))?,
            "inbound" => Expr::Test(Test::Inbound),
            "outbound" => Expr::Test(Test::Inbound).not(),
            "vlan" => self.layer(word, Layers::vlan)?,
            "mpls" => self.layer(word, Layers::mpls)?,
            "pppoes" => self.layer(word, Layers::pppoes)?,
            "pppoed" => self.about(word, self.layers.pppoed())?,
            "llc" => self.llc(word)?,
            _ => return self.qualified(word),
        };
        Ok((expr, None))
    }

    /// A number on its own.
    fn plain_number(&mut self) -> Result<u32, FilterError> {
        let word = self.take()?;
        match word.kind {
            Kind::Number(value) => Ok(value),
            _ => Err(self.error(word.at, format!("`{}` is no number", word.text))),
        }
    }

    /// A header that moves those behind it, with a number where one follows.
    fn layer(
        &mut self,
        word: &Word<'a>,
        step: fn(&mut Layers, Option<u32>) -> Result<Expr, String>,
    ) -> Result<Expr, FilterError> {
        let mut open = Vec::new();
        while self.next_is("(") {
            open.push(self.take()?);
        }
        let mut about = word.clone();
        let number = match self.peek().cloned() {
            Some(word) if matches!(word.kind, Kind::Number(_) | Kind::BadNumber) => {
                about = word;
                Some(self.plain_number()?)
            }
            _ if open.is_empty() => None,
            _ => Some(self.plain_number()?),
        };
        for word in open.into_iter().rev() {
            self.close(&word)?;
        }
        let outcome = step(&mut self.layers, number);
        self.about(&about, outcome)
    }

    /// `byte 0 = 1`.
    fn byte(&mut self) -> Result<Expr, FilterError> {
        let at = self.plain_number()?;
        let word = self.take()?;
        let value = self.plain_number()?;
        let place = At::Frame(self.layers.link() + at as usize);
        let field = |is| Expr::field(place, Size::One, u32::MAX, is, value);
        match word.text {
            "=" | "==" => Ok(field(Is::Equal)),
            "<" => Ok(field(Is::AtLeast).not()),
            ">" => Ok(field(Is::Greater)),
            "&" | "|" => {
                let message = format!("write `ether[{at}] {} {value} != 0`", word.text);
                Err(self.error(word.at, message))
            }
            _ => Err(self.error(word.at, "`byte` wants `=`, `<` or `>`, then a number".into())),
        }
    }

    /// `broadcast` behind a protocol word, or alone.
    pub(super) fn broadcast(
        &self,
        proto: Option<Proto>,
        word: &Word<'_>,
    ) -> Result<Expr, FilterError> {
        let outcome = match proto {
            None | Some(Proto::Link) => {
                self.layers.ethernet().map(|link| Expr::bytes(link, &[0xff; 6]))
            }
            Some(IP) => self.layers.carries(wire::ethertype::IPV4).and_then(|ip| {
                let mask = self.known.netmask.ok_or(
                    "what a broadcast is, the network's mask says, which is not known here: write \
                     `ether broadcast`",
                )?;
                let host = !mask.to_bits();
                let dst = |value| Expr::masked(self.layers.net() + 16, Size::Four, value, host);
                Ok(ip.and(dst(0).or(dst(u32::MAX))))
            }),
            Some(_) => Err("`broadcast` goes with ether or ip".into()),
        };
        self.about(word, outcome)
    }

    /// `llc`, or one of its kinds.
    fn llc(&mut self, word: &Word<'a>) -> Result<Expr, FilterError> {
        let layers = &self.layers;
        let kind = self.peek().filter(|word| word.kind == Kind::Name).map(|word| word.text);
        let control = |value, mask| layers.llc_control(value, mask);
        let test = match kind.unwrap_or_default() {
            "i" => control(0, 1),
            "s" => control(1, 3),
            "u" => control(3, 3),
            "rr" => control(0x1, 0xf),
            "rnr" => control(0x5, 0xf),
            "rej" => control(0x9, 0xf),
            "ui" => control(0x03, 0xef),
            "ua" => control(0x63, 0xef),
            "disc" => control(0x43, 0xef),
            "sabme" => control(0x6f, 0xef),
            "test" => control(0xe3, 0xef),
            "xid" => control(0xaf, 0xef),
            "frmr" => control(0x87, 0xef),
            _ => return self.about(word, layers.llc()),
        };
        self.next += 1;
        self.about(word, test)
    }
}
