//! What `packaging/build` makes. The package is installed by dpkg in a root of its own: the machine's files,
//! with a layer over them that goes with the test. The archive is unpacked in one that is empty.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::unistd::geteuid;

use crate::support::{As, Ended, Process, Sandbox, beyond, rooted, skip};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the script for a binary that is there.
fn script(sandbox: &Sandbox, option: &str, binary: &Path, into: &str) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build");
    let mut command = sandbox.command(As::Root, &script);
    command.arg(option).arg(binary).arg("--into").arg(sandbox.dir.join(into));
    command.env("SOURCE_DATE_EPOCH", "1790000000");
    // It strips and packs some 50 MB, beside other tests.
    let patience = std::time::Duration::from_secs(300);
    Process::start(command, "packaging/build").ended_within(patience)
}

/// Builds the package of the binary under test.
fn package(sandbox: &Sandbox, into: &str) -> PathBuf {
    let said = script(sandbox, "--binary", &sandbox.dir.join("uswitch"), into).ok().out;
    let deb = PathBuf::from(said.trim());
    assert!(deb.ends_with(format!("uswitch_{VERSION}_{}.deb", arch())), "{said}");
    deb
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A root to install into: what is written to it is on a layer of memory.
fn layered(sandbox: &Sandbox) -> PathBuf {
    let at = |name: &str| sandbox.dir.join(name);
    for folder in ["layer", "root"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    let none = None::<&str>;
    mount(Some("tmpfs"), &at("layer"), Some("tmpfs"), MsFlags::empty(), none).unwrap();
    for folder in ["layer/new", "layer/work"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    let layer = at("layer");
    let layer = layer.display();
    let how = format!("lowerdir=/,upperdir={layer}/new,workdir={layer}/work");
    let root = at("root");
    mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(&*how)).unwrap();
    for (name, kind) in [("proc", "proc"), ("run", "tmpfs"), ("tmp", "tmpfs")] {
        mount(Some(kind), &root.join(name), Some(kind), MsFlags::empty(), none).unwrap();
    }
    for name in ["dev", "sys"] {
        let from = Path::new("/").join(name);
        mount(Some(&from), &root.join(name), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .unwrap();
    }
    root
}

#[test]
fn it_installs_and_works_and_goes() {
    if !geteuid().is_root() {
        return skip("packages are installed by root");
    }
    rooted(|sandbox| {
        let deb = package(sandbox, "one");
        // Twice the same.
        let again = package(sandbox, "two");
        assert!(std::fs::read(&deb).unwrap() == std::fs::read(again).unwrap(), "two builds differ");

        let root = layered(sandbox);
        let dpkg = |args: &[&str]| {
            let mut command = sandbox.command(As::Root, Path::new("dpkg"));
            command.arg(format!("--root={}", root.display()));
            command.args(["--no-triggers", "--path-include=/usr/share/*"]).args(args);
            Process::start(command, "dpkg").ended().ok()
        };
        let inside = |line: &str| -> Ended {
            let mut command: Command = sandbox.command(As::Root, Path::new("chroot"));
            command
                .arg(&root)
                .args(["/bin/sh", "-c", line])
                .env("MANPAGER", "cat")
                .env("LC_ALL", "C.UTF-8");
            Process::start(command, line).ended()
        };
        assert_ne!(inside("/usr/bin/uswitch --version").code, Some(0), "it is here already");
        dpkg(&["-i", deb.to_str().unwrap()]);

        let said = inside("uswitch --version").ok().out;
        assert!(said.starts_with(&format!("uswitch {VERSION} (")), "{said}");
        let said = inside("uswitch run --check").ok().out;
        assert!(
            said.contains("ping net1 -> internet 8.8.8.8") && said.contains("undone"),
            "{said}"
        );
        // What man shows is the page in the folder, by way of its own search.
        for page in ["uswitch", "uswitch-run", "uswitch-ping"] {
            let said = inside(&format!("man -M /usr/share/man {page}")).ok().out;
            assert!(said.contains("NAME") && said.contains("EXIT STATUS"), "{page}: {said}");
        }
        // Each shell's completion asks the program.
        for file in [
            "/usr/share/bash-completion/completions/uswitch",
            "/usr/share/zsh/vendor-completions/_uswitch",
            "/usr/share/fish/vendor_completions.d/uswitch.fish",
        ] {
            assert!(inside(&format!("cat {file}")).ok().out.contains("COMPLETE"), "{file}");
        }
        let line = ". /usr/share/bash-completion/completions/uswitch; complete -p uswitch";
        inside(&format!("bash -c '{line}'")).ok();
        // The units start the binary that is there.
        let units = "cat /lib/systemd/system/uswitch@.service /lib/systemd/system/uswitch.service";
        let started = inside(units).ok().out;
        let starts = started.lines().filter_map(|line| line.strip_prefix("ExecStart="));
        let programs: Vec<_> = starts.map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(programs, ["/usr/bin/uswitch"; 2]);
        let said =
            inside("/usr/lib/*/wireshark/extcap/uswitch-extcap --extcap-interfaces").ok().out;
        assert!(said.contains("extcap {version="), "{said}");
        let said = inside("cat /usr/share/doc/uswitch/copyright").ok().out;
        assert!(said.contains("Copyright: 2026") && said.contains("Expat or Apache-2.0"), "{said}");

        dpkg(&["--purge", "uswitch"]);
        let left = inside(
            "find / -xdev -name '*uswitch*' -path '/usr/*' -o -name '*uswitch*' -path '/lib/systemd/*'",
        );
        let left: Vec<_> =
            left.out.lines().filter(|path| !path.contains("/local/")).map(String::from).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    });
}

#[test]
fn an_archive_holds_a_static_binary_alone() {
    rooted(|sandbox| {
        let ended = script(sandbox, "--static", &sandbox.dir.join("uswitch"), "one");
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{}", ended.err);
        assert!(ended.err.contains("is not static"), "{}", ended.err);
    });
}

/// The static binary that `packaging/static` has built, or the one that is named.
fn built() -> Option<PathBuf> {
    let folder = format!("target/{}-unknown-linux-musl/release/uswitch", std::env::consts::ARCH);
    let named = std::env::var_os("USWITCH_STATIC_BINARY").map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    path.exists().then_some(path)
}

#[test]
fn the_archive_works_where_nothing_else_is() {
    let Some(binary) = built() else {
        return beyond("there is no static binary: packaging/static builds one");
    };
    if !geteuid().is_root() {
        return skip("a root of one's own takes root");
    }
    rooted(|sandbox| {
        let made = script(sandbox, "--static", &binary, "one").ok().out;
        let again = script(sandbox, "--static", &binary, "two").ok().out;
        let read = |path: &str| std::fs::read(path.trim()).unwrap();
        assert!(read(&made) == read(&again), "two builds differ");

        // No library, no shell, no file but the archive's.
        let root = sandbox.dir.join("root");
        std::fs::create_dir(&root).unwrap();
        let mut tar = sandbox.command(As::Root, Path::new("tar"));
        tar.arg("-C").arg(&root).args(["--strip-components=1", "-xf", made.trim()]);
        Process::start(tar, "tar").ended().ok();
        let none = None::<&str>;
        for name in ["proc", "sys", "dev", "run", "tmp"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        for name in ["proc", "sys", "dev"] {
            let from = Path::new("/").join(name);
            let how = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(&from), &root.join(name), none, how, none).unwrap();
        }
        let inside = |words: &[&str]| {
            let mut command = sandbox.command(As::Root, Path::new("chroot"));
            command.arg(&root).arg("/uswitch").args(words);
            Process::start(command, "uswitch").ended()
        };
        let said = inside(&["--version"]).ok().out;
        assert!(
            said.starts_with(&format!("uswitch {VERSION} (")) && said.contains("musl"),
            "{said}"
        );
        inside(&["doctor"]).ok();
        let works = |said: String| {
            assert!(said.contains("ping net1 -> internet 8.8.8.8"), "{said}");
            assert!(said.contains("undone"), "{said}");
        };
        works(inside(&["run", "--check"]).ok().out);
        // The kernel gives nobody a user namespace inside of a chroot.
        let mut user = sandbox.command(As::User, &root.join("uswitch"));
        user.args(["run", "--check"]);
        works(Process::start(user, "uswitch").ended().ok().out);
    });
}
