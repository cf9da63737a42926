//! What a comparison amounts to, in sentences: the answer first. Knows a report's lines; nothing of terminals.

use std::collections::BTreeMap;

use crate::compare::{Line, Report};
use crate::error::TraceError;
use crate::judge::Verdict;
use crate::lens::Lens;
use crate::names::Kind;
use crate::trace::Trace;

/// Adds the sentences.
///
/// # Errors
/// Traces that have nothing in common.
pub(crate) fn add(report: &mut Report, a: &Trace, b: &Trace, tolerance: f64) -> Result<(), TraceError> {
    let tokens = tokens(a, b, report.judged && report.first.is_none());
    if report.lines.is_empty() && tokens.is_empty() {
        return Err(TraceError::at(
            "the traces",
            "have no tensor in common and no tokens to compare: are they of one model?",
        ));
    }
    let mut findings = Vec::new();
    for (departs, sentence) in tokens {
        report.departs |= departs;
        findings.push(sentence);
    }
    match report.first {
        Some(first) => findings.insert(0, departure(report, first)),
        None if report.lines.is_empty() => {}
        None => findings.insert(0, all_well(report, tolerance)),
    }
    if report.judged {
        findings.extend(explained(report));
    } else if !report.same_engine && report.first.is_some() {
        findings.extend(jump(report));
    }
    if !b.unknown.is_empty() {
        let shown: Vec<&str> = b.unknown.iter().take(3).map(String::as_str).collect();
        findings.push(format!(
            "{} tensors have names that are not known here ({}{}): a name map (--names) can tell what they are",
            b.unknown.len(),
            shown.join(", "),
            if b.unknown.len() > 3 { ", …" } else { "" }
        ));
    }
    report.findings = findings;
    Ok(())
}

/// The first departure.
fn departure(report: &Report, first: usize) -> String {
    let line = &report.lines[first];
    let label = &line.label;
    if let Some(note) = line.note.as_ref().filter(|note| note.starts_with("shapes") || note.starts_with("not finite")) {
        return format!("the first tensor that cannot be is {label}: {note}; what comes after it inherits that");
    }
    if let Some(adds) = &line.adds {
        let (position, element, right, theirs) = adds.worst.unwrap_or_default();
        let explained = adds.lenses.iter().map(|&(_, _, size)| size).fold(adds.rounding, f64::max);
        return format!(
            "the first operation that departs is {label} ({}): given their own input, the right output at position {position}, \
             element {element} is {right}, theirs is {theirs}; relative error {:.2e}, where precision explains {explained:.1e}",
            line.kind.name(),
            adds.relative
        );
    }
    let (position, element, x, y) = line.first_different.or(line.worst).unwrap_or_default();
    let error = line.inherits.as_ref().map_or(0.0, |s| s.relative);
    if line.whole.is_some() {
        return format!(
            "the first tensor that departs is {label}: relative error {error:.2e}, at position {position}, element {element} {x} \
             against {y}; none of our precision modes has it so from the tokens on"
        );
    }
    if report.same_engine {
        let by_summaries = line.note.as_deref() == Some("by summaries");
        let place = if by_summaries { String::new() } else { format!(", element {element}: {x} against {y}") };
        return format!(
            "the first tensor that differs between the two runs is {label}, at position {position}{place}; the {first} before it \
             have the same bits"
        );
    }
    format!(
        "the first tensor that departs is {label}: relative error {error:.2e}, at position {position}, element {element} {x} \
         against {y}; give the model (-m) to see whether the operation adds it or inherits it"
    )
}

fn all_well(report: &Report, tolerance: f64) -> String {
    let count = report.lines.len();
    if report.judged {
        return format!("all {count} operations are explained: no operation adds more than its precision does");
    }
    if let Some(words) = whole(report) {
        return format!("all {count} tensors are explained from the tokens on: {words}");
    }
    if report.same_engine || report.lines.iter().all(|line| line.first_different.is_none() && line.inherits.is_some()) {
        return format!("all {count} tensors have the same bits");
    }
    format!(
        "all {count} tensors agree to a relative error of {tolerance:.0e}; the largest is {}",
        largest(&report.lines)
    )
}

/// Which of our modes, and for how many tensors.
fn whole(report: &Report) -> Option<String> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for whole in report.lines.iter().filter_map(|line| line.whole.as_ref()) {
        let count = counts.entry(whole.by?).or_default();
        *count = (count.0 + 1, count.1 + usize::from(whole.reproduced));
    }
    let part = |(name, (all, reproduced)): (&&str, &(usize, usize))| match reproduced {
        0 => format!("{all} by {name}"),
        _ => format!("{all} by {name} ({reproduced} reproduced)"),
    };
    (!counts.is_empty()).then(|| counts.iter().map(part).collect::<Vec<_>>().join(", "))
}

fn largest(lines: &[Line]) -> String {
    let error = |line: &&Line| line.inherits.as_ref().map_or(0.0, |s| s.relative);
    let worst = lines.iter().max_by(|a, b| error(a).total_cmp(&error(b)));
    worst.map_or_else(String::new, |line| format!("{:.2e}, at {}", error(&line), line.label))
}

/// What explains the operations that do not depart, kind by kind.
fn explained(report: &Report) -> Vec<String> {
    /// How many lines an explanation has, and the largest of their errors.
    type Counts = BTreeMap<String, (usize, f64)>;
    let mut by_kind: BTreeMap<&str, (Kind, Counts)> = BTreeMap::new();
    for line in &report.lines {
        let Some(adds) = &line.adds else { continue };
        let counts = &mut by_kind.entry(line.kind.name()).or_insert((line.kind, Counts::new())).1;
        let entry = counts.entry(describe(line.kind, adds.verdict)).or_default();
        *entry = (entry.0 + 1, entry.1.max(adds.relative));
    }
    let mut sentences: Vec<(Kind, String)> = Vec::new();
    for (name, (kind, counts)) in by_kind {
        let parts: Vec<String> =
            counts.iter().map(|(what, (n, worst))| format!("{n} {what} (up to {worst:.1e})")).collect();
        sentences.push((kind, format!("{name}: {}", parts.join("; "))));
    }
    sentences.sort_by_key(|(kind, _)| *kind as usize);
    sentences.into_iter().map(|(_, sentence)| sentence).collect()
}

/// A verdict in words.
pub fn describe(kind: Kind, verdict: Verdict) -> String {
    let name = |lens: Lens| match (lens, kind) {
        // The mode that has 8-bit activations has llama.cpp's gate too.
        (Lens::A8, Kind::Gate) => "llama.cpp's GELU table in binary16",
        _ => lens.name(),
    };
    match verdict {
        Verdict::SameBits(Lens::F32) => "same bits".into(),
        Verdict::SameBits(lens) => format!("same bits, by {}", name(lens)),
        Verdict::Rounding => "binary32 rounding".into(),
        Verdict::Angles => "angles in binary32".into(),
        Verdict::Reproduced(lens) => format!("{}, reproduced", name(lens)),
        Verdict::Size(lens) => format!("the size of {}", name(lens)),
        Verdict::Departs => "DEPARTS".into(),
        Verdict::Unknown => "inputs not known".into(),
    }
}

/// What is to be said of a line beside its numbers.
pub fn explanation(line: &Line) -> String {
    let mut words = match (&line.adds, &line.whole) {
        (Some(adds), _) => describe(line.kind, adds.verdict),
        (None, Some(whole)) if !line.departs => whole.by.unwrap_or_default().into(),
        _ if line.departs => "DEPARTS".into(),
        _ => String::new(),
    };
    if let Some(note) = &line.note {
        let gap = if words.is_empty() { "" } else { " " };
        words = format!("{words}{gap}({note})");
    }
    words
}

/// Without a model: the operation at which the error grows most.
fn jump(report: &Report) -> Option<String> {
    let mut before = 0.0f64;
    let mut best: Option<(f64, &Line, f64)> = None;
    for line in &report.lines {
        let Some(found) = line.inherits.as_ref().filter(|s| s.relative.is_finite() && s.relative > 0.0) else {
            continue;
        };
        if before > 0.0 {
            let growth = found.relative / before;
            if found.relative > 1e-6 && best.as_ref().is_none_or(|(most, ..)| growth > *most) {
                best = Some((growth, line, found.relative));
            }
        }
        before = before.max(found.relative);
    }
    let (growth, line, error) = best?;
    (growth > 3.0).then(|| format!("the error grows most at {}: {growth:.0} times, to {error:.1e}", line.label))
}

/// What the tokens say, and whether that is a departure; where every operation is `explained`, so is another choice of tokens.
fn tokens(a: &Trace, b: &Trace, explained: bool) -> Vec<(bool, String)> {
    let mut out = Vec::new();
    let own = explained && chosen_by_logits(b);
    let why = if own { ", which is their own highest logit: precision moves the choice" } else { "" };
    let (x, y) = (&a.meta.tokens, &b.meta.tokens);
    if !x.is_empty() && !y.is_empty() {
        match x.iter().zip(y).position(|(p, q)| p != q) {
            Some(0) => out.push((true, format!("they begin with different tokens, {} against {}: is the beginning-of-sequence token missing or doubled?", x[0], y[0]))),
            Some(at) => {
                let generated = at >= prompt(a) && at >= prompt(b);
                out.push((!(own && generated), format!("their tokens are the same up to position {at}, where {} stands against {}; only what is before is compared", x[at], y[at])));
            }
            None if a.entries.is_empty() || b.entries.is_empty() => {
                let which = if x.len() == y.len() { "are the same" } else { "are the same as far as both go" };
                out.push((x.len() != y.len(), format!("their {} and {} tokens {which}", x.len(), y.len())));
            }
            None => {}
        }
    }
    let (x, y) = (&a.meta.generated, &b.meta.generated);
    let both = !x.is_empty() && !y.is_empty();
    if let Some(at) = x.iter().zip(y).position(|(p, q)| p != q) {
        out.push((!own, format!("the generated tokens part at step {at}: {} against {}{why}", x[at], y[at])));
    } else if both {
        out.push((false, format!("the first {} generated tokens are the same", x.len().min(y.len()))));
    }
    out
}

/// Tokens before the first generated one; the last generated one was not run.
fn prompt(trace: &Trace) -> usize {
    (trace.meta.tokens.len() + 1).saturating_sub(trace.meta.generated.len().max(1))
}

/// Whether each token that a trace generated is the highest of its own logits, where these are there.
fn chosen_by_logits(trace: &Trace) -> bool {
    let Some(logits) = trace.entry("result_output", None) else { return false };
    trace.meta.generated.iter().zip(prompt(trace)..).all(|(&token, position)| {
        let row = position.checked_sub(1).and_then(|before| logits.row(before));
        row.is_some_and(|row| row.get(token as usize).is_some_and(|&chosen| row.iter().all(|&v| v <= chosen)))
    })
}
