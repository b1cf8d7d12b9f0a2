//! A journal cut off at any byte says what was whole, and never anything else.

use proptest::prelude::*;

use super::*;

fn identity(number: u64) -> Identity {
    let name = format!("net{number}");
    Identity { path: format!("/run/netns/{name}").into(), name, file: number, netns: number << 32 }
}

fn header() -> Header {
    Header::of_this_process(false, String::new(), Topology::Switch)
}

fn bytes(count: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = line(&Line::Lab(header())).unwrap();
    let mut ends = vec![bytes.len()];
    for number in 0..count {
        bytes.extend(line(&Line::Namespace(identity(number))).unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

proptest! {
    #[test]
    fn cut_off_anywhere(count in 0_u64..20, cut in any::<prop::sample::Index>()) {
        let (bytes, ends) = bytes(count);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        match parse(&bytes[..cut]) {
            None => prop_assert_eq!(whole, 0),
            Some(record) => {
                let wanted: Vec<_> = (0..count).map(identity).take(whole - 1).collect();
                prop_assert_eq!(record.names, wanted);
                prop_assert!(record.header.is_of_this_boot());
            }
        }
    }

    #[test]
    fn foreign_bytes_say_nothing_and_do_no_harm(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(parse(&garbage), None);
        let (mut good, _) = bytes(2);
        good.extend(garbage);
        good.push(b'\n');
        prop_assert!(parse(&good).is_some_and(|record| record.names.len() == 2));
    }

    #[test]
    fn what_is_added_and_struck_out_is_what_is_read(steps in prop::collection::vec((any::<bool>(), 0_u64..6), 0..40)) {
        let folder = std::env::temp_dir()
            .join(format!("uswitch-journal-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut journal = Journal::begin(&folder, header()).unwrap();
        let mut model: Vec<Identity> = Vec::new();
        for (add, number) in steps {
            let identity = identity(number);
            if add {
                journal.add(&identity).unwrap();
                model.push(identity);
            } else {
                journal.strike(&identity.name).unwrap();
                model.retain(|i| i.name != identity.name);
            }
            prop_assert_eq!(&read(&folder).unwrap().unwrap().names, &model);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_journal_of_another_boot_is_told_apart() {
    let old = Header { boot: "another".into(), ..header() };
    assert!(!old.is_of_this_boot());
}

#[test]
fn no_journal_is_no_error() {
    assert_eq!(read(Path::new("/nowhere/at/all")).unwrap(), None);
}

#[test]
fn reserved_ports_outlast_a_name_that_is_struck_out() {
    let folder = std::env::temp_dir().join(format!("uswitch-reserved-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut journal = Journal::begin(&folder, header()).unwrap();
    let reserved = Reserved { netns: 7, ports: "20000-20499,20501-29999".into() };
    journal.add(&identity(1)).unwrap();
    journal.reserve(reserved.clone()).unwrap();
    assert_eq!(read(&folder).unwrap().unwrap().reserved, std::slice::from_ref(&reserved));
    journal.strike("net1").unwrap();
    let record = read(&folder).unwrap().unwrap();
    assert_eq!((record.names.len(), record.reserved), (0, vec![reserved]));
    std::fs::remove_dir_all(&folder).unwrap();
}
