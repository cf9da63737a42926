//! The tables, in Markdown.

use std::fmt::Write;

use crate::layers::{Line, Verdict};
use crate::stats::Summary;

/// One prompt in the reference mode against the golden output.
pub(crate) struct AgainstGolden {
    /// The prompt's name.
    pub(crate) case: String,
    /// Its tokens.
    pub(crate) prompt: usize,
    /// Largest difference among the golden top logits.
    pub(crate) top: f64,
    /// Tokens of the golden continuation.
    pub(crate) continuation: usize,
    /// Where ours leaves it.
    pub(crate) differs_at: Option<usize>,
    /// By how much ours prefers its own token there.
    pub(crate) margin: Option<f32>,
}

/// All prompts of a model in a mode against the reference mode.
pub(crate) struct AgainstReference {
    /// The model's name.
    pub(crate) model: String,
    /// The mode's name.
    pub(crate) mode: &'static str,
    /// How many prompts.
    pub(crate) cases: usize,
    /// At the last position of every prompt.
    pub(crate) last: Summary,
    /// At several positions of the prompts of 2 to 100 tokens.
    pub(crate) forced: Summary,
    /// Continuations that are the reference mode's.
    pub(crate) same: usize,
    /// Continuations that are the golden ones.
    pub(crate) same_golden: usize,
}

/// Appends a line.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(out, "{text}").expect("a string takes every line");
}

/// One model's prompts against golden outputs.
pub(crate) fn cases(model: &str, lines: &[AgainstGolden]) -> String {
    let mut out = format!("\n{model}, f32, against the golden outputs:\n\n");
    out += "| prompt | tokens | largest difference of the top 20 logits | greedy continuation |\n|---|---|---|---|\n";
    for AgainstGolden { case, prompt, top, continuation, differs_at, margin } in lines {
        let same = match (differs_at, margin) {
            (None, _) => format!("same {continuation} tokens"),
            (Some(step), Some(margin)) => format!("differs at {step}, by a margin of {margin:.1e}"),
            (Some(step), None) => format!("ends differently at {step}"),
        };
        line(&mut out, format_args!("| {case} | {prompt} | {top:.1e} | {same} |"));
    }
    out
}

/// One line for each model against golden outputs.
pub(crate) fn golden(models: &[(String, Vec<AgainstGolden>)]) -> String {
    let mut out = "\nf32 against the golden outputs:\n\n".to_owned();
    out += "| file | prompts | largest difference of the top 20 logits | same continuation | margins where not |\n";
    out += "|---|---|---|---|---|\n";
    for (model, lines) in models {
        let count = lines.len();
        let top = lines.iter().map(|line| line.top).fold(0.0, f64::max);
        let same = lines.iter().filter(|line| line.differs_at.is_none()).count();
        let margins: Vec<String> =
            lines.iter().filter_map(|line| Some(format!("{} {:.1e}", line.case, line.margin?))).collect();
        let margins = margins.join(", ");
        line(&mut out, format_args!("| {model} | {count} | {top:.1e} | {same}/{count} | {margins} |"));
    }
    out
}

/// Modes against the reference mode.
pub(crate) fn modes(lines: &[AgainstReference]) -> String {
    let mut out =
        "\nmodes against f32, at the last position of every prompt (and at the last positions of the short ones):\n\n"
            .to_owned();
    out += "| file | mode | KL mean | KL max | largest logit difference | same top-1 | same continuation | same as golden |\n";
    out += "|---|---|---|---|---|---|---|---|\n";
    for AgainstReference { model, mode, cases, last, forced, same, same_golden } in lines {
        let kl = format!("{:.1e} ({:.1e}) | {:.1e} ({:.1e})", last.kl_mean, forced.kl_mean, last.kl_max, forced.kl_max);
        let logit = format!("{:.2} ({:.2})", last.logit_max, forced.logit_max);
        let top = format!("{}/{} ({}/{})", last.same_top, last.count, forced.same_top, forced.count);
        line(
            &mut out,
            format_args!("| {model} | {mode} | {kl} | {logit} | {top} | {same}/{cases} | {same_golden}/{cases} |"),
        );
    }
    out
}

/// One model's tensors against golden ones.
pub(crate) fn layers(model: &str, lines: &[Line], tolerance: f64) -> String {
    let mut out = format!("\n{model}, layer by layer, differences relative to each tensor's RMS:\n\n");
    out += "| tensor | mean | RMS | listed elements | |\n|---|---|---|---|---|\n";
    for Line { name, verdict } in lines {
        match verdict {
            Verdict::Absent => line(&mut out, format_args!("| {name} | | | | not made |")),
            Verdict::Shape { golden, ours } => {
                line(&mut out, format_args!("| {name} | | | | {ours} elements where {golden} are expected |"));
            }
            Verdict::Compared { mean, rms, element } => {
                let apart = verdict.difference().is_some_and(|difference| difference > tolerance);
                let mark = if apart { "APART" } else { "" };
                line(&mut out, format_args!("| {name} | {mean:.1e} | {rms:.1e} | {element:.1e} | {mark} |"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_as_many_cells_as_columns() {
        let case = |differs_at, margin| AgainstGolden {
            case: "a".into(),
            prompt: 3,
            top: 1e-5,
            continuation: 64,
            differs_at,
            margin,
        };
        let all = vec![case(None, None), case(Some(3), Some(0.5)), case(Some(4), None)];
        let mode = AgainstReference {
            model: "m".into(),
            mode: "v1",
            cases: 13,
            last: Summary::default(),
            forced: Summary::default(),
            same: 1,
            same_golden: 2,
        };
        let compared = Verdict::Compared { mean: 0.0, rms: 1.0, element: 0.0 };
        let lines = [Verdict::Absent, Verdict::Shape { golden: 1, ours: 2 }, compared]
            .map(|verdict| Line { name: "t".into(), verdict });
        let layers = layers("m", &lines, 0.1);
        assert!(layers.contains("APART"));
        for table in [cases("m", &all), golden(&[("m".into(), all)]), modes(&[mode]), layers] {
            let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
            assert!(rows.len() > 2, "{table}");
            let columns = rows[0].matches('|').count();
            assert!(rows.iter().all(|row| row.matches('|').count() == columns), "{table}");
        }
    }
}
