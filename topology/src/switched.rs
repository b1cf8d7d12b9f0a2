//! Settings that are on or off, as files have them: `true` and `false`, and the words that older YAML
//! (1.1) has for them. There alone are those words something else than names.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// What a word says; None where it says neither.
pub(crate) fn word(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "y" => Some(true),
        "false" | "off" | "no" | "n" => Some(false),
        _ => None,
    }
}

struct Either;

impl Visitor<'_> for Either {
    type Value = Option<bool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boolean")
    }

    fn visit_bool<E>(self, is: bool) -> Result<Option<bool>, E> {
        Ok(Some(is))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<bool>, E> {
        let wrong = || E::custom(format!("invalid value: string `{text}`, expected boolean"));
        word(text).map(Some).ok_or_else(wrong)
    }

    fn visit_unit<E>(self) -> Result<Option<bool>, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Option<bool>, E> {
        Ok(None)
    }
}

/// Reads one that may be left open. For `deserialize_with`.
pub(crate) fn perhaps<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    from.deserialize_any(Either)
}

/// Reads one. For `deserialize_with`.
pub(crate) fn surely<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let nothing = || D::Error::custom("invalid type: unit value, expected true or false");
    perhaps(from)?.ok_or_else(nothing)
}
