//! `samebit logits`: the highest logits at a position, bit for bit.

use super::tokenize::piece;
use crate::args::{LogitsArgs, Position, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, interrupt, model, output, prompt};
use samebit_engine::Event;
use samebit_gguf::report::escaped;
use samebit_numerics::arith::{Single, Soft};
use samebit_numerics::math::{exp, ln};
use samebit_numerics::reduce::row_sum;
use serde::Serialize;
use std::ops::ControlFlow;

#[derive(Serialize)]
struct Record<'a> {
    prompt_tokens: &'a [u32],
    position: usize,
    top: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: u32,
    piece: String,
    logit: f32,
    /// The logit's binary32 pattern.
    bits: String,
    logprob: f32,
}

pub(crate) fn run(args: &LogitsArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let gguf = model::open(&args.model)?;
    let tokenizer = model::tokenizer(&args.model, &gguf)?;
    let tokens = prompt::with_chat(&args.prompt, &args.chat, &args.model, &gguf, &tokenizer)?;
    let position = place(args.position, tokens.len())?;
    let options = engine::options(&args.compute)?;
    let cpus = engine::cpus(args.place.pin, options.threads, verbosity.quiet)?;
    let engine = engine::load(gguf, &tokenizer, &args.model, &options, verbosity.quiet)?;
    engine::pin(&engine, cpus.as_ref())?;
    let mut progress = Progress::new("prompt", Unit::Tokens, verbosity.quiet);
    let row = engine.logits(&tokens, position, &mut |event| {
        if let Event::Prefill { done, total } = event {
            progress.at(done as u64, total as u64);
        }
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if interrupt::asked() {
        return Err(Failure::Cancelled);
    }
    let row = row.map_err(|error| Failure::at(&args.model.path, error))?;
    progress.clear();
    let top = top(&row, args.top as usize, |id| piece(&tokenizer, id));
    if args.json {
        return output::write_json(&Record { prompt_tokens: &tokens, position, top });
    }
    output::write(table(&top).as_bytes())
}

fn place(asked: Position, len: usize) -> Result<usize, Failure> {
    match asked {
        _ if len == 0 => Err(Failure::Input("the prompt has no tokens: there is nothing to score".into())),
        Position::Last => Ok(len - 1),
        Position::Index(index) if index < len => Ok(index),
        Position::Index(index) => {
            Err(Failure::Input(format!("--position {index}: the prompt's {len} tokens are at 0 to {}", len - 1)))
        }
    }
}

/// The `count` highest, the lowest id first where several are equal.
fn top(row: &[f32], count: usize, piece: impl Fn(u32) -> String) -> Vec<Entry> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    // Both zeros are one number here, as they are for the sampler.
    order.sort_by(|&a, &b| (row[b as usize] + 0.0).total_cmp(&(row[a as usize] + 0.0)).then(a.cmp(&b)));
    let highest = order.first().map_or(0.0, |&id| row[id as usize]);
    let weights: Vec<f32> = row.iter().map(|&logit| exp::<Soft>(logit - highest)).collect();
    let normaliser = ln::<Soft>(row_sum::<Single<Soft>>(&weights));
    let entry = |&id: &u32| {
        let logit = row[id as usize];
        Entry {
            id,
            piece: piece(id),
            logit,
            bits: format!("0x{:08x}", logit.to_bits()),
            logprob: (logit - highest) - normaliser,
        }
    };
    order.iter().take(count).map(entry).collect()
}

fn table(top: &[Entry]) -> String {
    let mut text = format!("{:>8}  {:>12}  {:<10}  {:>10}  piece\n", "id", "logit", "bits", "logprob");
    for entry in top {
        let Entry { id, piece, logit, bits, logprob } = entry;
        text.push_str(&format!("{id:>8}  {logit:>12.6}  {bits}  {logprob:>10.5}  '{}'\n", escaped(piece)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_come_first_and_ties_by_id() {
        let row = [0.0, 2.0, -0.0, 2.0, -1.0];
        let ids: Vec<u32> = top(&row, 4, |_| String::new()).iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [1, 3, 0, 2]);
    }

    #[test]
    fn log_probabilities_add_up_to_one() {
        let row: Vec<f32> = (0..700).map(|i| (i % 37) as f32 * 0.1).collect();
        let top = top(&row, 700, |_| String::new());
        let sum: f64 = top.iter().map(|entry| f64::from(exp::<Soft>(entry.logprob))).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        assert_eq!(top[0].bits, format!("0x{:08x}", row[36].to_bits()));
    }

    #[test]
    fn positions_are_checked() {
        assert_eq!(place(Position::Last, 3).expect("there"), 2);
        assert_eq!(place(Position::Index(0), 3).expect("there"), 0);
        assert!(place(Position::Index(3), 3).is_err());
        assert!(place(Position::Last, 0).is_err());
    }
}
