//! A port's membership of a VLAN, or of several that follow one another.
//!
//! Written as `10`, `"10-20"`, `"10 pvid untagged"` (the words of `bridge vlan add`), or as a map.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as Derive, Serialize};

use crate::invalid::Invalid;
use crate::one_or_many::is_false;
use crate::switched;

/// The highest number of a VLAN; 0 and 4095 are none (IEEE 802.1Q table 9-2).
pub(crate) const LAST: u16 = 4094;

/// VLANs that a port is to be a member of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AddVlan {
    /// The VLAN, 1 to 4094, or the first of several.
    pub vlan: u16,
    /// The last of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_end: Option<u16>,
    /// Frames that come in without a tag belong to it.
    #[serde(skip_serializing_if = "is_false")]
    pub pvid: bool,
    /// Its frames leave without a tag.
    #[serde(skip_serializing_if = "is_false")]
    pub untagged: bool,
}

/// The long form.
#[derive(Derive)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[cfg_attr(any(test, feature = "schema"), schemars(rename = "Vlan"))]
#[serde(deny_unknown_fields)]
struct Long {
    /// The VLAN, 1 to 4094, or the first of several.
    vlan: u16,
    /// The last of several.
    #[serde(default)]
    vlan_end: Option<u16>,
    /// Frames that come in without a tag belong to it.
    #[serde(default, deserialize_with = "switched::surely")]
    pvid: bool,
    /// Its frames leave without a tag.
    #[serde(default, deserialize_with = "switched::surely")]
    untagged: bool,
}

impl AddVlan {
    /// A single VLAN, with tags.
    #[must_use]
    pub fn tagged(vlan: u16) -> Self {
        Self { vlan, ..Self::default() }
    }

    /// The VLAN of a port without tags.
    #[must_use]
    pub fn access(vlan: u16) -> Self {
        Self { vlan, pvid: true, untagged: true, ..Self::default() }
    }

    /// The last of them.
    #[must_use]
    pub fn last(&self) -> u16 {
        self.vlan_end.unwrap_or(self.vlan)
    }

    /// Says what is no VLAN, no range, or no PVID.
    ///
    /// # Errors
    /// One line.
    pub fn check(&self) -> Result<(), Invalid> {
        let (first, last) = (self.vlan, self.last());
        if let Some(bad) = [first, last].into_iter().find(|vlan| !(1..=LAST).contains(vlan)) {
            return Err(no_vlan(bad));
        }
        if last < first {
            return Err(Invalid(format!("VLANs {first}-{last}: the smaller number comes first")));
        }
        if self.pvid && last != first {
            return Err(Invalid(format!(
                "VLANs {first}-{last}: only one VLAN can be that of frames without a tag"
            )));
        }
        Ok(())
    }
}

fn no_vlan(number: impl fmt::Display) -> Invalid {
    Invalid(format!("{number} is no VLAN: they are numbered from 1 to {LAST}"))
}

impl FromStr for AddVlan {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let shape = || {
            Invalid(format!(
                "{text:?} is no VLAN: VID[-VID] [pvid] [untagged], as in \"10 pvid untagged\""
            ))
        };
        let mut words = text.split_whitespace();
        let range = words.next().ok_or_else(shape)?;
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().map_err(|_| if is_number { no_vlan(text) } else { shape() })
        };
        let mut vlan = match range.split_once('-') {
            None => Self::tagged(number(range)?),
            Some((first, last)) => {
                let first = number(first)?;
                Self { vlan_end: Some(number(last)?), ..Self::tagged(first) }
            }
        };
        for word in words {
            let flag = match word {
                "pvid" => &mut vlan.pvid,
                "untagged" => &mut vlan.untagged,
                _ => return Err(shape()),
            };
            *flag = true;
        }
        Ok(vlan)
    }
}

impl<'de> Deserialize<'de> for AddVlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = AddVlan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a VLAN: its number, \"10-20\", \"10 pvid untagged\", or a map")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<AddVlan, E> {
                u16::try_from(number).map(AddVlan::tagged).map_err(|_| E::custom(no_vlan(number)))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<AddVlan, E> {
                u16::try_from(number).map(AddVlan::tagged).map_err(|_| E::custom(no_vlan(number)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AddVlan, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AddVlan, A::Error> {
                let Long { vlan, vlan_end, pvid, untagged } =
                    Long::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AddVlan { vlan, vlan_end, pvid, untagged })
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

#[cfg(any(test, feature = "schema"))]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    /// The forms it is written in.
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Forms {
        /// Its number.
        Number(u16),
        /// `10-20`, `10 pvid untagged`.
        Text(String),
        /// Spelled out.
        Long(super::Long),
    }

    impl JsonSchema for super::AddVlan {
        fn schema_name() -> Cow<'static, str> {
            "AddVlan".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            Forms::json_schema(generator)
        }

        fn inline_schema() -> bool {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_form_is_read() {
        let read = |text: &str| serde_json::from_str::<AddVlan>(text);
        assert_eq!(read("10").unwrap(), AddVlan::tagged(10));
        assert_eq!(read(r#""10 pvid untagged""#).unwrap(), AddVlan::access(10));
        let range = AddVlan { vlan_end: Some(20), ..AddVlan::tagged(10) };
        assert_eq!(read(r#""10-20""#).unwrap(), range);
        assert_eq!(read(r#"{"vlan": 10, "vlan_end": 20}"#).unwrap(), range);
        for text in ["\"\"", "\"ten\"", "\"10 tagged\"", "{\"vid\": 10}", "true", "[10]"] {
            assert!(read(text).is_err(), "{text}");
        }
        let written = serde_json::to_string(&AddVlan::access(3)).unwrap();
        assert_eq!(written, r#"{"vlan":3,"pvid":true,"untagged":true}"#);
    }

    #[test]
    fn what_is_no_vlan_is_said() {
        for (vlan, last, pvid) in
            [(0, 0, false), (4095, 4095, false), (1, 4095, false), (5, 4, false), (1, 2, true)]
        {
            let ask = AddVlan { vlan, vlan_end: Some(last), pvid, untagged: false };
            assert!(ask.check().is_err(), "{ask:?}");
        }
        assert!(AddVlan::access(4094).check().is_ok());
        for number in ["70000", "-3"] {
            let told = serde_json::from_str::<AddVlan>(number).unwrap_err().to_string();
            assert!(told.contains(&format!("{number} is no VLAN")), "{told}");
        }
    }
}
