//! The table of what is told from what, for any model: each known bug is made on purpose, and looked for.
//!
//! `cargo run --release -p samebit-diagnose --example confusion -- model.gguf [all|layers|logits|tokens] [id…]`

use samebit_diagnose::attention::Exactness;
use samebit_diagnose::forge::{Shown, forge, generate};
use samebit_diagnose::suspect::Precision;
use samebit_diagnose::{Diagnosis, Evidence, Setting, diagnose, faults};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics};
use samebit_model::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("give a model")?;
    let shown = match args.next().as_deref() {
        None | Some("all") => Shown::All,
        Some("layers") => Shown::Layers,
        Some("logits") => Shown::Logits,
        Some("tokens") => Shown::Tokens,
        Some(other) => return Err(format!("`{other}`: all, layers, logits or tokens").into()),
    };
    let only: Vec<String> = args.collect();
    let model = Model::load(Gguf::open(&path)?)?;
    let setting = Setting { isa: Isa::native(), threads: std::thread::available_parallelism()?.get() };
    let prompt: Vec<u32> =
        (0..10).map(|i| (i * i * 97 + i * 31 + 400) % model.vocabulary().min(30_000) as u32).collect();
    let precision = Precision { numerics: Numerics::A8, exactness: Exactness::HalfProducts };
    let tokens = generate(&model, &prompt, 4, &[], precision, setting)?.ok_or("nothing was generated")?.tokens;
    let faults = faults::all(&model, &Evidence::new(tokens.clone(), prompt.len()), &[]);
    println!("| bug | found | distance before | after | at | passes |\n|---|---|---|---|---|---|");
    let (mut right, mut tied, mut all) = (0, 0, 0);
    for index in 0..=faults.len() {
        let bugs: Vec<&faults::Fault> = faults.get(index).into_iter().collect();
        let id = bugs.first().map_or("none", |bug| &bug.id);
        if !only.is_empty() && !only.iter().any(|name| name == id) {
            continue;
        }
        let forged = match shown {
            Shown::Tokens => generate(&model, &prompt, 12, &bugs, precision, setting),
            _ => forge(&model, (&tokens, prompt.len()), &bugs, precision, shown, setting),
        };
        let Ok(Some(evidence)) = forged else { continue };
        let diagnosis = match diagnose(&model, &evidence, &[], setting, &mut |_, _| {}) {
            Ok(diagnosis) => diagnosis,
            Err(error) => {
                println!("| {id} | refused: {error} | | | | |");
                continue;
            }
        };
        let number =
            bugs.first().and_then(|bug| bug.number.as_ref()).map_or(String::new(), |n| format!(" {:.3e}", n.guess));
        all += 1;
        let (hit, tie) = tell(&diagnosis, id, &number);
        right += usize::from(hit);
        tied += usize::from(tie && !hit);
    }
    println!("\n{right} of {all} found first, {tied} told as a tie.");
    Ok(())
}

/// A line of the table; whether the bug was found, and whether it was told as a tie.
fn tell(diagnosis: &Diagnosis, id: &str, number: &str) -> (bool, bool) {
    let passes = diagnosis.passes;
    let Some(first) = diagnosis.findings.first() else {
        let hit = diagnosis.departure.is_none() && id == "none";
        let text = match &diagnosis.departure {
            None if hit => "nothing".to_owned(),
            None => "nothing: within precision".to_owned(),
            Some(departure) => format!("**nothing known**, {}", departure.tensor),
        };
        println!("| {id}{number} | {text} | {:.1e} | | | {passes} |", diagnosis.distance);
        return (hit, false);
    };
    let hit = first.ids == [id];
    let tie = first.cannot_be_told_from.iter().any(|ids| *ids == [id]);
    let mark = match (hit, tie) {
        (true, _) => "",
        (_, true) => " (tie)",
        _ => " **no**",
    };
    let guess = first.number.map_or(String::new(), |n| format!(" {n:.3e}"));
    let mut more: Vec<String> = diagnosis.findings[1..].iter().map(|f| format!("; then {}", f.ids.join("+"))).collect();
    if let Some(rest) = &diagnosis.departure {
        more.push(format!("; **left** {} {:.1e}", rest.tensor, rest.distance));
    }
    let (found, before, after) = (first.ids.join(" + "), first.before, first.after);
    println!(
        "| {id}{number} | {found}{guess}{mark}{} | {before:.1e} | {after:.1e} | {} | {passes} |",
        more.concat(),
        first.tensor
    );
    (hit, tie)
}
