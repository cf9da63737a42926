//! This machine, examined.

use crate::support::{folder, samebit, stderr};
use serde_json::Value;

#[test]
fn this_machine_conforms() {
    let home = folder();
    let mut command = samebit(&["doctor", "--json", "-q"]);
    command.env("HF_HUB_CACHE", home.path().join("hub")).env("SAMEBIT_MODELS_DIR", home.path());
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["conforms"], true);
    let checked = &report["conformance"][0];
    assert_eq!(checked["isa"], report["isa"]);
    assert!(checked["vectors"].as_u64() > Some(100) && checked["differ"].as_array().is_some_and(Vec::is_empty));
    assert!(report["memory"]["read_gb_s"].as_f64() > Some(0.0));
    let folders: Vec<bool> = report["folders"].as_array().expect("two").iter().map(|f| f["exists"] == true).collect();
    assert_eq!(folders, [false, true]);
}
