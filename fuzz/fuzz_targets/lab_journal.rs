//! A lab's journal as it may be found: torn, swept, overwritten. It is read to its end, and what it
//! says is what its whole lines say.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let record = lab::journal::parse(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(record.names.len() + record.known.len() + record.reserved.len() <= lines);
});
