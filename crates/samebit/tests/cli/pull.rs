//! Models by name: pulled from a hub on this machine, used, listed and removed.

use crate::hub_server::{Fault, File, REPO, Server};
use crate::support::{assert_fails, folder, samebit, stderr, tiny};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Output;

/// Runs the program on a machine of its own that knows this hub.
fn at(home: &Path, hub: &str, args: &[&str]) -> Output {
    let mut command = samebit(args);
    for variable in [
        "HF_TOKEN",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "HF_TOKEN_PATH",
        "XDG_CACHE_HOME",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(variable);
    }
    command.env("HOME", home).env("HF_ENDPOINT", hub).env("HF_HUB_CACHE", home.join("hub"));
    command.env("SAMEBIT_MODELS_DIR", home.join("models")).output().expect("the program starts")
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("UTF-8 on stdout")
}

#[test]
fn a_model_is_pulled_and_used_by_its_name() {
    let bytes = std::fs::read(tiny()).expect("a model");
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let (hub, _files) = Server::pair(&[File { path: "tiny-F32.gguf".into(), bytes, sha256 }]);
    let home = folder();
    let run = |args: &[&str]| at(home.path(), &hub.url, args);
    let name = format!("hf:{REPO}");

    assert_fails(&run(&["tokenize", "-m", &name, "-p", "a"]), 3, &[&name, "samebit pull hf:owner/repo-GGUF"]);
    assert_fails(&run(&["run", "-m", "smollm2", "-p", "a"]), 3, &["not here yet", "samebit pull smollm2"]);
    assert_fails(&run(&["run", "-m", "smollm", "-p", "a"]), 3, &["no such file", "`smollm`", "smollm2"]);
    let record: Value = serde_json::from_str(&text(run(&["pull", &name, "--json"]))).expect("JSON");
    assert_eq!((record["fetched"].as_bool(), record["name"].as_str()), (Some(true), Some(&*name)));
    let path = text(run(&["pull", &name]));
    assert_eq!(Some(path.trim_end()), record["path"].as_str());

    let ids = |model: &str| text(run(&["tokenize", "-m", model, "-p", "a b", "--ids"]));
    assert_eq!(ids(&name), ids(tiny()));
    assert_eq!(ids(&format!("{name}:F32")), ids(tiny()));
    let list: Value = serde_json::from_str(&text(run(&["list", "--json"]))).expect("JSON");
    assert_eq!(list[0]["name"], format!("{name}:tiny-F32.gguf"));
    assert_eq!(text(run(&["rm", &name])), "");
    assert_eq!(text(run(&["list"])), "");
}

#[test]
fn what_cannot_be_pulled_is_told_in_one_line() {
    let hub = Server::start(&[]);
    let home = folder();
    let run = |args: &[&str]| at(home.path(), &hub.url, args);
    assert_fails(&run(&["pull", "nothing"]), 2, &["`nothing` is no model's name", "smollm2", "hf:owner/repo"]);
    assert_fails(&run(&["run", "-m", "hf:a", "-p", "x"]), 2, &["hf:a", "hf:owner/repo"]);
    assert_fails(&run(&["pull", "hf:a/b"]), 3, &["no such model", "HTTP 404"]);
    assert_fails(&run(&["rm", "hf:a/b"]), 3, &["not here", "samebit list"]);
    hub.fail(Fault { status: Some(401), ..Fault::default() });
    assert_fails(&run(&["pull", "hf:a/b"]), 3, &["set HF_TOKEN"]);
}
