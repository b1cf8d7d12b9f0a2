//! The page in Debian's Chromium, driven by Playwright: `tests/web/page.py`, which says what it looks
//! at. Where either is missing the test is skipped, and fails with `USWITCH_REQUIRE_WEB=1`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{As, Process, beyond, rooted};

/// For all that a browser does on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A Python that has Playwright: that of `USWITCH_WEB_PYTHON`, else the system's.
fn python() -> Result<PathBuf, String> {
    let python = std::env::var_os("USWITCH_WEB_PYTHON").unwrap_or_else(|| "python3".into());
    let look = Command::new(&python)
        .args(["-c", "import playwright, sys; print(sys.executable)"])
        .output();
    match look {
        Ok(look) if look.status.success() => {
            Ok(String::from_utf8_lossy(&look.stdout).trim().to_owned().into())
        }
        _ => Err(format!("{} has no module playwright", Path::new(&python).display())),
    }
}

#[test]
fn the_page_shows_the_lab_in_a_browser() {
    let chromium = Path::new("/usr/bin/chromium");
    let found = python().and_then(|python| {
        let there = chromium.exists();
        there.then_some(python).ok_or_else(|| format!("there is no {}", chromium.display()))
    });
    let python = match found {
        Ok(python) => python,
        Err(why) => {
            let required = std::env::var_os("USWITCH_REQUIRE_WEB").is_some_and(|word| word == "1");
            assert!(!required, "could not run: {why}");
            return beyond(why);
        }
    };
    rooted(|sandbox| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/page.py");
        let home = sandbox.dir.join("tmp");
        let mut command = sandbox.command(As::Root, &python);
        command
            .arg(script)
            .arg(sandbox.dir.join("uswitch"))
            .env("HOME", &home)
            .env("TMPDIR", &home);
        if let Some(folder) = std::env::var_os("USWITCH_WEB_PICTURES") {
            command.arg(folder);
        }
        let ended = Process::start(command, "tests/web/page.py").ended_within(PATIENCE);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    });
}
