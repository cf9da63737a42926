//! Ctrl-C: what was generated is kept, and the exit code says that it was not all.
#![cfg(unix)]

use crate::support::{folder, samebit, synth};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A run that would take minutes, with its stderr up to the note that generation begins.
fn long_run(model: &str, flags: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let args = ["run", "-m", model, "-p", "hello", "--ignore-eos", "--no-kv-cache", "--isa", "reference", "--verbose"];
    let mut child = samebit(&[&args, flags].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut notes = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    notes.read_line(&mut line).expect("a note");
    assert!(line.contains("loaded"), "{line}");
    (child, notes)
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

#[test]
fn ctrl_c_keeps_what_was_generated() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-gemma3", &[]);
    let (mut child, _notes) = long_run(&model, &[]);
    let mut first = [0];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("a first byte");
    interrupt(&child);
    assert_eq!(child.wait().expect("the program ends").code(), Some(130));
}

#[test]
fn ctrl_c_still_gives_the_record() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-gemma3", &[]);
    let (child, mut notes) = long_run(&model, &["--json"]);
    interrupt(&child);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(130));
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(record["finish_reason"], "cancelled");
    let mut rest = String::new();
    notes.read_to_string(&mut rest).expect("the rest of the notes");
    assert!(rest.ends_with("samebit: cancelled\n"), "{rest}");
}
