//! Arithmetic on bytes, and the comparison of two values: `ip[0] & 0xf != 5`, `len > 1000`.
//!
//! Operators bind as libpcap's do, which is C's order but for two: `%` and `^` take all that stands
//! behind them first. Bytes of a protocol are asked for only where a frame has that protocol; of
//! two values that are computed with, the left one's protocol counts, as in libpcap.

use super::ast::{Expr, Is, Operator, Size, Test, Value};
use super::error::{FilterError, closest};
use super::lex::{Kind, Word};
use super::numbers;
use super::parse::{Parser, is_arithmetic};
use super::protocols;

/// How tightly the tightest operator binds.
const TIGHTEST: u8 = 5;

/// A value, and what has to hold of the frame for it to be there.
struct Found {
    value: Value,
    given: Option<Expr>,
}

impl<'a> Parser<'a> {
    /// Two values and how they have to stand.
    pub(super) fn relation(&mut self) -> Result<Expr, FilterError> {
        let left = self.value(0)?;
        let Ok(word) = self.take() else {
            let end = self.text.len();
            let message = "a comparison is missing, such as `!= 0`".into();
            return Err(self.error(end..end, message));
        };
        let (is, yes) = match word.text {
            "=" | "==" => (Is::Equal, true),
            "!=" => (Is::Equal, false),
            ">" => (Is::Greater, true),
            "<=" => (Is::Greater, false),
            ">=" => (Is::AtLeast, true),
            "<" => (Is::AtLeast, false),
            _ => {
                let message = "a comparison is missing here, such as `!= 0`".into();
                return Err(self.error(word.at, message));
            }
        };
        let right = self.value(0)?;
        let test = Expr::Test(Test::Relation { left: left.value, is, right: right.value });
        let test = if yes { test } else { test.not() };
        let given = [left.given, right.given].into_iter().flatten().reduce(Expr::and);
        Ok(match given {
            Some(given) => given.and(test),
            None => test,
        })
    }

    /// A value of operators that bind as tightly as `least` at least.
    fn value(&mut self, least: u8) -> Result<Found, FilterError> {
        let mut left = self.operand()?;
        while let Some(word) = self.peek().cloned().filter(|word| is_arithmetic(word.text)) {
            let (operator, binds) = operator(word.text);
            if binds.is_some_and(|binds| binds < least) {
                break;
            }
            self.next += 1;
            let right =
                self.deeper(&word, |parser| parser.value(binds.map_or(0, |binds| binds + 1)))?;
            self.check(operator, &right.value, &word)?;
            let value = Value::Computed(operator, Box::new(left.value), Box::new(right.value));
            left = Found { value, given: left.given };
        }
        Ok(left)
    }

    fn check(&self, operator: Operator, right: &Value, word: &Word<'_>) -> Result<(), FilterError> {
        let message = match (operator, right) {
            (Operator::Div | Operator::Mod, Value::Number(0)) => "nothing can be divided by 0",
            (Operator::Left | Operator::Right, Value::Number(32..)) => {
                "a number has 32 bits: it can be shifted by 31 at most"
            }
            _ => return Ok(()),
        };
        Err(self.error(word.at.clone(), message.into()))
    }

    fn operand(&mut self) -> Result<Found, FilterError> {
        let word = self.take()?;
        let alone = |value| Ok(Found { value, given: None });
        match (word.text, word.kind) {
            (_, Kind::Number(number)) => alone(Value::Number(number)),
            ("len" | "length", _) => alone(Value::Length),
            ("-", _) => self.deeper(&word, |parser| {
                let Found { value, given } = parser.value(TIGHTEST + 1)?;
                Ok(Found { value: Value::Negated(Box::new(value)), given })
            }),
            ("(", _) => self.deeper(&word, |parser| {
                let found = parser.value(0)?;
                parser.close(&word)?;
                Ok(found)
            }),
            _ if self.next_is("[") => self.deeper(&word, |parser| parser.bytes(&word)),
            (text, Kind::BadNumber) => {
                Err(self.error(word.at, format!("`{text}` is no number of 32 bits")))
            }
            (text, _) => {
                let mut message = format!("a number should stand here, not `{text}`");
                if let Some((a, b)) = text.split_once('-').filter(|(a, _)| a.parse::<u32>().is_ok())
                {
                    message.push_str(&format!(": write `{a} - {b}`"));
                } else if let Some(meant) = closest(text, numbers::constants()) {
                    message.push_str(&format!(": was `{meant}` meant?"));
                }
                Err(self.error(word.at, message))
            }
        }
    }

    /// `tcp[13]`, `ip[2:2]`: the bytes behind `word`.
    fn bytes(&mut self, word: &Word<'a>) -> Result<Found, FilterError> {
        let proto = protocols::named(word.text).ok_or_else(|| {
            let message = format!("`{}` is no protocol with bytes", word.text);
            self.error(word.at.clone(), message)
        })?;
        let open = self.take()?;
        let index = self.value(0)?;
        let size = if self.next_is(":") {
            self.next += 1;
            let word = self.take()?;
            match word.kind {
                Kind::Number(1) => Size::One,
                Kind::Number(2) => Size::Two,
                Kind::Number(4) => Size::Four,
                _ => {
                    let message = "1, 2 or 4 bytes can be taken together".into();
                    return Err(self.error(word.at, message));
                }
            }
        } else {
            Size::One
        };
        match self.peek().cloned() {
            Some(word) if word.text == "]" => self.next += 1,
            Some(word) => {
                let message = format!("`]` should stand here, not `{}`", word.text);
                return Err(self.error(word.at, message));
            }
            None => return Err(self.error(open.at, "this bracket is never closed".into())),
        }
        let outcome = proto.bytes(&self.layers, index.given);
        let (at, given) = self.about(word, outcome)?;
        Ok(Found { value: Value::Load { at, index: Box::new(index.value), size }, given })
    }
}

/// An operator and how tightly it binds; None takes all that follows.
fn operator(text: &str) -> (Operator, Option<u8>) {
    match text {
        "|" => (Operator::Or, Some(1)),
        "&" => (Operator::And, Some(2)),
        "<<" => (Operator::Left, Some(3)),
        ">>" => (Operator::Right, Some(3)),
        "+" => (Operator::Add, Some(4)),
        "-" => (Operator::Sub, Some(4)),
        "*" => (Operator::Mul, Some(TIGHTEST)),
        "/" => (Operator::Div, Some(TIGHTEST)),
        "%" => (Operator::Mod, None),
        _ => (Operator::Xor, None),
    }
}
