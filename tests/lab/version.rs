//! What the program says of itself: `-V` its number, `--version` of what it was built. The commit comes
//! from the build script, which is looked at here in a clone, in a source archive and beside nothing.

use std::path::Path;
use std::process::Command;

use crate::support::rootless;

#[path = "../../build.rs"]
#[allow(dead_code)]
mod script;

const NUMBER: &str = env!("CARGO_PKG_VERSION");

#[test]
fn it_says_what_it_was_built_of() {
    rootless(|sandbox| {
        let short = format!("uswitch {NUMBER}\n");
        assert_eq!(sandbox.uswitch(&["-V"]).ok().out, short);
        let said = sandbox.uswitch(&["--version"]).ok().out;
        let inside = said.strip_prefix(&format!("uswitch {NUMBER} (")).unwrap();
        let inside = inside.strip_suffix(")\n").unwrap();
        let (target, profile) = inside.rsplit_once(", ").unwrap();
        assert!(
            target.ends_with(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH)),
            "{said}"
        );
        // A release build names a commit wherever it can be known.
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let named = target.starts_with("commit ");
        let known = script::commit(here).is_some();
        assert_eq!((profile == "release") && known, named, "{said}");
        assert!(["debug", "release"].contains(&profile), "{said}");
    });
}

#[test]
fn the_commit_is_known_in_a_clone_and_in_an_archive() {
    let work = folder();
    let run = |line: &str| {
        let mut shell = Command::new("sh");
        let who =
            ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        shell.args(["-ec", line]).current_dir(&work.0).envs(who.map(|name| (name, "somebody")));
        shell
            .env("GIT_COMMITTER_DATE", "2026-02-03T12:00:00Z")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    run("mkdir -p clone/packaging clone/src; touch clone/src/main.rs");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [".gitattributes", "packaging/commit"] {
        // From an archive the file comes filled in; the clone is to have it as it was.
        let text = match file {
            "packaging/commit" => "$Format:%h, %cs$\n".into(),
            _ => std::fs::read_to_string(here.join(file)).unwrap(),
        };
        std::fs::write(work.0.join("clone").join(file), text).unwrap();
    }
    run("cd clone; git init -q; git add .; git commit -qm first");
    let hash = run("cd clone; git rev-parse HEAD");
    let told = script::commit(&work.0.join("clone")).unwrap();
    assert_eq!(told, format!("{}, 2026-02-03", &hash[..9]));
    let watched = script::heads(&work.0.join("clone"));
    assert!(watched.len() == 2 && watched.iter().all(|path| path.is_absolute()), "{watched:?}");

    run("mkdir archive; cd clone; git archive HEAD | tar -x -C ../archive");
    let told = script::commit(&work.0.join("archive")).unwrap();
    let (short, date) = told.split_once(", ").unwrap();
    assert!(hash.starts_with(short) && date == "2026-02-03", "{told}");

    run("echo '// more' >>clone/src/main.rs");
    let told = script::commit(&work.0.join("clone")).unwrap();
    assert_eq!(told, format!("{}, 2026-02-03, with changes", &hash[..9]));

    run("mkdir copy; cp -r clone/src clone/packaging copy");
    assert_eq!(script::commit(&work.0.join("copy")), None);
    assert_eq!(
        script::words(None, "x86_64-unknown-linux-gnu", "release"),
        "x86_64-unknown-linux-gnu, release"
    );
}

/// A folder of the test's own, removed with all that is in it.
struct Folder(std::path::PathBuf);

fn folder() -> Folder {
    let folder = std::env::temp_dir().join(format!("uswitch-version-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    Folder(folder)
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
