use std::time::Duration;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::testing::{look_at, seen};
use super::*;

fn ui() -> Ui {
    Ui::new(Duration::from_secs(1))
}

fn press(ui: &mut Ui, keys: &str) {
    for key in keys.chars() {
        let key = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        ui.press(KeyEvent::new(key, KeyModifiers::NONE));
    }
}

fn buffer(size: (u16, u16), model: &Model, ui: &mut Ui, colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, model, ui, Theme { colour })).unwrap();
    terminal.backend().buffer().clone()
}

fn screen(size: (u16, u16), ui: &mut Ui) -> Vec<String> {
    rows(&buffer(size, &seen(), ui, true))
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..area.height).map(|y| row(y).trim_end().to_owned()).collect()
}

#[track_caller]
fn shows(size: (u16, u16), ui: &mut Ui, wanted: &str) {
    let wanted: Vec<_> = wanted.trim_matches('\n').lines().map(str::trim_end).collect();
    let found = screen(size, ui);
    assert_eq!(found, wanted, "\n{}\n", found.join("\n"));
}

#[test]
fn a_usual_terminal() {
    shows(
        (80, 24),
        &mut ui(),
        "
lab uswitch, up 1h02m, 3 nodes, gateway 10.100.0.1, uplink sim as 203.0.113.2
frames: 3.00k in, 19 dropped, 2.80k forwarded, 12 flooded, 80 to the gateway
rates: 1.10M bit/s in, 1.10k frames/s, 5 drops/s
tables: 2 of 65,536 MACs, 1 NAT session (icmp 1), 0 lost by the ring
1 Ports 2 MACs 3 NAT 4 Drops 5 Events
PORT   NODE   LINK  RX b/s RX f/s  TX b/s TX f/s ERRS DROPS RX+TX▼
veth1  net1   up     1.00M  1.00k    100k    100    0     0                   ██
veth2  net2   up      100k    100   1.00M  1.00k   10     2                   ██
veth3  net3   down       0      0       0      0    0     0









 Events ────────────────────────────────────────────────────────────────────────
    0s port down veth3
    1s session   icmp 10.100.0.10:7 to 8.8.8.8:7 as 203.0.113.2:1024
    2s learned   02:00:0a:64:00:0a at veth1

h help  q quit  Tab pane  < > sort  / filter  d delay 1 s
",
    );
}

#[test]
fn a_small_terminal() {
    let mut ui = ui();
    shows(
        (40, 10),
        &mut ui,
        "
lab uswitch, up 1h02m, 3 nodes
frames: 3.00k in, 19 dropped
1 Ports 2 MACs 3 NAT 4 Drops 5 Events
PORT   NODE    RX b/s  TX b/s ERRS DROPS
veth1  net1     1.00M    100k    0     0
veth2  net2      100k   1.00M   10     2
veth3  net3         0       0    0     0


h help  q quit  Tab pane  < > sort
",
    );
    press(&mut ui, "2");
    shows(
        (40, 10),
        &mut ui,
        "
lab uswitch, up 1h02m, 3 nodes
frames: 3.00k in, 19 dropped
1 Ports 2 MACs 3 NAT 4 Drops 5 Events
MAC               PORT    SEEN▲ NODE
02:00:0a:64:00:0a veth1      2s net1
02:00:0a:64:00:14 veth2      4s net2



h help  q quit  Tab pane  < > sort
",
    );
}

#[test]
fn other_panes() {
    let mut ui = ui();
    press(&mut ui, "3");
    shows(
        (80, 12),
        &mut ui,
        "
lab uswitch, up 1h02m, 3 nodes, gateway 10.100.0.1, uplink sim as 203.0.113.2
frames: 3.00k in, 19 dropped, 2.80k forwarded, 12 flooded, 80 to the gateway
rates: 1.10M bit/s in, 1.10k frames/s, 5 drops/s
tables: 2 of 65,536 MACs, 1 NAT session (icmp 1), 0 lost by the ring
1 Ports 2 MACs 3 NAT 4 Drops 5 Events
PROTO INSIDE             REMOTE             STATE          b/s▼    OUT     IN
icmp  10.100.0.10:7      8.8.8.8:7          established   1.34k    168    168




h help  q quit  Tab pane  < > sort  / filter  d delay 1 s
",
    );
    press(&mut ui, "4");
    shows(
        (80, 12),
        &mut ui,
        "
lab uswitch, up 1h02m, 3 nodes, gateway 10.100.0.1, uplink sim as 203.0.113.2
frames: 3.00k in, 19 dropped, 2.80k forwarded, 12 flooded, 80 to the gateway
rates: 1.10M bit/s in, 1.10k frames/s, 5 drops/s
tables: 2 of 65,536 MACs, 1 NAT session (icmp 1), 0 lost by the ring
1 Ports 2 MACs 3 NAT 4 Drops 5 Events
BY      REASON             f/s▼  TOTAL AT
switch  truncated             5     10 veth2 10
gateway no_route              0      7
switch  same_port             0      2 veth2 2


h help  q quit  Tab pane  < > sort  / filter  d delay 1 s
",
    );
    press(&mut ui, "5");
    shows(
        (80, 12),
        &mut ui,
        "
lab uswitch, up 1h02m, 3 nodes, gateway 10.100.0.1, uplink sim as 203.0.113.2
frames: 3.00k in, 19 dropped, 2.80k forwarded, 12 flooded, 80 to the gateway
rates: 1.10M bit/s in, 1.10k frames/s, 5 drops/s
tables: 2 of 65,536 MACs, 1 NAT session (icmp 1), 0 lost by the ring
1 Ports 2 MACs 3 NAT 4 Drops 5 Events
   AGO EVENT     WHAT
    0s port down veth3
    1s session   icmp 10.100.0.10:7 to 8.8.8.8:7 as 203.0.113.2:1024
    2s learned   02:00:0a:64:00:0a at veth1


h help  q quit  Tab pane  < > sort  / filter  d delay 1 s
",
    );
}

#[test]
fn a_large_terminal_shows_everything() {
    let mut ui = ui();
    let screen = screen((200, 60), &mut ui);
    assert!(ui.all && ui.want().fdb && ui.want().sessions);
    let text = screen.join("\n");
    for words in [
        " 1 Ports ",
        " 2 MACs ",
        " 3 NAT ",
        " 4 Drops ",
        " 5 Events ",
        "WHY DROPPED",
        "same_port 2, truncated 10",
        "02:00:0a:64:00:14 veth2",
        "icmp  10.100.0.10:7",
        "gateway no_route",
        "port down veth3",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    // Each pane begins where the one before it ends.
    assert!(screen[4].starts_with(" 1 Ports ─") && screen[4].chars().count() == 200);
}

#[test]
fn what_does_not_fit_can_be_scrolled_to() {
    let model = Model::new(look_at(0, 300));
    let mut ui = ui();
    press(&mut ui, "N");
    let at = |ui: &mut Ui, key| {
        ui.press(KeyEvent::new(key, KeyModifiers::NONE));
        let rows = rows(&buffer((80, 12), &model, ui, true));
        (rows[4].clone(), rows[6].split(' ').next().unwrap_or_default().to_owned())
    };
    let (place, first) = at(&mut ui, KeyCode::Home);
    assert!(place.ends_with("1-5 of 300"), "{place}");
    assert_eq!(first, "veth1");
    assert_eq!(at(&mut ui, KeyCode::PageDown).1, "veth6");
    assert_eq!(at(&mut ui, KeyCode::Down).1, "veth7");
    let (place, first) = at(&mut ui, KeyCode::End);
    assert!(place.ends_with("296-300 of 300"), "{place}");
    assert_eq!(first, "veth296");
}

#[test]
fn the_last_line_asks_answers_and_complains() {
    let mut ui = ui();
    let last = |ui: &mut Ui, height| screen((60, height), ui).pop().unwrap_or_default();
    press(&mut ui, "d2.5");
    assert_eq!(last(&mut ui, 24), "delay in seconds, now 1: 2.5");
    // A terminal without a line for it gives its last row.
    assert_eq!(last(&mut ui, 5), "delay in seconds, now 1: 2.5");
    press(&mut ui, "x\n");
    assert_eq!(last(&mut ui, 24), "2.5x: a delay is 0.1 to 3600 seconds");
    press(&mut ui, "/nothing like it\n");
    assert!(last(&mut ui, 24).starts_with("h help"));
    let text = screen((60, 24), &mut ui).join("\n");
    assert!(text.contains("no row has \"nothing like it\": Esc shows all"), "{text}");
    ui.trouble = Some("the lab at /run/x does not answer as it should: it takes too long".into());
    assert!(last(&mut ui, 24).starts_with("the lab at /run/x does not answer"));
}

#[test]
fn help_names_every_key() {
    let mut ui = ui();
    press(&mut ui, "h");
    let text = screen((80, 24), &mut ui).join("\n");
    for (keys, what) in HELP {
        assert!(text.contains(keys) && text.contains(what), "no {keys} in\n{text}");
    }
    assert!(screen((40, 10), &mut ui).join("\n").contains("Ctrl-C"));
}

#[test]
fn no_colour_where_none_is_wanted() {
    let painted = |colour, keys: &str| {
        let mut ui = ui();
        press(&mut ui, keys);
        let buffer = buffer((80, 24), &seen(), &mut ui, colour);
        let of = |wanted: fn(&ratatui::buffer::Cell) -> bool| {
            buffer.content.iter().filter(|cell| wanted(cell)).count()
        };
        (
            of(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset),
            of(|cell| cell.modifier.contains(Modifier::REVERSED)),
        )
    };
    for keys in ["", "2", "3", "4", "5", "h", "d7"] {
        let (coloured, chosen) = painted(false, keys);
        assert_eq!(coloured, 0, "after {keys:?}");
        assert!(chosen > 0, "what is chosen shows without colour too");
    }
    assert!(painted(true, "").0 > 0);
}

proptest! {
    #[test]
    fn no_size_is_too_small(
        width in 0u16..260, height in 0u16..80, keys in "[1-5hdsPNDR<>/ ]{0,6}", nodes in 0u32..30,
    ) {
        let mut ui = ui();
        press(&mut ui, &keys);
        let mut model = Model::new(look_at(0, nodes));
        model.take(look_at(1, nodes));
        buffer((width, height), &model, &mut ui, true);
    }
}
