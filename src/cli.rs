//! The verbs and what is common to them: parsing, logging, how a failure is said.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::paint::Paint;
use crate::{clock, cmd, complete, exit, hint, plugin, say};

/// What `--version` says; `-V` says the number alone.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("USWITCH_BUILD"), ")");

/// Container networking in userspace: namespaces, a learning switch, a NAT gateway and a pinger.
#[derive(Parser)]
#[command(name = "uswitch", version, long_version = LONG_VERSION, propagate_version = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Tell more on stderr: -v each step of set-up and each change of a lab as the command that would do
    /// the same, -vv the log too, -vvv all of it; RUST_LOG overrides
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(cmd::run::Args),
    Up(cmd::up::Args),
    Down(cmd::down::Args),
    Ls(cmd::ls::Args),
    Learn(cmd::learn::Args),
    Doctor(cmd::doctor::Args),
    Ping(cmd::ping::Args),
    Iperf(cmd::iperf::Args),
    Shell(cmd::shell::Args),
    Exec(cmd::exec::Args),
    Show(cmd::show::Args),
    Graph(cmd::graph::Args),
    Top(cmd::top::Args),
    Web(cmd::web::Args),
    Capture(cmd::capture::Args),
    Trace(cmd::trace::Args),
    Explain(cmd::explain::Args),
    #[command(hide = true)]
    Extcap(cmd::extcap::Args),
    Monitor(cmd::monitor::Args),
    Add(cmd::add::Args),
    Remove(cmd::remove::Args),
    Link(cmd::link::Args),
    Publish(cmd::publish::Args),
    Unpublish(cmd::publish::Withdraw),
    Set(cmd::set::Args),
    Serve(cmd::serve::Args),
    Network(cmd::network::Args),
    Port(cmd::port::Args),
    Tunnel(cmd::tunnel::Args),
    Vlan(cmd::vlan::Args),
    Fdb(cmd::fdb::Args),
    Mdb(cmd::mdb::Args),
    Neigh(cmd::neigh::Args),
    Nat(cmd::nat::Nat),
    Metrics(cmd::metrics::Args),
    #[command(hide = true)]
    Create(plugin::netavark::Create),
    #[command(hide = true)]
    Setup(plugin::netavark::Setup),
    #[command(hide = true)]
    Teardown(plugin::netavark::Teardown),
    #[command(hide = true)]
    Info(plugin::netavark::Info),
    Schema(cmd::schema::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
}

/// Names a lab where `--name` does not.
const LAB: &str = "USWITCH_LAB";

/// Parses the command line, runs the verb and turns its outcome into an exit code.
pub(crate) fn start() -> ExitCode {
    sys::memory::keep_little();
    // Without it such a limit ends the process at the first byte beyond, and a lab is left half-made.
    let _ = sys::inherited::outlive_file_limit();
    if let Some(code) = plugin::cni::called() {
        return code;
    }
    complete::answer();
    let words = words(std::env::args_os().collect());
    let cli = match parsed(&words) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &words),
    };
    start_logging(cli.verbose, matches!(cli.verb, Verb::Serve(_)));
    let steps = cli.verbose > 0;
    let outcome = match cli.verb {
        Verb::Run(args) => cmd::run::main(args, steps),
        Verb::Up(args) => cmd::up::main(args, steps),
        Verb::Down(args) => cmd::down::main(args),
        Verb::Ls(args) => cmd::ls::main(args),
        Verb::Learn(args) => cmd::learn::main(args),
        Verb::Doctor(args) => cmd::doctor::main(args),
        Verb::Iperf(args) => cmd::iperf::main(args),
        Verb::Shell(args) => cmd::shell::main(args),
        Verb::Ping(args) => cmd::ping::main(args),
        Verb::Exec(args) => cmd::exec::main(args),
        Verb::Show(args) => cmd::show::main(args),
        Verb::Graph(args) => cmd::graph::main(args),
        Verb::Top(args) => cmd::top::main(args),
        Verb::Web(args) => cmd::web::main(args),
        Verb::Capture(args) => cmd::capture::main(args),
        Verb::Trace(args) => cmd::trace::main(args),
        Verb::Explain(args) => cmd::explain::main(args),
        Verb::Extcap(args) => cmd::extcap::main(args),
        Verb::Monitor(args) => cmd::monitor::main(args),
        Verb::Add(args) => cmd::add::main(args, steps),
        Verb::Remove(args) => cmd::remove::main(args, steps),
        Verb::Publish(args) => cmd::publish::main(args, steps),
        Verb::Unpublish(args) => cmd::publish::withdraw(args, steps),
        Verb::Link(args) => cmd::link::main(args, steps),
        Verb::Set(args) => cmd::set::main(args, steps),
        Verb::Serve(args) => cmd::serve::main(args),
        Verb::Network(args) => cmd::network::main(args, steps),
        Verb::Port(args) => cmd::port::main(args, steps),
        Verb::Tunnel(args) => cmd::tunnel::main(args, steps),
        Verb::Vlan(args) => cmd::vlan::main(args, steps),
        Verb::Fdb(args) => cmd::fdb::main(args, steps),
        Verb::Mdb(args) => cmd::mdb::main(args, steps),
        Verb::Neigh(args) => cmd::neigh::main(args, steps),
        Verb::Nat(args) => cmd::nat::nat(args, steps),
        Verb::Metrics(args) => cmd::metrics::main(args),
        Verb::Create(_) => plugin::netavark::create(),
        Verb::Setup(args) => Ok(plugin::netavark::setup(&args)),
        Verb::Teardown(args) => Ok(plugin::netavark::teardown(&args)),
        Verb::Info(_) => Ok(plugin::netavark::info()),
        Verb::Schema(args) => cmd::schema::main(args),
        Verb::Completions(args) => cmd::completions::main(args),
        Verb::Man(args) => cmd::man::main(args),
    };
    outcome.unwrap_or_else(|error| {
        say::error(&format!("{error:#}"));
        ExitCode::from(exit::code(&error))
    })
}

/// Reads the command line. A variable that is set to nothing names no lab, as if it were not set.
fn parsed(words: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    if std::env::var_os(LAB).is_some_and(|value| value.is_empty()) {
        command = unheeded(command);
    }
    let mut matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The same without that variable.
fn unheeded(command: Command) -> Command {
    let own = |arg: Arg| match arg.get_env() {
        Some(name) if name == LAB => arg.env(None::<&'static str>),
        _ => arg,
    };
    command.mut_args(own).mut_subcommands(unheeded)
}

/// The command line; called by the name of an extcap program, that verb stands before the words.
fn words(mut words: Vec<OsString>) -> Vec<OsString> {
    let called = words.first().and_then(|word| Path::new(word).file_name()?.to_str());
    if called.is_some_and(|name| name.ends_with("extcap")) {
        words.insert(1, "extcap".into());
    }
    words
}

/// Says in one line what is wrong with the command line. Help and the version, which come this way
/// too, are told as they are.
fn refuse(error: &clap::Error, words: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as Bare;
    if !error.use_stderr() || error.kind() == Bare {
        return told(error);
    }
    say::error(&hint::of(error, words));
    ExitCode::from(exit::USAGE)
}

/// Help and the version go to standard output; help nobody asked for to standard error.
fn told(error: &clap::Error) -> ExitCode {
    let text = error.render();
    if error.use_stderr() {
        let code = u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
        say::note(text.to_string().trim_end());
        return ExitCode::from(code);
    }
    let text = if Paint::of_stdout().is_on() { text.ansi().to_string() } else { text.to_string() };
    say::bytes(text.as_bytes());
    ExitCode::SUCCESS
}

fn start_logging(verbose: u8, serves: bool) {
    use tracing_subscriber::filter::{EnvFilter, LevelFilter};
    let level = match verbose {
        // Nobody sits before it, and what it has chosen is told nowhere else.
        0 | 1 if serves => LevelFilter::INFO,
        0 | 1 => LevelFilter::WARN,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let colour = Paint::of_stderr().is_on() && !cmd::up::is_background();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_timer(clock::Dated);
    // What cannot be logged is not worth a panic.
    let log = log.log_internal_errors(false);
    log.with_ansi(colour).init();
}
