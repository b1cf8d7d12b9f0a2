//! What is made from the verbs' own descriptions: completions a shell takes, a manual page a verb.

use std::path::Path;

use crate::support::{As, Process, Sandbox, rootless};

fn shell(sandbox: &Sandbox, script: &str) -> String {
    let mut command = sandbox.command(As::User, Path::new("bash"));
    command.args(["-c", script]);
    Process::start(command, script).ended().ok().out
}

#[test]
fn a_shell_completes_verbs_and_their_words() {
    rootless(|sandbox| {
        let script = sandbox.uswitch(&["completions", "bash"]).ok().out;
        let folder = sandbox.dir.join("user");
        std::fs::write(folder.join("bash"), &script).unwrap();
        let ask = |words: &str, place: usize, begun: &str| {
            let source = folder.join("bash");
            let script = format!(
                "source {}; COMP_WORDS=({words}); COMP_CWORD={place}; _uswitch uswitch {begun} x; \
                 echo \"${{COMPREPLY[@]}}\"",
                source.display()
            );
            shell(sandbox, &script)
        };
        assert_eq!(ask("uswitch show fd", 2, "fd").trim(), "fdb");
        assert_eq!(ask("uswitch unpub", 1, "unpub").trim(), "unpublish");
        for other in ["zsh", "fish"] {
            let text = sandbox.uswitch(&["completions", other]).ok().out;
            assert!(text.contains("monitor") && text.contains("published"), "{other}");
        }
        assert_eq!(sandbox.uswitch(&["completions", "abacus"]).code, Some(2));
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
        }
        let ended = sandbox.uswitch(&["man", "woman"]);
        assert!(ended.complaint(2).contains("there are run, up, down"), "{}", ended.err);
    });
}
