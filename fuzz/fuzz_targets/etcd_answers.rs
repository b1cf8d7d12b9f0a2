//! What a registry of hosts says, or whoever stands in for it: lines of a watch, and lists. Each is read
//! to its end or passed over, and no row leads to a host that is not there.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let rows = lab::hosts::fuzzing::read(bytes, bytes.len() % 61 + 1);
    assert!(rows <= bytes.len(), "{rows} rows");
});
