//! What a thread that forwards frames may ask of the kernel (`seccomp(2)`). It is the one that reads
//! what strangers send; whatever they made of it could use its rings, the memory it has, and its
//! own end, but open no file, make no socket and start no program.
//!
//! What is not allowed fails with EPERM and does not end the process: a call that a C library of
//! another day makes beside is then refused, and the lab goes on.

use std::collections::BTreeMap;
use std::io;

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Without conditions, so that the kernel answers from its bitmap (Linux 5.11) and runs no filter.
const ALLOWED: &[libc::c_long] = &[
    // The rings, and where a ring takes part or another takes its place.
    libc::SYS_ppoll,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_bind,
    libc::SYS_close,
    libc::SYS_fcntl,
    // Being told something, telling others; the request that idle cores be awake.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_futex,
    // Time, and the cores.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    // Memory; some more below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_getrandom,
    // Signals, the thread's end, and that of a process that panics.
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    // What musl's library raises a signal by.
    #[cfg(target_env = "musl")]
    libc::SYS_tkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Memory that is not to be run.
const NOT_RUN: &[libc::c_long] = &[libc::SYS_mmap, libc::SYS_mprotect];

/// Confines the calling thread, for good.
///
/// # Errors
/// ENOSYS or EINVAL of a kernel without such filters; one that the library has no words for.
pub fn forwarding() -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let program = program().map_err(io::Error::other)?;
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    // The library's instruction is the kernel's: two bytes, a byte, a byte, four bytes.
    let filter = program.as_ptr().cast::<libc::sock_filter>().cast_mut();
    let filter = libc::sock_fprog { len: length, filter };
    // Before Linux 5.16 a filter would slow down all the thread does otherwise, against attacks by
    // code that runs in it.
    let install = |flags: libc::c_ulong| {
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: the program and its head live for the call, and the length is the program's.
        let done = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter) };
        Errno::result(done).map(drop)
    };
    match install(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW) {
        // Before Linux 4.17.
        Err(Errno::EINVAL) => Ok(install(0)?),
        done => Ok(done?),
    }
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<_, _> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let run = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in NOT_RUN {
        let third =
            SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(run), 0)?;
        rules.insert(*call, vec![SeccompRule::new(vec![third])?]);
    }
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
#[test]
fn a_confined_thread_opens_nothing_and_goes_on() {
    let thread = std::thread::spawn(|| {
        if let Err(error) = forwarding() {
            return eprintln!("SKIPPED: {error}");
        }
        let open = std::fs::File::open("/dev/null").unwrap_err();
        assert_eq!(open.raw_os_error(), Some(libc::EPERM));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap_err();
        assert_eq!(socket.raw_os_error(), Some(libc::EPERM));
        assert!(std::process::Command::new("true").status().is_err());
        let room = vec![1u8; 64 << 20];
        assert_eq!(room.iter().map(|byte| usize::from(*byte)).sum::<usize>(), 64 << 20);
        // SAFETY: asks for fresh memory that can be run, and is refused.
        let run = unsafe {
            let prot = libc::PROT_READ | libc::PROT_EXEC;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0)
        };
        assert_eq!(run, libc::MAP_FAILED);
        std::thread::sleep(std::time::Duration::from_millis(1));
    });
    thread.join().unwrap();
}
