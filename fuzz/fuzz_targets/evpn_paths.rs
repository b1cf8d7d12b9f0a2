//! What a BGP speaker tells, who has it from anybody: messages are read to their end or passed over, and
//! no row leads to this host or to nowhere.

#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use overlay::evpn::{Of, Site, Table};

fuzz_target!(|bytes: &[u8]| {
    let site = Site::usual(100, Ipv4Addr::new(10, 9, 0, 9), 65000);
    let mut table = Table::new(site.vtep);
    // Messages one after another, each behind its length.
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (message, after) = after.split_at(after.len().min(length));
        rest = after;
        let Some(heard) = evpn::routes::read(message) else { continue };
        match heard.says.filter(|says| site.takes(says)) {
            Some(says) => table.hear(heard.key, says.route),
            None => table.forget(&heard.key),
        }
        if let Of::Mac(mac, _) = heard.key.of {
            let there = table.whereabouts(mac);
            assert!(there != Some(site.vtep.into()) && there != Some(Ipv4Addr::UNSPECIFIED.into()));
        }
    }
});
