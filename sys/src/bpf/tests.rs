//! Programs as the kernel of this machine takes them, in a namespace made for the test.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::op::{Alu, If, Reg, Size};
use super::{Kind, LruMap, Op, Program};
use crate::skip::skip;

const NEXT: i32 = -1;
const DROP: i32 = 2;

fn answer(value: i32) -> [Op; 2] {
    [Op::alu(Alu::Mov, Reg(0), value), Op::exit()]
}

fn may(result: &io::Result<Program>) -> bool {
    match result {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            skip(format!("no BPF without root: {error}"));
            false
        }
        _ => true,
    }
}

#[test]
fn a_program_lives_as_long_as_its_descriptor() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let program = Program::load(Kind::Ingress, "drop_all", &answer(DROP));
            if !may(&program) || unshare(CloneFlags::CLONE_NEWNET).is_err() {
                return;
            }
            let program = program.expect("loading");
            assert!(program.can_attach());
            loopback_up();
            let (a, b) = pair();
            let arrives = || {
                a.send(b"x").expect("sending");
                b.recv(&mut [0; 1]).is_ok()
            };
            assert!(arrives(), "before");
            let attached = program.attach_ingress(1).expect("attaching");
            assert!(!arrives(), "while attached");
            drop(attached);
            assert!(arrives(), "after");
        });
    });
}

#[test]
fn what_the_verifier_refuses_comes_with_its_words() {
    // The verifier's refusal looks like a lack of privilege, so that is asked first.
    if !may(&Program::load(Kind::Ingress, "tame", &answer(NEXT))) {
        return;
    }
    let program = Program::load(
        Kind::Ingress,
        "wild",
        &[Op::load(Size::Word, Reg(0), Reg(2), 0), Op::exit()],
    );
    let error = program.expect_err("a register nobody has set").to_string();
    assert!(error.contains("R2"), "{error}");
}

#[test]
fn a_map_can_be_named_by_a_program() {
    let Ok(map) = LruMap::new("a_map", 8, 8, 16) else { return };
    let [first, second] = Op::map(Reg(1), &map);
    let key = [
        Op::alu(Alu::Mov, Reg(0), 7),
        Op::store(Size::Double, Reg(10), -8, Reg(0)),
        Op::alu_reg(Alu::Mov, Reg(2), Reg(10)),
        Op::alu(Alu::Add, Reg(2), -8),
    ];
    let mut ops = key.to_vec();
    ops.extend([first, second, Op::call(super::op::Helper::MapLookup)]);
    ops.push(Op::jump_if_wide(If::Equal, Reg(0), 0, 2));
    ops.extend(answer(DROP));
    ops.extend(answer(NEXT));
    Program::load(Kind::Ingress, "looks_up", &ops).expect("loading");
}

fn pair() -> (UdpSocket, UdpSocket) {
    let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("binding"));
    a.connect(b.local_addr().expect("an address")).expect("connecting");
    b.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    (a, b)
}

/// Sets lo of the thread's namespace up, which takes an ioctl on any socket.
pub(crate) fn loopback_up() {
    use std::os::fd::AsRawFd;
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // SAFETY: an all-zero ifreq is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).expect("a flag");
    // SAFETY: the request is a whole ifreq that outlives the call.
    let rc = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    assert_eq!(rc, 0, "{}", io::Error::last_os_error());
}
