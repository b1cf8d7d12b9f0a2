//! The grammar: primitives joined by `and`, `or`, `not` and parentheses.
//!
//! As libpcap's grammar.y has it: `and` and `or` bind equally, and what stands behind one may be a
//! bare identifier, which means what the primitive before it meant (`port 80 or 443`).

use std::ops::Range;

use super::Known;
use super::ast::Expr;
use super::error::{FilterError, closest};
use super::heads::{KINDS, Qualifiers};
use super::layers::Layers;
use super::lex::{Kind, Word, words};
use super::protocols::{self, PROTOS};
use super::refused;

/// Parentheses, brackets and `not` one within another: a bound on the stack.
const DEPTH: usize = 64;
/// Words of a filter: a bound on the tree, and so on the time a frame takes.
const WORDS: usize = 1024;

/// Words that begin a primitive or join two, beside those of [`PROTOS`] and [`KINDS`].
const OTHERS: &[&str] = &[
    "src",
    "dst",
    "vlan",
    "mpls",
    "pppoed",
    "pppoes",
    "llc",
    "less",
    "greater",
    "byte",
    "len",
    "length",
    "broadcast",
    "multicast",
    "inbound",
    "outbound",
    "mask",
    "and",
    "or",
    "not",
];

/// What bare identifiers behind an expression mean; None where they mean nothing.
pub(super) type Meaning = Option<Qualifiers>;

/// The tree of `text`; None where there are no words.
pub(super) fn parse(text: &str, known: &Known<'_>) -> Result<Option<Expr>, FilterError> {
    let words = words(text);
    let mut parser = Parser { text, words, next: 0, known, layers: Layers::ETHERNET, depth: 0 };
    if parser.words.is_empty() {
        return Ok(None);
    }
    if let Some(word) = parser.words.get(WORDS) {
        let at = word.at.clone();
        return Err(parser.error(at, format!("a filter has at most {WORDS} words")));
    }
    let (expr, _) = parser.expr(None)?;
    match parser.peek().cloned() {
        None => Ok(Some(expr)),
        Some(word) if word.text == ")" => {
            Err(parser.error(word.at, "this parenthesis was never opened".into()))
        }
        Some(word) => Err(parser.misplaced(&word)),
    }
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) words: Vec<Word<'a>>,
    pub(super) next: usize,
    pub(super) known: &'a Known<'a>,
    pub(super) layers: Layers,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Option<&Word<'a>> {
        self.words.get(self.next)
    }

    pub(super) fn next_is(&self, text: &str) -> bool {
        self.peek().is_some_and(|word| word.text == text)
    }

    pub(super) fn take(&mut self) -> Result<Word<'a>, FilterError> {
        let word = self.words.get(self.next).cloned();
        self.next += 1;
        word.ok_or_else(|| {
            let (after, end) = (self.words.last().map_or("", |word| word.text), self.text.len());
            self.error(end..end, format!("something is missing after `{after}`"))
        })
    }

    pub(super) fn error(&self, at: Range<usize>, message: String) -> FilterError {
        FilterError { message, text: self.text.to_string(), at }
    }

    /// `outcome`, whose error is about `word`.
    pub(super) fn about<T>(
        &self,
        word: &Word<'_>,
        outcome: Result<T, String>,
    ) -> Result<T, FilterError> {
        outcome.map_err(|message| self.error(word.at.clone(), message))
    }

    /// Counts one level more, around `inner`.
    pub(super) fn deeper<T>(
        &mut self,
        word: &Word<'_>,
        inner: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(word.at.clone(), format!("more than {DEPTH} levels deep")));
        }
        let outcome = inner(self)?;
        self.depth -= 1;
        Ok(outcome)
    }

    pub(super) fn misplaced(&self, word: &Word<'_>) -> FilterError {
        let message = if is_comparison(word.text) || is_arithmetic(word.text) || word.text == "[" {
            format!("`{}` belongs behind a number or a field, as in `tcp[13] & 2 != 0`", word.text)
        } else if is_keyword(word.text) || refused::why(word.text).is_some() {
            format!("`and` or `or` is missing before `{}`", word.text)
        } else {
            format!("`{}` stands where `and` or `or` should", word.text)
        };
        self.error(word.at.clone(), message)
    }

    fn expr(&mut self, meaning: Meaning) -> Result<(Expr, Meaning), FilterError> {
        let (mut left, mut meaning) = self.term(meaning)?;
        loop {
            let join = match self.peek().map(|word| word.text) {
                Some("and" | "&&") => Expr::and,
                Some("or" | "||") => Expr::or,
                _ => return Ok((left, meaning)),
            };
            self.next += 1;
            let right;
            (right, meaning) = match meaning {
                Some(qualifiers) if self.is_identifier(self.next) => {
                    (self.identifier(qualifiers)?, meaning)
                }
                _ => self.term(meaning)?,
            };
            left = join(left, right);
        }
    }

    fn term(&mut self, meaning: Meaning) -> Result<(Expr, Meaning), FilterError> {
        let start = self.next;
        let word = self.take()?;
        match word.text {
            "not" | "!" => self.deeper(&word, |parser| {
                let (expr, meaning) = parser.term(meaning)?;
                Ok((expr.not(), meaning))
            }),
            "(" if !self.is_value(start) => self.deeper(&word, |parser| {
                let (expr, _) = parser.expr(meaning)?;
                parser.close(&word)?;
                Ok((expr, meaning))
            }),
            _ if self.is_value(start) => {
                self.next = start;
                Ok((self.relation()?, None))
            }
            _ => self.primitive(&word),
        }
    }

    /// The parenthesis that closes `open`.
    pub(super) fn close(&mut self, open: &Word<'_>) -> Result<(), FilterError> {
        match self.peek().cloned() {
            Some(word) if word.text == ")" => {
                self.next += 1;
                Ok(())
            }
            Some(word) => Err(self.misplaced(&word)),
            None => Err(self.error(open.at.clone(), "this parenthesis is never closed".into())),
        }
    }

    /// Whether a value begins at word `at`, which a comparison follows: a number, a length, bytes.
    fn is_value(&self, at: usize) -> bool {
        let Some(word) = self.words.get(at) else { return false };
        let text = |at: usize| self.words.get(at).map_or("", |word| word.text);
        let goes_on = |at: usize| is_comparison(text(at)) || is_arithmetic(text(at));
        match word.kind {
            Kind::Number(_) | Kind::BadNumber => goes_on(at + 1),
            Kind::Name if matches!(word.text, "len" | "length") => true,
            Kind::Name => protocols::named(word.text).is_some() && text(at + 1) == "[",
            Kind::Sign if word.text == "-" => true,
            Kind::Sign if word.text == "(" => self.closing(at).is_some_and(|end| goes_on(end + 1)),
            _ => false,
        }
    }

    /// Where the parenthesis opened at word `at` is closed.
    fn closing(&self, at: usize) -> Option<usize> {
        let mut open = 0usize;
        for (n, word) in self.words.iter().enumerate().skip(at) {
            match word.text {
                "(" => open += 1,
                ")" => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 {
                return Some(n);
            }
        }
        None
    }

    /// Whether an identifier begins at word `at`, or a list of them in parentheses.
    fn is_identifier(&self, mut at: usize) -> bool {
        loop {
            let Some(word) = self.words.get(at) else { return false };
            match word.kind {
                Kind::Sign if word.text == "!" => at += 1,
                Kind::Sign if word.text == "(" && !self.is_value(at) => at += 1,
                Kind::Name if word.text == "not" => at += 1,
                Kind::Name => return !is_keyword(word.text) && refused::why(word.text).is_none(),
                Kind::Sign => return false,
                _ => return !self.is_value(at),
            }
        }
    }

    /// What to say of a word that begins nothing.
    pub(super) fn unknown(&self, word: &Word<'_>) -> FilterError {
        let all = KINDS.iter().map(|(w, _)| *w).chain(PROTOS.iter().map(|(w, _)| *w));
        let mut message = match (word.text, word.kind) {
            (")", _) => "nothing stands before this parenthesis".to_string(),
            ("and" | "or" | "&&" | "||", _) => {
                format!("nothing stands before `{}`", word.text)
            }
            (text, Kind::Number(_)) => format!("`{text}` of what? Write `port {text}`"),
            (text, Kind::Mac(_)) => format!("`{text}` of what? Write `ether host {text}`"),
            (text, Kind::Sign | Kind::Strange) => format!("`{text}` begins nothing"),
            (text, _) => match refused::why(text) {
                Some(why) => return self.error(word.at.clone(), why),
                None => format!(
                    "`{text}` is no word of the filter language, and no port or node of the lab"
                ),
            },
        };
        if word.kind == Kind::Name
            && !is_keyword(word.text)
            && let Some(meant) = closest(word.text, all.chain(OTHERS.iter().copied()))
        {
            message.push_str(&format!(": was `{meant}` meant?"));
        }
        self.error(word.at.clone(), message)
    }
}

pub(super) fn is_comparison(text: &str) -> bool {
    matches!(text, "=" | "==" | "!=" | "<" | "<=" | ">" | ">=")
}

pub(super) fn is_arithmetic(text: &str) -> bool {
    matches!(text, "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" | "<<" | ">>")
}

/// Whether a word has a meaning of its own.
pub(super) fn is_keyword(word: &str) -> bool {
    KINDS.iter().any(|(name, _)| *name == word)
        || protocols::named(word).is_some()
        || OTHERS.contains(&word)
}
