//! A comparison for a terminal: the answer, the growth over layers, a table.

use std::fmt::Write;

use crate::compare::{Line, Report};
use crate::findings::explanation;
use crate::judge::Verdict;
use crate::report::{added, groups, growth, height, inherited};

/// Lines shown before and after the first departure.
const AROUND: (usize, usize) = (4, 6);

/// The text; `all` has every operation of every layer in it.
pub fn text(report: &Report, all: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(&mut out, report, all);
    out
}

fn write_text(out: &mut String, report: &Report, all: bool) -> std::fmt::Result {
    let [a, b] = &report.engines;
    writeln!(out, "{a}  against  {b}\n")?;
    for (index, finding) in report.findings.iter().enumerate() {
        let mark = match (index, report.departs) {
            (0, true) => "✗ ",
            (0, false) => "✓ ",
            _ => "  ",
        };
        writeln!(out, "{mark}{finding}")?;
    }
    let growth = growth(report);
    if growth.len() > 1 {
        writeln!(out, "\nrelative error by layer, 0 to {} (▁ 3e-8 … █ 1)", growth.len() - 1)?;
        sparkline(out, "inherited", growth.iter().map(|g| g.0))?;
        sparkline(out, "added", growth.iter().map(|g| g.1))?;
    }
    if report.lines.is_empty() {
        return Ok(());
    }
    out.push('\n');
    if all {
        return lines(out, &report.lines);
    }
    by_name(out, report)?;
    if let Some(first) = report.first {
        let range = first.saturating_sub(AROUND.0)..report.lines.len().min(first + AROUND.1);
        writeln!(out, "\naround the first departure:")?;
        lines(out, &report.lines[range])?;
    }
    Ok(())
}

fn sparkline(out: &mut String, name: &str, values: impl Iterator<Item = Option<f64>> + Clone) -> std::fmt::Result {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if values.clone().all(|v| v.is_none()) {
        return Ok(());
    }
    let bar = |v: Option<f64>| v.map_or(' ', |v| BARS[((height(v) * 8.0) as usize).min(7)]);
    let largest = values.clone().flatten().max_by(f64::total_cmp).unwrap_or(0.0);
    writeln!(out, "  {name:<10} {}  up to {largest:.1e}", values.map(bar).collect::<String>())
}

/// One row for each name over all layers.
fn by_name(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "{:<16} {:>7} {:>10} {:>10} {:>11} {:>8}  explained by",
        "operation", "tensors", "inherited", "added", "1 - cosine", "≤ 1 ulp"
    )?;
    for group in groups(report) {
        let cosine = group.most(|line| line.inherits.as_ref().map(|s| 1.0 - s.cosine));
        let (mut near, mut count) = (0, 0);
        for stats in group.lines.iter().filter_map(|line| line.inherits.as_ref()) {
            near += stats.ulps[0] + stats.ulps[1];
            count += stats.count;
        }
        writeln!(
            out,
            "{:<16} {:>7} {:>10} {:>10} {:>11} {:>7}%  {}",
            group.name,
            group.lines.len(),
            number(group.most(inherited)),
            number(group.most(added)),
            number(cosine),
            near * 100 / count.max(1),
            verdicts(&group.lines)
        )?;
    }
    Ok(())
}

/// Which verdicts, and how often.
fn verdicts(lines: &[&Line]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for line in lines {
        let what = explanation(line);
        if what.is_empty() {
            continue;
        }
        match counts.iter_mut().find(|(name, _)| *name == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let one =
        |(what, count): &(String, usize)| if counts.len() == 1 { what.clone() } else { format!("{count} {what}") };
    counts.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// One row for each operation.
fn lines(out: &mut String, lines: &[Line]) -> std::fmt::Result {
    writeln!(
        out,
        "{:<18} {:>10} {:>10} {:>11} {:>9} {:>10}  explained by",
        "operation", "inherited", "max error", "1 - cosine", "RMS ratio", "added"
    )?;
    for line in lines {
        let stats = line.inherits.as_ref();
        let verdict = explanation(line);
        let reproduced = match line.adds.as_ref().map(|a| (a.verdict, &a.lenses)) {
            Some((Verdict::Reproduced(lens), lenses)) => {
                lenses.iter().find(|l| l.0 == lens).map_or(String::new(), |l| format!(", {:.0e} left", l.1))
            }
            _ => String::new(),
        };
        writeln!(
            out,
            "{:<18} {:>10} {:>10} {:>11} {:>9} {:>10}  {verdict}{reproduced}",
            line.label,
            number(stats.map(|s| s.relative)),
            number(stats.map(|s| s.max_abs)),
            number(stats.map(|s| 1.0 - s.cosine)),
            stats.map_or_else(|| "-".into(), |s| format!("{:.5}", s.rms_ratio)),
            number(added(line)),
        )?;
    }
    Ok(())
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) => format!("{value:.1e}"),
    }
}
