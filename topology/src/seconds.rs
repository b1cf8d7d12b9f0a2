//! A span of time as people write it: in seconds, with a fraction where there is one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span, to the millisecond; a number of seconds in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seconds {
    millis: u64,
}

/// What a reader says of another number, or of none.
pub(crate) const NO_SECONDS: &str = "not a number of seconds";
/// A span longer than this is no span of a network's: ten years.
const LONGEST: f64 = 315_360_000.0;

impl Seconds {
    /// None for what is negative, no number, or far too long.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in bounds")]
    pub fn of(seconds: f64) -> Option<Self> {
        let is_span = (0.0..=LONGEST).contains(&seconds);
        is_span.then(|| Self { millis: (seconds * 1000.0).round() as u64 })
    }

    /// As a duration.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

impl From<Duration> for Seconds {
    fn from(span: Duration) -> Self {
        Self { millis: u64::try_from(span.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis % 1000 {
            0 => write!(f, "{}", self.millis / 1000),
            _ => write!(f, "{}", self.span().as_secs_f64()),
        }
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = text.parse().ok().and_then(Self::of);
        read.ok_or_else(|| format!("{text:?} is no number of seconds"))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.millis % 1000 {
            0 => serializer.serialize_u64(self.millis / 1000),
            _ => serializer.serialize_f64(self.span().as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Self::of(seconds).ok_or_else(|| de::Error::custom(NO_SECONDS))
    }
}

#[cfg(any(test, feature = "schema"))]
impl schemars::JsonSchema for Seconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for (text, millis) in [("0", 0), ("1", 1000), ("0.25", 250), ("31.25", 31_250)] {
            let seconds: Seconds = text.parse().unwrap();
            assert_eq!((seconds.millis, seconds.to_string().as_str()), (millis, text));
            let json = serde_json::to_string(&seconds).unwrap();
            assert_eq!((json.as_str(), serde_json::from_str(&json).unwrap()), (text, seconds));
        }
        for text in ["", "x", "-1", "NaN", "inf", "1e12"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
