//! The grammar: primitives joined by `and`, `or`, `not` and parentheses.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::ast::{Dir, Expr, Test};
use super::error::{FilterError, closest};
use super::lex::{Word, words};
use super::qualifiers::{KINDS, Kind, PROTOS, Proto, Qualifiers, alone, number};
use super::{Names, ast};
use wire::MacAddr;

/// Parentheses and `not` one within another: a bound on the stack.
const DEPTH: usize = 64;
/// Words of a filter: a bound on the tree, and so on the time a frame takes.
const WORDS: usize = 1024;

const OTHERS: &[&str] =
    &["src", "dst", "vlan", "less", "greater", "broadcast", "multicast", "and", "or", "not"];

/// The tree of `text`; None where there are no words.
pub(super) fn parse(text: &str, names: Names<'_>) -> Result<Option<Expr>, FilterError> {
    let words = words(text);
    let mut parser = Parser { text, words, next: 0, names, last: None, tags: 0, depth: 0 };
    if parser.words.is_empty() {
        return Ok(None);
    }
    if let Some(word) = parser.words.get(WORDS) {
        let at = word.at.clone();
        return Err(parser.error(at, format!("a filter has at most {WORDS} words")));
    }
    let expr = parser.expr()?;
    match parser.words.get(parser.next).cloned() {
        None => Ok(Some(expr)),
        Some(word) if word.text == ")" => {
            Err(parser.error(word.at, "this parenthesis was never opened".into()))
        }
        Some(word) => Err(parser.misplaced(&word)),
    }
}

struct Parser<'a> {
    text: &'a str,
    words: Vec<Word<'a>>,
    next: usize,
    names: Names<'a>,
    /// The qualifiers a bare identifier takes over.
    last: Option<Qualifiers>,
    /// `vlan`s so far: how many tags stand before what later words look at.
    tags: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|word| word.text)
    }

    fn take(&mut self, after: &str) -> Result<Word<'a>, FilterError> {
        let end = self.text.len();
        let after = self.words.last().map_or(after, |word| word.text);
        let word = self.words.get(self.next).cloned();
        self.next += 1;
        word.ok_or_else(|| self.error(end..end, format!("something is missing after `{after}`")))
    }

    fn error(&self, at: Range<usize>, message: String) -> FilterError {
        FilterError { message, text: self.text.to_string(), at }
    }

    fn misplaced(&self, word: &Word<'_>) -> FilterError {
        let message = if matches!(word.text, "[" | "]" | "&" | "|" | "=" | "<" | ">") {
            "tests of single bytes, as in tcp[13], are not among the words known here".into()
        } else if is_keyword(word.text) {
            format!("`and` or `or` is missing before `{}`", word.text)
        } else {
            format!("`{}` stands where `and` or `or` should", word.text)
        };
        self.error(word.at.clone(), message)
    }

    fn expr(&mut self) -> Result<Expr, FilterError> {
        let mut left = self.unary("the filter's beginning")?;
        loop {
            let join = match self.peek() {
                Some("and" | "&&") => Expr::And,
                Some("or" | "||") => Expr::Or,
                _ => return Ok(left),
            };
            let word = self.take("")?;
            let right = self.unary(word.text)?;
            left = join(Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self, after: &str) -> Result<Expr, FilterError> {
        let word = self.take(after)?;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(word.at, format!("more than {DEPTH} levels deep")));
        }
        let expr = match word.text {
            "not" | "!" => Expr::Not(Box::new(self.unary(word.text)?)),
            "(" => self.group(&word)?,
            _ => self.primitive(&word)?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn group(&mut self, open: &Word<'_>) -> Result<Expr, FilterError> {
        let inner = self.expr()?;
        match self.words.get(self.next) {
            Some(word) if word.text == ")" => {
                self.next += 1;
                Ok(inner)
            }
            Some(word) => Err(self.misplaced(&word.clone())),
            None => Err(self.error(open.at.clone(), "this parenthesis is never closed".into())),
        }
    }

    fn primitive(&mut self, word: &Word<'a>) -> Result<Expr, FilterError> {
        let test = match word.text {
            "less" => Test::Less(self.length(word)?),
            "greater" => Test::Greater(self.length(word)?),
            "broadcast" => Test::EtherHost(Dir::Dst, MacAddr::BROADCAST),
            "multicast" => Test::EtherMulticast,
            "vlan" => return self.vlan(),
            _ => return self.qualified(word),
        };
        self.last = None;
        Ok(self.here(test))
    }

    fn here(&self, test: Test) -> Expr {
        Expr::Test { test, tags: self.tags }
    }

    fn length(&mut self, word: &Word<'a>) -> Result<usize, FilterError> {
        let value = self.take(word.text)?;
        value
            .text
            .parse()
            .map_err(|_| self.error(value.at, format!("`{}` is no number of bytes", value.text)))
    }

    fn vlan(&mut self) -> Result<Expr, FilterError> {
        let id = match self.words.get(self.next).cloned() {
            Some(word) if !is_keyword(word.text) => {
                self.next += 1;
                let id = number(word.text).filter(|id| *id < 4096);
                let message = || format!("`{}` is no VLAN: 0 to 4095", word.text);
                Some(id.ok_or_else(|| self.error(word.at.clone(), message()))?)
            }
            _ => None,
        };
        let test = self.here(Test::Vlan(id));
        self.last = None;
        self.tags += 1;
        Ok(test)
    }

    /// `[proto] [direction] [kind] identifier`, or a protocol alone, or a bare identifier.
    fn qualified(&mut self, first: &Word<'a>) -> Result<Expr, FilterError> {
        let mut q = Qualifiers::default();
        let mut word = first.clone();
        if let Some(proto) = find(PROTOS, word.text) {
            q.proto = Some(proto);
            if !self.peek().is_some_and(|next| is_qualifier(next) || next.ends_with("cast")) {
                let why = "`ether` wants `host`, `src`, `dst` or `proto` behind it";
                let test = alone(proto).ok_or_else(|| self.error(word.at.clone(), why.into()))?;
                self.last = None;
                return Ok(self.here(test));
            }
            word = self.take(word.text)?;
            if word.text.ends_with("cast") {
                return self.cast(proto, &word);
            }
        }
        if matches!(word.text, "src" | "dst") {
            q.dir = Some(self.direction(&word));
            let before = self.words[self.next - 1].text;
            word = self.take(before)?;
        }
        if let Some(kind) = find(KINDS, word.text) {
            q.kind = Some(kind);
            word = self.take(word.text)?;
        }
        if word.text == "(" && word.at != first.at {
            self.last = Some(q);
            return self.group(&word);
        }
        if word.at == first.at {
            q = self.bare(first)?;
        }
        self.identifier(q, &word)
    }

    /// A bare identifier: the qualifiers before it, or an address at the very beginning.
    fn bare(&self, word: &Word<'a>) -> Result<Qualifiers, FilterError> {
        if let Some(last) = self.last {
            return Ok(last);
        }
        let known =
            word.text.parse::<std::net::IpAddr>().is_ok() || (self.names)(word.text).is_some();
        if known {
            return Ok(Qualifiers::default());
        }
        let all = KINDS.iter().map(|(w, _)| *w).chain(PROTOS.iter().map(|(w, _)| *w));
        let mut message = match word.text {
            ")" => "nothing stands before this parenthesis".to_string(),
            "and" | "or" | "&&" | "||" => format!("nothing stands before `{}`", word.text),
            text if text.parse::<u16>().is_ok() => format!("`{text}` of what? Write `port {text}`"),
            text => format!(
                "`{text}` is no word of the filter language, and no port or node of the lab"
            ),
        };
        if let Some(meant) = closest(word.text, all.chain(OTHERS.iter().copied())) {
            message.push_str(&format!(": was `{meant}` meant?"));
        }
        Err(self.error(word.at.clone(), message))
    }

    fn identifier(&mut self, q: Qualifiers, word: &Word<'a>) -> Result<Expr, FilterError> {
        // `proto` takes names that are words of the language elsewhere.
        if is_keyword(word.text) && q.kind != Some(Kind::Proto) {
            let message =
                format!("an address, name or number should stand here, not `{}`", word.text);
            return Err(self.error(word.at.clone(), message));
        }
        let mask = self.mask(q)?;
        let test = q
            .test(word.text, mask, self.names)
            .map_err(|message| self.error(word.at.clone(), message))?;
        self.last = Some(q);
        Ok(self.here(test))
    }

    fn mask(&mut self, q: Qualifiers) -> Result<Option<Ipv4Addr>, FilterError> {
        if q.kind != Some(Kind::Net) || self.peek() != Some("mask") {
            return Ok(None);
        }
        self.next += 1;
        let word = self.take("mask")?;
        let mask = word.text.parse();
        mask.map(Some).map_err(|_| self.error(word.at, format!("`{}` is no mask", word.text)))
    }

    /// `src`, `dst`, `src or dst`, `src and dst`.
    fn direction(&mut self, word: &Word<'a>) -> ast::Dir {
        let other = if word.text == "src" { "dst" } else { "src" };
        let after = self.words.get(self.next + 1).map(|word| word.text);
        let dir = match (self.peek(), after) {
            (Some("or" | "||"), Some(next)) if next == other => Dir::Either,
            (Some("and" | "&&"), Some(next)) if next == other => Dir::Both,
            _ if word.text == "src" => return Dir::Src,
            _ => return Dir::Dst,
        };
        self.next += 2;
        dir
    }

    fn cast(&mut self, proto: Proto, word: &Word<'a>) -> Result<Expr, FilterError> {
        let test = match (proto, word.text) {
            (Proto::Ether, "broadcast") => Test::EtherHost(Dir::Dst, MacAddr::BROADCAST),
            (Proto::Ether, "multicast") => Test::EtherMulticast,
            (Proto::Ip, "multicast") => Test::V4Multicast,
            (Proto::Ip6, "multicast") => Test::V6Multicast,
            _ => {
                let message = format!("`{}` does not go with this protocol here", word.text);
                return Err(self.error(word.at.clone(), message));
            }
        };
        self.last = None;
        Ok(self.here(test))
    }
}

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

fn is_qualifier(word: &str) -> bool {
    matches!(word, "src" | "dst") || find(KINDS, word).is_some()
}

pub(super) fn is_keyword(word: &str) -> bool {
    is_qualifier(word)
        || find(PROTOS, word).is_some()
        || OTHERS.contains(&word)
        || matches!(word, "(" | ")" | "!" | "&&" | "||")
}
