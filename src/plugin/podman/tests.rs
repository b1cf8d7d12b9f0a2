//! Podmen that were started and set up in one way or another.

use std::collections::BTreeMap;

use super::*;

/// The folder of networks of a podman with these words, variables and files.
fn folder(
    is_users: bool,
    words: &[&str],
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
) -> String {
    let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let text = |folder: &&str| format!("[network]\nnetwork_config_dir = \"{folder}\"\n");
    let files: BTreeMap<_, _> =
        files.iter().map(|(path, folder)| (PathBuf::from(path), text(folder))).collect();
    let list = |folder: &Path| {
        let inside = files.keys().filter(|path| path.parent() == Some(folder));
        inside.rev().cloned().collect()
    };
    let podman = Podman {
        words: &words,
        variable: &|name| variables.get(name).map(|value| (*value).to_owned()),
        read: &|path| files.get(path).cloned(),
        list: &list,
        is_users,
    };
    podman.networks().display().to_string()
}

const HOME: (&str, &str) = ("HOME", "/home/joe");
const ALL: (&str, &str) = ("/etc/containers/containers.conf", "/all");

#[test]
fn where_nothing_is_said_they_are_in_their_usual_place() {
    assert_eq!(folder(false, &["podman"], &[HOME], &[]), "/etc/containers/networks");
    let users = |words: &[&str], variables: &[_]| folder(true, words, variables, &[]);
    let usual = "/home/joe/.local/share/containers/storage/networks";
    assert_eq!(users(&["podman"], &[HOME]), usual);
    assert_eq!(users(&[], &[("XDG_DATA_HOME", "/data")]), "/data/containers/storage/networks");
    assert_eq!(users(&["podman", "--root", "/images", "network"], &[HOME]), "/images/networks");
    assert_eq!(users(&["podman", "--root=", "network"], &[HOME]), usual);
}

#[test]
fn what_is_said_last_counts() {
    let words = ["podman", "--network-config-dir=/one", "--network-config-dir", "/two", "network"];
    assert_eq!(folder(false, &words, &[], &[ALL]), "/two");
    assert_eq!(folder(false, &["podman"], &[], &[ALL]), "/all");
    let further = ("/etc/containers/containers.conf.d/20.conf", "/further");
    let first = ("/etc/containers/containers.conf.d/10.conf", "/first");
    let other = ("/etc/containers/containers.conf.d/30.txt", "/other");
    assert_eq!(folder(false, &[], &[], &[ALL, further, first, other]), "/further");
    let own = ("/home/joe/.config/containers/containers.conf", "/own");
    assert_eq!(folder(true, &[], &[HOME], &[own, further, ALL]), "/own");
    assert_eq!(folder(false, &[], &[HOME], &[own, ALL]), "/all", "root has no such file");
}

#[test]
fn one_file_may_stand_for_all_and_one_beside_all() {
    let files = [ALL, ("/alone", "/a"), ("/beside", "/b")];
    let alone = ("CONTAINERS_CONF", "/alone");
    let beside = ("CONTAINERS_CONF_OVERRIDE", "/beside");
    assert_eq!(folder(false, &[], &[alone], &files), "/a");
    assert_eq!(folder(false, &[], &[beside], &files), "/b");
    assert_eq!(folder(false, &[], &[alone, beside], &files), "/b");
    assert_eq!(folder(false, &[], &[("CONTAINERS_CONF", "/none")], &files), OF_ROOT);
}

#[test]
fn a_file_that_says_nothing_or_nonsense_is_passed_over() {
    let of = |text: &str| {
        let podman = Podman {
            words: &[],
            variable: &|_| None,
            read: &|_| Some(text.to_owned()),
            list: &|_| Vec::new(),
            is_users: false,
        };
        podman.networks()
    };
    for text in ["", "[network", "network = 1", "[network]\nnetwork_config_dir = 7\n"] {
        assert_eq!(of(text), Path::new(OF_ROOT), "{text}");
    }
}
