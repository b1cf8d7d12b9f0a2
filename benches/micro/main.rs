//! `cargo bench --bench micro`: what the hot path is made of, measured alone, by criterion.
//!
//! Names are action/family/parameter. Inputs are built outside the timed part; frames come in an
//! order that no cache can guess.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, unreachable_pub, missing_docs)]

mod bridge;
mod checksum;
mod nat;

use criterion::{criterion_group, criterion_main};

criterion_group!(all, bridge::decide, bridge::churn, checksum::update, nat::translate);
criterion_main!(all);
