use ratatui::crossterm::event::KeyCode::{self, BackTab, Backspace, Char, Down, End, Enter, Esc};
use ratatui::crossterm::event::KeyCode::{Home, PageDown, PageUp, Tab, Up};

use super::super::testing::{look_at, seen};
use super::*;

fn ui() -> Ui {
    Ui::new(Duration::from_secs(1))
}

fn press(ui: &mut Ui, keys: &[KeyCode]) -> Action {
    keys.iter().fold(Action::Draw, |_, key| ui.press(KeyEvent::new(*key, KeyModifiers::NONE)))
}

fn type_in(ui: &mut Ui, text: &str) {
    for letter in text.chars() {
        press(ui, &[Char(letter)]);
    }
}

#[test]
fn what_ends_and_what_looks() {
    for key in [Char(' '), Enter] {
        assert_eq!(press(&mut ui(), &[key]), Action::Look);
    }
    assert_eq!(press(&mut ui(), &[Char('q')]), Action::Quit);
    let control = |letter| KeyEvent::new(Char(letter), KeyModifiers::CONTROL);
    assert_eq!(ui().press(control('c')), Action::Quit);
    assert_eq!(ui().press(control('l')), Action::Anew);
    assert_eq!(ui().press(control('z')), Action::Suspend);
    assert_eq!(press(&mut ui(), &[Char('x')]), Action::Draw);
}

#[test]
fn panes_by_digit_and_by_tab() {
    let mut ui = ui();
    for (digit, pane) in ['1', '2', '3', '4', '5'].into_iter().zip(PANES) {
        assert_eq!(press(&mut ui, &[Char(digit)]), Action::Look);
        assert_eq!(ui.pane, pane);
    }
    press(&mut ui, &[Tab]);
    assert_eq!(ui.pane, Pane::Ports);
    press(&mut ui, &[BackTab, BackTab]);
    assert_eq!(ui.pane, Pane::Drops);
    assert_eq!(ui.want(), Want { fdb: false, sessions: false });
    press(&mut ui, &[Char('2')]);
    assert_eq!(ui.want(), Want { fdb: true, sessions: false });
    ui.all = true;
    assert_eq!(ui.want(), Want { fdb: true, sessions: true });
}

#[test]
fn help_goes_with_any_key() {
    let mut ui = ui();
    press(&mut ui, &[Char('h')]);
    assert_eq!(ui.mode, Mode::Help);
    assert_eq!(press(&mut ui, &[Char('2')]), Action::Draw);
    assert_eq!((&ui.mode, ui.pane), (&Mode::Watch, Pane::Ports));
    assert_eq!(press(&mut ui, &[Char('?'), Char('q')]), Action::Quit);
}

#[test]
fn the_delay_is_asked_for_and_held_to_its_bounds() {
    let mut ui = ui();
    press(&mut ui, &[Char('d')]);
    type_in(&mut ui, "2.55");
    assert_eq!(press(&mut ui, &[Backspace, Enter]), Action::Look);
    assert_eq!(ui.delay, Duration::from_millis(2500));
    for wrong in ["0", "-1", "fast", "1e9", "NaN", "inf"] {
        press(&mut ui, &[Char('s')]);
        type_in(&mut ui, wrong);
        assert_eq!(press(&mut ui, &[Enter]), Action::Draw);
        assert!(ui.message.as_ref().is_some_and(|said| said.contains(wrong)), "{wrong}");
        assert_eq!(ui.delay, Duration::from_millis(2500), "{wrong}");
    }
    press(&mut ui, &[Char('d'), Enter]);
    assert_eq!((ui.message.as_deref(), ui.delay), (None, Duration::from_millis(2500)));
    // An answer has an end, and Esc leaves things as they were.
    press(&mut ui, &[Char('d')]);
    type_in(&mut ui, &"1".repeat(500));
    assert!(matches!(&ui.mode, Mode::Ask(Question::Delay, text) if text.len() == ANSWER));
    press(&mut ui, &[Esc]);
    assert_eq!(ui.mode, Mode::Watch);
}

fn first_cells(ui: &Ui, model: &super::super::model::Model) -> Vec<String> {
    let table = ui.arrange(ui.pane, ui.pane.table(model));
    table.rows.iter().map(|row| row.cells[0].text.clone()).collect()
}

#[test]
fn the_busiest_come_first_unless_asked() {
    let (mut ui, model) = (ui(), seen());
    assert_eq!(first_cells(&ui, &model), ["veth1", "veth2", "veth3"], "equal ones by their name");
    press(&mut ui, &[Char('D')]);
    assert_eq!(first_cells(&ui, &model), ["veth2", "veth1", "veth3"]);
    press(&mut ui, &[Char('N'), Char('R')]);
    assert_eq!(first_cells(&ui, &model), ["veth3", "veth2", "veth1"]);
    // To the left of the first column there is none, nor to the right of the last.
    press(&mut ui, &[Char('<'); 40]);
    assert_eq!(ui.sort(Pane::Ports), Some(Sort { column: 0, falling: true }));
    press(&mut ui, &[Char('>'); 40]);
    assert_eq!(ui.sort(Pane::Ports).map(|sort| sort.column), Some(Pane::Ports.columns().len() - 1));
    // Events stay as they come.
    press(&mut ui, &[Char('5'), Char('P'), Char('N'), Char('R'), Char('>')]);
    assert_eq!(ui.sort(Pane::Events), None);
}

#[test]
fn only_rows_with_the_words() {
    let (mut ui, model) = (ui(), seen());
    press(&mut ui, &[Char('/')]);
    type_in(&mut ui, "NET2");
    press(&mut ui, &[Enter]);
    assert_eq!(first_cells(&ui, &model), ["veth2"]);
    press(&mut ui, &[Esc]);
    assert_eq!(first_cells(&ui, &model).len(), 3);
}

#[test]
fn scrolling_ends_where_the_rows_do() {
    let mut ui = ui();
    ui.page = 10;
    let rows = look_at(0, 25).ports.len();
    let at = |ui: &mut Ui, keys: &[KeyCode]| {
        press(ui, keys);
        ui.first(Pane::Ports, rows, 10)
    };
    assert_eq!(at(&mut ui, &[Up]), 0);
    assert_eq!(at(&mut ui, &[Down, Down]), 2);
    assert_eq!(at(&mut ui, &[PageDown]), 12);
    assert_eq!(at(&mut ui, &[PageDown]), 15);
    assert_eq!(at(&mut ui, &[PageUp]), 5);
    assert_eq!(at(&mut ui, &[End]), 15);
    assert_eq!(at(&mut ui, &[Up]), 14);
    assert_eq!(at(&mut ui, &[Home]), 0);
    // Rows that vanish take the screen along.
    at(&mut ui, &[End]);
    assert_eq!(ui.first(Pane::Ports, 3, 10), 0);
}
