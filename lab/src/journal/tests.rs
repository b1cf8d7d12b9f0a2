//! A journal cut off or damaged anywhere says what its good lines say, never anything else, and
//! that it is not whole.

use proptest::prelude::*;

use super::*;

fn identity(number: u64) -> Identity {
    let name = format!("net{number}");
    Identity {
        path: format!("/run/netns/{name}").into(),
        name,
        file: number,
        device: Some((0, 26)),
        born: Some((1_700_000_000, 5)),
        cookie: Some(number + 4096),
        netns: number << 32,
    }
}

fn header() -> Header {
    Header::of_this_process(false, String::new(), Topology::Switch)
}

/// A journal of `count` names as it is written, and where its lines end.
fn bytes(count: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = line::all(&[Line::Lab(header())], 0, 0).unwrap();
    let mut ends = vec![bytes.len()];
    for number in 0..count {
        let one = [Line::Namespace(identity(number))];
        bytes.extend(line::all(&one, ends.len(), bytes.len()).unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// A folder of ours, removed with what is in it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(word: &str) -> Self {
        let thread = std::thread::current().id();
        let name = format!("uswitch-{word}-{}-{thread:?}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        Self(path)
    }

    fn folder(&self) -> Folder {
        Folder::open(&self.0).unwrap().unwrap()
    }

    fn read(&self) -> Record {
        read(&self.folder()).unwrap().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

proptest! {
    #[test]
    fn cut_off_anywhere(count in 0_u64..60, cut in any::<prop::sample::Index>()) {
        let (bytes, ends) = bytes(count);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let record = parse(&bytes[..cut]);
        let wanted: Vec<_> = (0..count).map(identity).take(whole.saturating_sub(1)).collect();
        prop_assert_eq!(&record.names, &wanted);
        prop_assert!(record.is_of_this_boot());
        // Blanks that fill a page stand for nothing.
        let end = whole.checked_sub(1).map_or(0, |last| ends[last]);
        let blank = bytes[end..cut].iter().all(|byte| *byte == b' ');
        prop_assert_eq!(record.torn.is_none(), whole > 0 && blank, "{:?}", record.torn);
    }

    #[test]
    fn a_byte_changed_anywhere_costs_a_line_and_is_told(
        count in 0_u64..10, place in any::<prop::sample::Index>(), change in 1_u8..
    ) {
        let (mut bytes, _) = bytes(count);
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        let record = parse(&bytes);
        prop_assert!(record.torn.is_some() || bytes[place].is_ascii_whitespace());
        let all: Vec<_> = (0..count).map(identity).collect();
        prop_assert!(record.names.iter().all(|name| all.contains(name)));
        prop_assert!(record.names.len() + 2 >= all.len(), "{}", record.names.len());
    }

    #[test]
    fn foreign_bytes_say_nothing_and_do_no_harm(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let record = parse(&garbage);
        prop_assert!(record.names.is_empty() && record.header.is_none() && record.torn.is_some());
        let (mut good, _) = bytes(2);
        good.extend(b"x");
        good.extend(garbage);
        good.push(b'\n');
        let record = parse(&good);
        prop_assert!(record.names.len() == 2 && record.torn.is_some());
    }

    #[test]
    fn what_is_added_and_struck_out_is_what_is_read(steps in prop::collection::vec((any::<bool>(), 0_u64..6), 0..40)) {
        let place = Place::new("journal");
        let mut journal = Journal::begin(place.folder(), header()).unwrap();
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
            let record = place.read();
            prop_assert_eq!((&record.names, record.torn), (&model, None));
        }
    }
}

#[test]
fn a_line_taken_out_is_missed() {
    let (bytes, ends) = bytes(3);
    let without = [&bytes[..ends[0]], &bytes[ends[1]..]].concat();
    let record = parse(&without);
    assert_eq!(record.names, [identity(1), identity(2)]);
    assert!(record.torn.unwrap().contains("line 2"));
}

#[test]
fn a_journal_of_another_boot_is_told_apart() {
    let old = Header { boot: "another".into(), ..header() };
    assert!(!old.is_of_this_boot());
}

#[test]
fn the_first_format_is_read_and_one_to_come_is_told() {
    let old = serde_json::to_string(&Line::Lab(Header { version: 1, ..header() })).unwrap();
    let name = r#"{"namespace":{"name":"net1","path":"/run/netns/net1","file":3,"netns":9}}"#;
    let record = parse(format!("{old}\n{name}\n").as_bytes());
    assert_eq!((record.names.len(), &record.torn), (1, &None));
    assert_eq!((record.names[0].file, record.names[0].cookie), (3, None));
    assert!(parse(format!("{old}\n{name}").as_bytes()).torn.unwrap().contains("line 2"));
    let new = [Line::Lab(Header { version: 3, ..header() }), Line::Namespace(identity(1))];
    let record = parse(&line::all(&new, 0, 0).unwrap());
    assert!(record.torn.unwrap().contains("format 3"));
    assert_eq!(record.names.len(), 1);
}

#[test]
fn no_journal_is_no_error() {
    assert_eq!(read(&Place::new("none").folder()).unwrap(), None);
}

#[test]
fn reserved_ports_outlast_a_name_that_is_struck_out_and_a_journal_that_is_torn() {
    let place = Place::new("reserved");
    let mut journal = Journal::begin(place.folder(), header()).unwrap();
    let ports = "20000-20499,20501-29999".into();
    let reserved = Reserved { netns: 7, cookie: Some(9), ports };
    journal.add(&identity(1)).unwrap();
    journal.reserve(reserved.clone()).unwrap();
    assert_eq!(place.read().reserved, std::slice::from_ref(&reserved));
    journal.strike("net1").unwrap();
    let record = place.read();
    assert_eq!((record.names.len(), record.reserved), (0, vec![reserved.clone()]));
    let path = place.0.join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let end = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in [0, 40, end] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let record = place.read();
        assert!(record.torn.is_some());
        assert_eq!(record.reserved, std::slice::from_ref(&reserved), "{length} bytes are left");
        std::fs::write(&path, &whole).unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    let record = place.read();
    assert_eq!((record.torn.as_deref(), record.reserved), (Some("is gone"), vec![reserved]));
}

#[test]
fn one_that_ends_too_early_is_torn_wherever_it_ends() {
    let place = Place::new("early");
    let mut journal = Journal::begin(place.folder(), header()).unwrap();
    (0..40).for_each(|number| journal.add(&identity(number)).unwrap());
    let path = place.0.join(FILE);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(place.read().torn.is_some(), "{length} bytes are left");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(place.read().torn.as_deref(), Some("is gone"));
    // Told once, and undone as far as it was known.
    std::fs::write(place.0.join(crate::clean::UNDONE), "").unwrap();
    assert_eq!(read(&place.folder()).unwrap(), None);
}

/// One that was written by a uswitch that does not count is not held to what another one counted.
#[test]
fn a_journal_of_an_older_uswitch_is_whole_beside_another_ones_count() {
    let place = Place::new("older");
    let line = line::all(&[Line::Lab(header())], 0, 0).unwrap();
    std::fs::write(place.0.join(LINES), "       99\n").unwrap();
    std::fs::write(place.0.join(FILE), &line).unwrap();
    assert!(place.read().torn.is_some());
    let older = line::all(&[Line::Lab(Header { counted: false, ..header() })], 0, 0).unwrap();
    std::fs::write(place.0.join(FILE), older).unwrap();
    assert_eq!(place.read().torn, None);
}
