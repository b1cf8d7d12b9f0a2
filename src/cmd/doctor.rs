//! `uswitch doctor`: what this machine allows, and what follows.

use std::process::ExitCode;

use lab::allows::{self, Finding, Standing};

use crate::paint::Paint;
use crate::table::Table;
use crate::{door, say};

/// Say what this machine allows, what follows for labs, and the mend for what is missing
///
/// Each thing is tried: in namespaces of its own, which end with it. Exit code: 0 where labs can be
/// built, 1 where they cannot.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let findings = allows::look(&door::ground());
    if args.json {
        door::json(&findings)?;
    } else {
        lines(&findings, |text| Paint::of_stdout().head(text))
            .iter()
            .for_each(|line| say::line(line));
    }
    Ok(if allows::builds(&findings) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(findings: &[Finding], head: impl Fn(&str) -> String) -> Vec<String> {
    let mut table = Table::new(&["", "WHAT", "FOUND", "WHAT FOLLOWS"]);
    for finding in findings {
        let sign = match finding.standing {
            Standing::Yes => "+",
            Standing::Without => "-",
            Standing::No => "!",
        };
        table.row([sign, finding.what, &finding.found, &finding.follows].map(str::to_owned));
    }
    let (heads, rows) = table.lines();
    let mut all = vec![head(&heads)];
    all.extend(rows);
    let mends = findings.iter().filter_map(|one| Some((one.what, one.mend.as_deref()?)));
    let mends: Vec<_> = mends.map(|(what, mend)| format!("  {what}: {mend}")).collect();
    if !mends.is_empty() {
        all.extend([String::new(), "To have what is missing:".into()]);
        all.extend(mends);
    }
    all.push(String::new());
    all.push(verdict(findings).into());
    all
}

fn verdict(findings: &[Finding]) -> &'static str {
    let all = |standing| findings.iter().all(|finding| finding.standing != standing);
    match (all(Standing::No), all(Standing::Without)) {
        (false, _) => "Labs cannot be built here.",
        (true, false) => "Labs can be built here.",
        (true, true) => "Labs can be built here, with all there is.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(what: &'static str, standing: Standing, mend: Option<&str>) -> Finding {
        let found = format!("{what} found");
        Finding { what, standing, found, follows: "it".into(), mend: mend.map(Into::into) }
    }

    #[test]
    fn what_is_missing_comes_with_its_mend() {
        let findings = [
            finding("links", Standing::Yes, None),
            finding("fast path", Standing::Without, Some("root")),
        ];
        let text = lines(&findings, str::to_owned).join("\n");
        assert_eq!(
            text,
            "   WHAT       FOUND            WHAT FOLLOWS\n\
             +  links      links found      it\n\
             -  fast path  fast path found  it\n\
             \n\
             To have what is missing:\n  fast path: root\n\
             \n\
             Labs can be built here."
        );
    }

    #[test]
    fn one_thing_that_is_indispensable_decides() {
        let none = [finding("links", Standing::No, Some("modprobe"))];
        assert!(!allows::builds(&none));
        assert_eq!(verdict(&none), "Labs cannot be built here.");
        let all = [finding("links", Standing::Yes, None)];
        assert!(allows::builds(&all));
        assert_eq!(verdict(&all), "Labs can be built here, with all there is.");
    }
}
