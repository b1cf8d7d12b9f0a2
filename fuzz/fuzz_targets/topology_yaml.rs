//! A lab's file as it may be found. Whatever is refused is told in one line; whatever is read is
//! checked, and what passes is written and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use topology::file::{self, Format};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match file::load(text, Format::Yaml) {
        Ok(checked) => {
            let spec = checked.spelled_out();
            let written = file::write(&spec);
            let again = file::load(&written, Format::Yaml).expect("what was written can be read");
            assert_eq!(again.spelled_out(), spec, "{written}");
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(!fault.to_string().contains('\n'), "{fault}");
            }
        }
    }
});
