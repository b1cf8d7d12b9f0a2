//! What is made from the verbs' own descriptions: completions a shell takes, a manual page a verb.

use crate::READY;
use crate::support::{Sandbox, rooted, rootless};

/// What bash offers behind a line, whose last word may be begun or empty.
fn offered(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let words: Vec<_> = line.split(' ').map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <(uswitch completions bash); COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9; \
         COMP_LINE=\"{line}\"; COMP_POINT=${{#COMP_LINE}}; \
         $(complete -p uswitch | sed \"s/.*-F \\([^ ]*\\).*/\\1/\") uswitch '{}' x; \
         printf \"%s\\n\" \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
        words.last().unwrap()
    );
    let file = sandbox.dir.join("user/complete.sh");
    std::fs::write(&file, script).unwrap();
    let said = sandbox.shell(&format!("bash {}", file.display())).ok().out;
    said.lines().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

#[test]
fn a_shell_completes_verbs_and_their_words() {
    rootless(|sandbox| {
        let offers = |line: &str, wanted: &[&str]| {
            let offered = offered(sandbox, line);
            for word in wanted {
                assert!(offered.iter().any(|offer| offer == word), "{line}: {offered:?}");
            }
            offered
        };
        assert_eq!(offered(sandbox, "uswitch show fd"), ["fdb"]);
        assert_eq!(offered(sandbox, "uswitch unpub"), ["unpublish"]);
        assert_eq!(offered(sandbox, "uswitch run --nat sym"), ["symmetric"]);
        offers("uswitch run ", &["pair", "mesh", "switch"]);
        offers("uswitch run --uplink ", &["sim", "none", "auto"]);
        offers("uswitch completions ", &["bash", "zsh", "fish"]);
        offers("uswitch man ", &["run", "show"]);
        let verbs = offers("uswitch ", &["run", "ls", "shell", "man"]);
        assert!(!verbs.iter().any(|verb| verb == "extcap"), "{verbs:?}");
        for other in ["zsh", "fish"] {
            let text = sandbox.uswitch(&["completions", other]).ok().out;
            assert!(text.contains("uswitch"), "{other}");
        }
        assert_eq!(sandbox.uswitch(&["completions", "abacus"]).code, Some(2));
    });
}

#[test]
fn a_shell_completes_labs_and_nodes() {
    rooted(|sandbox| {
        let without = offered(sandbox, "uswitch exec ");
        assert!(!without.iter().any(|offer| offer == "net1"), "no lab: {without:?}");
        let mut lab = sandbox.start(&["run", "--name", "m1"]);
        lab.wait_for(READY);
        let has = |line: &str, wanted: &[&str]| {
            let offered = offered(sandbox, line);
            let all = wanted.iter().all(|word| offered.iter().any(|offer| offer == word));
            assert!(all, "{line}: {offered:?}");
        };
        has("uswitch exec ", &["net1", "net2", "inet"]);
        has("uswitch ping net1 ", &["net2", "gateway", "internet"]);
        has("uswitch remove n", &["net1", "net2"]);
        has("uswitch show --name ", &["m1"]);
        has("uswitch down ", &["m1"]);
        has("uswitch exec net1 -- sl", &["sleep"]);
        has("uswitch run --uplink ", &["sim"]);
    });
}

#[test]
fn each_verb_has_a_page() {
    rootless(|sandbox| {
        let folder = sandbox.dir.join("user/man");
        sandbox.uswitch(&["man", "--dir", folder.to_str().unwrap()]).ok();
        for verb in ["run", "up", "down", "ping", "exec", "show", "monitor", "add", "remove"] {
            let file = folder.join(format!("uswitch-{verb}.1"));
            let page = std::fs::read_to_string(&file).unwrap();
            assert!(page.contains(&format!(".TH uswitch-{verb} 1")), "{verb}: {page}");
            assert_eq!(sandbox.uswitch(&["man", verb]).ok().out, page, "{verb}");
            for section in ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
                assert!(page.contains(&format!(".SH \"{section}\"")), "{verb}: no {section}");
            }
        }
        let run = std::fs::read_to_string(folder.join("uswitch-run.1")).unwrap();
        assert!(run.contains(r"[\fB\-n\fR \fIN\fR]"), "no values in the synopsis: {run}");
        let nowhere = folder.join("no/such");
        assert_eq!(sandbox.uswitch(&["man", "--dir", nowhere.to_str().unwrap()]).code, Some(1));
        let ended = sandbox.uswitch(&["man", "woman"]);
        let line = ended.complaint(2);
        assert!(line.contains("there are run, up, down") && !line.contains("extcap"), "{line}");
    });
}
