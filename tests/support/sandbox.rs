//! One test's own machine: a mount and a network namespace, /run empty, /etc its own, loopback up.
//!
//! `rooted` gives the test root in it: by `unshare` on a thread of its own when the caller is
//! root, else by starting this one test again inside a user namespace. `rootless` runs it as an
//! ordinary user. A machine that allows neither skips aloud, or fails where
//! `USWITCH_REQUIRE_ROOT=1`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, geteuid};

use super::process::{Ended, Process};
use super::skip::{hand_on, skip};

/// Set in the child when a test is started again inside a user namespace.
const INSIDE: &str = "USWITCH_TEST_INSIDE";
/// nobody:nogroup, the ordinary user that root plays.
const NOBODY: u32 = 65534;

/// On whose behalf the binary is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum As {
    /// Whoever owns the sandbox's namespaces.
    Root,
    /// A user without any privilege.
    User,
}

/// A test's own machine.
pub(crate) struct Sandbox {
    /// An empty folder of the test's own.
    pub(crate) dir: PathBuf,
    /// Whether the caller is the real root (not one of a user namespace).
    pub(crate) real_root: bool,
    whom: As,
    _temporary: Option<Temporary>,
}

/// A folder removed with everything in it.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // A test that failed may have left a mount: then the folder stays, and says so.
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("left behind: {}: {error}", self.0.display());
        }
    }
}

/// Runs `test` as root of a private machine.
pub(crate) fn rooted(test: impl FnOnce(&Sandbox) + Send) {
    if geteuid().is_root() {
        let real_root = std::env::var_os(INSIDE).is_none();
        return apart(move || test(&Sandbox::private(As::Root, real_root)));
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let again = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, &name)
        .stdin(Stdio::null())
        .output();
    match again {
        Ok(output) if output.status.success() => {
            hand_on(&String::from_utf8_lossy(&output.stderr));
        }
        Ok(output) if !user_namespaces() => {
            skip(format!("no user namespaces here: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(output) => {
            let (out, err) = (&output.stdout, &output.stderr);
            panic!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
        }
        Err(error) => skip(format!("unshare: {error}")),
    }
}

/// [`rooted`] where tcpdump and BPF programs run.
pub(crate) fn captured(test: impl FnOnce(&Sandbox) + Send) {
    if captures() {
        rooted(test);
    }
}

/// Whether tcpdump and BPF programs run; says so where not. tcpdump gives up its privileges first, which
/// root of a user namespace may not, and BPF is not for it: an ordinary user's tests go without them.
pub(crate) fn captures() -> bool {
    let root = geteuid().is_root();
    if !root {
        skip("tcpdump and BPF programs run for root only");
    }
    root
}

/// Runs `test` on behalf of an ordinary user.
pub(crate) fn rootless(test: impl FnOnce(&Sandbox) + Send) {
    if geteuid().is_root() {
        return apart(move || test(&Sandbox::private(As::User, true)));
    }
    if !user_namespaces() {
        return skip("this system allows no user namespaces to an ordinary user");
    }
    // Short: a socket's path has 107 bytes, and the longest name of a lab is to fit.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("us{}-{number}", std::process::id()));
    std::fs::create_dir_all(dir.join("user")).unwrap();
    let temporary = Some(Temporary(dir.clone()));
    test(&Sandbox { dir, real_root: false, whom: As::User, _temporary: temporary });
}

fn user_namespaces() -> bool {
    let probe = Command::new("unshare").args(["--user", "--map-root-user", "true"]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// The binary under test: the one built beside the tests, or USWITCH_TEST_BINARY where both were
/// copied to a place that an ordinary user can read.
fn built() -> PathBuf {
    let named = std::env::var_os("USWITCH_TEST_BINARY").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_uswitch").into())
}

/// Runs `body` on a thread of its own, whose namespaces end with it.
fn apart(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        let thread = std::thread::Builder::new().name(name).spawn_scoped(scope, body).unwrap();
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// What was left running in the background, as by a test that failed, ends with the machine: all that
/// see its /run, in whichever mount namespace. A test's own thread is of this process.
impl Drop for Sandbox {
    fn drop(&mut self) {
        use std::os::unix::fs::MetadataExt;
        let run = |root: &str| Some(std::fs::metadata(format!("{root}/run/test")).ok()?.dev());
        let Some(own) = run("").filter(|_| self.dir == Path::new("/run/test")) else { return };
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            let other = u32::try_from(pid).is_ok_and(|pid| pid != std::process::id());
            if other && run(&format!("/proc/{pid}/root")) == Some(own) {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }
}

impl Sandbox {
    /// Takes the calling thread into namespaces of its own.
    fn private(whom: As, real_root: bool) -> Self {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
        own_etc();
        let dir = PathBuf::from("/run/test");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        // The ordinary user may not be able to walk to the build folder: the binary comes to it.
        let binary = dir.join("uswitch");
        std::fs::write(&binary, "").unwrap();
        mount(Some(&built()), &binary, none, MsFlags::MS_BIND, none).unwrap();
        for folder in ["user", "tmp"] {
            let folder = dir.join(folder);
            std::fs::create_dir(&folder).unwrap();
            if real_root {
                nix::unistd::chown(&folder, Some(Uid::from_raw(NOBODY)), None).unwrap();
            }
        }
        let sandbox = Sandbox { dir, real_root, whom, _temporary: None };
        sandbox.tool("ip", &["link", "set", "lo", "up"]);
        sandbox
    }

    /// The command line that starts `program` here, for `whom`, to die with this thread.
    pub(crate) fn command(&self, whom: As, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if whom == As::User && self.real_root {
            let id = NOBODY.to_string();
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        }
        command.arg("--").arg(program).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if whom == As::User {
            let folder = self.dir.join("user");
            command.env("HOME", &folder).env("XDG_RUNTIME_DIR", &folder);
        }
        command
    }

    /// `uswitch ARGS` ready to start, for the one this sandbox is for.
    pub(crate) fn uswitch_command(&self, args: &[&str]) -> Command {
        let here = self.dir.join("uswitch");
        let built = built();
        let mut command = self.command(self.whom, if here.exists() { &here } else { &built });
        command.args(self.with_fast_path(args));
        command
    }

    /// `USWITCH_TEST_FAST_PATH=on`: the labs of root's that can have a fast path have one.
    fn with_fast_path<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        let asked = std::env::var_os("USWITCH_TEST_FAST_PATH").is_some_and(|word| word == "on");
        let able = self.real_root && self.whom == As::Root;
        let others = ["pair", "mesh", "--workers", "--fast-path", "--dry-run", "--help", "-h"];
        match args {
            [verb @ ("run" | "up"), rest @ ..]
                if asked && able && !rest.iter().any(|arg| others.contains(arg)) =>
            {
                // A file may be that of a lab without a switch.
                let file = rest.iter().any(|arg| arg.ends_with(".yaml"));
                [&[*verb, "--fast-path", if file { "auto" } else { "on" }], rest].concat()
            }
            _ => args.to_vec(),
        }
    }

    /// Runs `uswitch ARGS` to its end.
    pub(crate) fn uswitch(&self, args: &[&str]) -> Ended {
        self.start(args).ended()
    }

    /// Starts `uswitch ARGS`.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::start(self.uswitch_command(args), &format!("uswitch {}", args.join(" ")))
    }

    /// Runs a line of shell, which finds `uswitch`, to its end.
    pub(crate) fn shell(&self, line: &str) -> Ended {
        self.start_shell(line).ended()
    }

    /// Starts a line of shell, which finds `uswitch`.
    pub(crate) fn start_shell(&self, line: &str) -> Process {
        let mut command = self.command(self.whom, Path::new("sh"));
        let built = built();
        let here = self.dir.join("uswitch").exists();
        let folder = if here { Some(self.dir.as_path()) } else { built.parent() };
        let mut path = std::ffi::OsString::from(folder.unwrap_or(&self.dir));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.args(["-c", line]).env("PATH", path);
        Process::start(command, line)
    }

    /// Runs a program of the machine in the sandbox and gives what it printed; it must succeed.
    pub(crate) fn tool(&self, program: &str, args: &[&str]) -> String {
        let said = format!("{program} {}", args.join(" "));
        let mut command = self.command(As::Root, Path::new(program));
        command.args(args);
        let ended = Process::start(command, &said).ended();
        assert_eq!(ended.code, Some(0), "{said}: {}", ended.err);
        ended.out
    }

    /// What a lab could leave behind: namespaces, interfaces, addresses, rules, files, processes.
    pub(crate) fn state(&self) -> String {
        let mut state = String::new();
        if self.whom == As::Root || self.real_root {
            for args in [&["netns", "list"][..], &["-o", "addr"], &["-o", "link"], &["route"]] {
                // An address may yet be asked for when it is looked at first (RFC 4862, section 5.4).
                let told = self.tool("ip", args).replace(" tentative", "");
                // That a link which is up works is said up to a second later (RFC 2863, section 3.1.12).
                let told = told.replace("state UNKNOWN", "state UP");
                state += &format!("{args:?}\n{told}");
            }
        }
        let mut files = Vec::new();
        list(
            Path::new(if self.real_root { "/run" } else { self.dir.to_str().unwrap() }),
            &mut files,
        );
        list(Path::new("/etc/netns"), &mut files);
        files.retain(|file| !file.starts_with("/run/etc/"));
        files.sort();
        state + &files.join("\n")
    }
}

/// Lets what is written to /etc stay here, where a lab makes links for `ip netns exec`.
fn own_etc() {
    for folder in ["/run/etc", "/run/etc/new", "/run/etc/work"] {
        std::fs::create_dir(folder).unwrap();
    }
    let how = Some("lowerdir=/etc,upperdir=/run/etc/new,workdir=/run/etc/work");
    // Kernels that put no layers above layers, or not for root of a user namespace: there a lab
    // cannot write to /etc either, or tests share it as they did.
    if mount(Some("overlay"), "/etc", Some("overlay"), MsFlags::empty(), how).is_ok() {
        // What a lab outside has put there for its nodes is not of this machine.
        let _ = std::fs::remove_dir_all("/etc/netns");
    }
}

/// Every file below `folder`; empty folders leave no trace in `state` that would matter.
fn list(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), files);
        } else {
            files.push(entry.path().display().to_string());
        }
    }
}
