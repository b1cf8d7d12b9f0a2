//! The JSON Schema of a lab's file, which editors check and complete by (draft 2020-12). A test keeps
//! it what the types say: `BLESS=1 cargo test -p uswitch-topology schema` writes it anew.

/// The schema.
pub const SCHEMA: &str = include_str!("../lab.schema.json");

#[cfg(test)]
mod tests;
