//! What comes through the control door, or claims to: JSON of each kind is refused or understood,
//! and what was understood is said again in a way that is understood.

#![no_main]

use control::api;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let said = serde_json::to_vec(&value).expect("it can be said");
    let again = serde_json::from_slice::<T>(&said).expect("and understood");
    assert_eq!(said.len(), serde_json::to_vec(&again).expect("again").len());
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 16 {
        0 => read::<api::AddNode>(bytes),
        1 => read::<api::FlushFdb>(bytes),
        2 => read::<api::Publish>(bytes),
        3 => read::<api::ExplainAsk>(bytes),
        4 => read::<api::CaptureAsk>(bytes),
        5 => read::<api::TraceAsk>(bytes),
        6 => read::<api::Topology>(bytes),
        7 => read::<api::Page<api::Port>>(bytes),
        8 => read::<api::Page<api::FdbEntry>>(bytes),
        9 => read::<api::Page<api::Session>>(bytes),
        10 => read::<api::Counters>(bytes),
        11 => read::<api::Event>(bytes),
        12 => read::<api::TraceLine>(bytes),
        13 => read::<api::Walk>(bytes),
        14 => read::<api::Problem>(bytes),
        _ => read::<api::Page<api::Neighbour>>(bytes),
    }
});
