//! Reading, writing, and what is taken out again being what was put in.

use proptest::prelude::*;

use super::*;

#[test]
fn as_the_kernel_writes_them() {
    for text in ["", "8080", "1,3,5-7,65535", "20000-29999", "0-65535"] {
        assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
    }
    assert_eq!("3,2,1\n".parse::<Ports>().unwrap().to_string(), "1-3");
    for text in ["x", "1-", "70000", "1-2-3"] {
        assert!(text.parse::<Ports>().is_err(), "{text}");
    }
    assert_eq!("".parse::<Ports>().unwrap(), Ports::none());
}

fn some() -> impl Strategy<Value = Ports> {
    prop::collection::vec((any::<u16>(), 0_u16..300), 0..8).prop_map(|parts| {
        parts.iter().fold(Ports::none(), |all, (first, more)| {
            all.with(&Ports::of(*first..=first.saturating_add(*more)))
        })
    })
}

proptest! {
    #[test]
    fn what_was_added_is_taken_out_and_nothing_else(
        before in some(), block in some(), meanwhile in some(),
    ) {
        let added = block.without(&before);
        let during = before.with(&added).with(&meanwhile);
        let after = during.without(&added);
        prop_assert_eq!(after, before.with(&meanwhile.without(&added)));
        prop_assert_eq!(during.to_string().parse::<Ports>().unwrap(), during);
    }
}
