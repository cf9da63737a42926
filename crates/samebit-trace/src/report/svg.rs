//! The growth of the error over layers, as a picture that stands alone and follows the reader's light or dark.

use std::fmt::Write;

use crate::compare::Report;
use crate::report::{growth, height};

/// Size of the picture and of its margins.
const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;

/// Colours by name, for light and for dark.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fcfcfa;--ink:#22252b;--faint:#6d7480;--line:#e2e3e0;--inherited:#3667c8;--added:#c2571a;\
--good:#2f7d4f;--bad:#b3261e;--cold:#e8eef9}\
@media (prefers-color-scheme:dark){:root{--paper:#16181d;--ink:#e4e6ea;--faint:#98a0ad;--line:#2c3038;--inherited:#7fa6f5;\
--added:#f0955a;--good:#6cc391;--bad:#ff8b80;--cold:#20283a}}";

/// A file of its own.
pub fn file(report: &Report) -> String {
    let style = format!("<style>{STYLE}</style><rect width=\"100%\" height=\"100%\" fill=\"var(--paper)\"/>");
    picture(report, &style)
}

/// The picture, with something to begin with.
pub(crate) fn picture(report: &Report, begin: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = draw(&mut out, report, begin);
    out
}

fn draw(out: &mut String, report: &Report, begin: &str) -> std::fmt::Result {
    let growth = growth(report);
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\"><title>Relative error by layer</title>{begin}"
    )?;
    scale(out)?;
    let last = growth.len().saturating_sub(1);
    for layer in ticks(last) {
        let x = across(layer, last);
        write!(
            out,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"var(--faint)\">{layer}</text>",
            HEIGHT - 20.0
        )?;
    }
    write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"var(--faint)\">layer</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 4.0
    )?;
    if let Some(layer) = report.first.and_then(|first| report.lines[first].layer) {
        let x = across(layer, last);
        write!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"var(--bad)\" stroke-dasharray=\"3 3\"/>\
             <text x=\"{}\" y=\"20\" text-anchor=\"end\" fill=\"var(--bad)\">┆ first departure: {}</text>",
            HEIGHT - BOTTOM,
            WIDTH - RIGHT,
            super::html::escaped(&report.lines[report.first.unwrap_or_default()].label)
        )?;
    }
    curve(out, growth.iter().map(|g| g.0), last, "inherited", 0)?;
    curve(out, growth.iter().map(|g| g.1), last, "added", 1)?;
    out.push_str("</svg>");
    Ok(())
}

/// Lines at powers of ten.
fn scale(out: &mut String) -> std::fmt::Result {
    for (error, name) in [
        (1e-7, "1e-7"),
        (1e-6, "1e-6"),
        (1e-5, "1e-5"),
        (1e-4, "1e-4"),
        (1e-3, "1e-3"),
        (1e-2, "1e-2"),
        (1e-1, "0.1"),
        (1.0, "1"),
    ] {
        let y = up(error);
        write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"var(--line)\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"var(--faint)\">{name}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0
        )?;
    }
    Ok(())
}

/// A curve with a dot for each layer, and its name above.
fn curve(
    out: &mut String,
    values: impl Iterator<Item = Option<f64>> + Clone,
    last: usize,
    name: &str,
    place: usize,
) -> std::fmt::Result {
    let known: Vec<(usize, f64)> = values.enumerate().filter_map(|(layer, v)| Some((layer, v?))).collect();
    if known.is_empty() {
        return Ok(());
    }
    let points: Vec<String> =
        known.iter().map(|&(layer, v)| format!("{:.1},{:.1}", across(layer, last), up(v))).collect();
    write!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"var(--{name})\" stroke-width=\"2\" stroke-linejoin=\"round\"/>",
        points.join(" ")
    )?;
    for &(layer, v) in &known {
        let (x, y) = (across(layer, last), up(v));
        write!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"var(--{name})\"><title>layer {layer}: {v:.2e}</title></circle>"
        )?;
    }
    let x = LEFT + 130.0 * place as f64;
    let words = if place == 0 { "inherited (output)" } else { "added (at most)" };
    write!(
        out,
        "<circle cx=\"{}\" cy=\"16\" r=\"4\" fill=\"var(--{name})\"/><text x=\"{}\" y=\"20\" fill=\"var(--ink)\">{words}</text>",
        x + 4.0,
        x + 13.0
    )
}

/// Layers that are written under the picture.
fn ticks(last: usize) -> impl Iterator<Item = usize> {
    let step = (last / 12 + 1).max(1);
    (0..=last).step_by(step)
}

fn across(layer: usize, last: usize) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * layer as f64 / last.max(1) as f64
}

fn up(error: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * height(error)
}
