//! Completions and pages, made from the flags.

use crate::support::{answer, folder};

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = answer(&["completions", shell]);
        assert!(script.contains("samebit") && script.contains("top-k") && script.contains("doctor"), "{shell}");
    }
}

#[test]
fn every_command_has_a_page() {
    let folder = folder();
    answer(&["man", folder.path().join("man1").to_str().expect("UTF-8 path")]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).expect("a page");
    assert!(page("samebit.1").contains("samebit pull smollm2"));
    let run = page("samebit-run.1");
    assert!(run.contains(".TH samebit-run") && run.contains("\\-\\-top\\-k") && run.contains("SAMEBIT_TOP_K"), "{run}");
    assert!(run.contains(".nf\nExamples:"));
    let pages = std::fs::read_dir(folder.path().join("man1")).expect("pages").count();
    let help = answer(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).count();
    assert_eq!(pages, commands, "`help` has no page, and samebit itself has one");
}
