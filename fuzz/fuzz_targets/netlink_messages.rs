//! Datagrams of the kernel's, or of whoever claims to be it: links, addresses, routes, errors. Each
//! is read to its end or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let messages = ns::fuzzing::read(datagram);
    assert!(messages <= datagram.len() / 16 + 1, "{messages} messages");
});
