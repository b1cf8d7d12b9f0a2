//! A page of the manual: clap's sections, a synopsis with values, and what people look for below.

use std::io;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;

use super::examples;

/// The text of the page about `command`, in roff.
pub(super) fn render(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    section(&mut page, "SYNOPSIS", &[synopsis(command)]);
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let verb = words(command.get_bin_name().unwrap_or(command.get_name()));
    let examples = examples::of(verb);
    if !examples.is_empty() {
        let of = |(line, what): &(&str, &str)| {
            format!(".TP\n\\fB{}\\fR\n{}", escape(line), paragraph(what))
        };
        section(&mut page, "EXAMPLES", &examples.iter().map(of).collect::<Vec<_>>());
    }
    section(&mut page, "EXIT STATUS", &tagged(exit_status(verb)));
    section(&mut page, "ENVIRONMENT", &tagged(ENVIRONMENT));
    section(&mut page, "FILES", &tagged(FILES));
    section(&mut page, "SEE ALSO", &[see_also(command)]);
    Ok(page)
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("USWITCH_LAB", "The lab that is meant where --name does not say it."),
    ("USWITCH_RUN_DIR", "The run directory, in the place of those below."),
    ("NO_COLOR", "Where it is set there are no colours."),
    ("CLICOLOR", "Where it is 0 there are no colours."),
    ("CLICOLOR_FORCE", "Where it is set, and not 0, there are colours in a file or a pipe too."),
    ("TERM", "Where it is dumb, or not set, there are no colours."),
    ("RUST_LOG", "What is logged on standard error, in the place of -v."),
];

const FILES: &[(&str, &str)] = &[
    ("/run/uswitch/LAB/", "A lab of root's: its lock, its journal, its control socket, its log."),
    ("$XDG_RUNTIME_DIR/uswitch/LAB/", "A lab of another user's; /tmp/uswitch-UID/LAB/ without it."),
    ("/run/netns/NODE", "A node of root's lab, as `ip netns` finds it."),
];

const EXIT: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "It could not be done."),
    ("2", "The request makes no sense, or names a lab, a node or a port that is not there."),
];

fn exit_status(verb: &str) -> &'static [(&'static str, &'static str)] {
    match verb {
        "ping" => &[
            ("0", "An answer came; with a deadline, as many as were asked for."),
            ("1", "None came, or fewer."),
            ("2", "Any other error, such as a node that is not there."),
        ],
        "run" | "up" => &[
            ("0", "Every ping of the checks was answered."),
            ("1", "One was not, or the lab could not be built."),
            ("2", "The request makes no sense; nothing was built."),
        ],
        "exec" | "shell" => &[
            ("2", "There is no such lab or node."),
            ("126", "The command cannot be run."),
            ("127", "There is no such command."),
            ("any other", "The command's own."),
        ],
        "explain" => &[
            ("0", "The packet would arrive, or only the outside can know."),
            ("1", "Something stops it."),
            ("2", "There is no such lab or node."),
        ],
        _ => EXIT,
    }
}

/// The command with its options and what they take.
fn synopsis(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let mut words = vec![format!("\\fB{}\\fR", escape(&name))];
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    let own = |arg: &&Arg| {
        !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort | ArgAction::Version
        )
    };
    words.extend(shown().filter(own).filter(|arg| !arg.is_positional()).map(option));
    words.extend(shown().filter(|arg| arg.is_positional()).map(positional));
    if command.has_subcommands() {
        words.push("\\fIVERB\\fR".into());
    }
    words.join(" ")
}

fn option(arg: &Arg) -> String {
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), _) => format!("-{short}"),
        (None, long) => format!("--{}", long.unwrap_or_default()),
    };
    let name = format!("\\fB{}\\fR", escape(&name));
    let takes = arg.get_action().takes_values();
    let value = if takes { format!(" {}", values(arg)) } else { String::new() };
    let again = if matches!(arg.get_action(), ArgAction::Append) { "..." } else { "" };
    format!("[{name}{value}]{again}")
}

fn positional(arg: &Arg) -> String {
    let text = values(arg);
    if arg.is_required_set() { text } else { format!("[{text}]") }
}

/// What an argument takes.
fn values(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<_> = names.iter().map(|name| format!("\\fI{}\\fR", escape(name))).collect();
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > names.len());
    let many = many || arg.is_positional() && matches!(arg.get_action(), ArgAction::Append);
    let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let text = format!("{}{}", names.join(" "), if many { "..." } else { "" });
    if optional && !arg.is_positional() { format!("[{text}]") } else { text }
}

/// The words of a verb, without the program's name before them.
pub(super) fn words(name: &str) -> &str {
    let name = name.trim_start();
    name.strip_prefix("uswitch ").unwrap_or(name)
}

fn see_also(command: &Command) -> String {
    let own = command.get_bin_name().unwrap_or_default().replace(' ', "-");
    let mut pages = vec!["uswitch(1)".to_owned()];
    let verb = words(command.get_bin_name().unwrap_or(command.get_name()));
    let near = examples::near(verb);
    pages.extend(near.iter().map(|verb| format!("uswitch-{verb}(1)")));
    pages.extend(["ip-netns(8)", "bridge(8)"].map(String::from));
    pages.extend(examples::others(verb).iter().map(|page| (*page).to_owned()));
    pages.retain(|page| *page != format!("{own}(1)"));
    let bold = pages.iter().map(|page| match page.split_once('(') {
        Some((name, rest)) => format!("\\fB{}\\fR({rest}", escape(name)),
        None => escape(page),
    });
    bold.collect::<Vec<_>>().join(", ")
}

fn tagged(rows: &[(&str, &str)]) -> Vec<String> {
    let of =
        |(tag, what): &(&str, &str)| format!(".TP\n\\fB{}\\fR\n{}", escape(tag), paragraph(what));
    rows.iter().map(of).collect()
}

fn section(page: &mut Vec<u8>, title: &str, paragraphs: &[String]) {
    page.extend_from_slice(format!(".SH \"{title}\"\n{}\n", paragraphs.join("\n")).as_bytes());
}

fn paragraph(text: &str) -> String {
    let text = escape(text);
    // A dot or a quote that begins a line is roff's.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}
