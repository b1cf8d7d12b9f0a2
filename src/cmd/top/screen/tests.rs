//! A panic cannot be had from the real program, so this test starts itself in a pseudo-terminal.

use std::io::Read;
use std::num::NonZeroU16;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::*;

/// Set in the process that is to panic: in which thread.
const INSIDE: &str = "USWITCH_TEST_PANIC";

#[test]
fn a_panic_gives_the_terminal_back() {
    match std::env::var(INSIDE).as_deref() {
        Ok("main") => {
            let mut screen = Screen::take().unwrap();
            screen.draw(|frame| frame.render_widget("drawn", frame.area())).unwrap();
            panic!("wanted");
        }
        Ok(_) => {
            let mut screen = Screen::take().unwrap();
            screen.draw(|frame| frame.render_widget("drawn", frame.area())).unwrap();
            std::thread::spawn(|| panic!("wanted")).join().unwrap_err();
            // No destructor helps here.
            std::process::exit(3);
        }
        Err(_) => ["main", "other"].map(panics_in),
    };
}

fn panics_in(thread: &str) {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let modes = || format!("{:?}", pty.master.get_termios().unwrap());
    let before = modes();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    let this = "cmd::top::screen::tests::a_panic_gives_the_terminal_back";
    command.args(["--exact", this, "--nocapture", "--test-threads=1"]);
    command.env(INSIDE, thread);
    let mut child = pty.slave.spawn_command(command).unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(modes(), before);
    // With no one left to write, reading ends.
    drop(pty.slave);
    let mut bytes = Vec::new();
    let mut from = pty.master.try_clone_reader().unwrap();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("drawn"), "it was never taken: {text}");
    let one = |number| NonZeroU16::new(number).unwrap();
    let mut parser = vt100::Parser::new(one(24), one(80), 0);
    parser.process(&bytes);
    let screen = parser.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor());
    assert!(screen.contents().contains("wanted"), "it does not say why: {}", screen.contents());
}
