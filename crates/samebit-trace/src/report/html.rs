//! A comparison as one page: the answer, the growth, a map of operations and layers, every number. Nothing is loaded from
//! elsewhere, and nothing runs.

use std::fmt::Write;

use crate::compare::{Line, Report};
use crate::findings::explanation;
use crate::judge::Verdict;
use crate::report::svg::{STYLE, picture};
use crate::report::{added, groups, height, inherited};
use crate::stats::ULP_CLASSES;

const LOOK: &str = "\
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,sans-serif}\
main{max-width:1080px;margin:0 auto;padding:2.2rem 1.2rem 4rem}\
h1{font-size:1.45rem;line-height:1.3;margin:.2rem 0 .6rem}h2{font-size:1.05rem;margin:2.4rem 0 .6rem}\
.who{color:var(--faint)}.answer{border-left:4px solid var(--good);padding:.5rem 0 .5rem 1rem;font-size:1.05rem}\
.answer.no{border-color:var(--bad)}ul{padding-left:1.1rem;color:var(--faint)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.86rem}\
th,td{padding:.22rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}\
th{color:var(--faint);font-weight:500}td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}\
.map td{padding:0;border:0;width:1.15rem;height:1.15rem}.map td.name{padding:0 .6rem 0 0;width:auto}\
.map i,i.key{display:block;width:1.05rem;height:1.05rem;border-radius:3px;background:color-mix(in oklab,var(--cold),var(--added) calc(var(--h)*100%))}\
.map i.dep,i.key.dep{outline:2px solid var(--bad);outline-offset:-2px}\
.keys{color:var(--faint);font-size:.85rem}i.key{display:inline-block;vertical-align:-.2rem}.map .t{font-size:.65rem;color:var(--faint);text-align:center}\
tr.dep td{color:var(--bad)}tr.first td{font-weight:600}details summary{cursor:pointer;color:var(--faint)}\
.bar{display:inline-flex;width:6rem;height:.65rem;border-radius:2px;overflow:hidden;background:var(--line);vertical-align:middle}";

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut out, report);
    out
}

fn write_page(out: &mut String, report: &Report) -> std::fmt::Result {
    let [a, b] = report.engines.each_ref().map(|name| escaped(name));
    let answer = report.findings.first().map_or(String::new(), |finding| escaped(finding));
    let (class, title) = if report.departs { (" no", "They part") } else { ("", "They agree") };
    write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}: {a} and {b}</title><style>{STYLE}{LOOK}</style></head><body><main>\
         <div class=\"who\">{a} against {b}</div><h1>{title}</h1><p class=\"answer{class}\">{answer}</p><ul>"
    )?;
    for finding in report.findings.iter().skip(1) {
        write!(out, "<li>{}</li>", escaped(finding))?;
    }
    out.push_str("</ul>");
    if report.layers > 1 {
        write!(out, "<h2>Relative error by layer</h2>{}", picture(report, ""))?;
        map(out, report)?;
    }
    if !report.lines.is_empty() {
        table(out, report)?;
    }
    out.push_str("</main></body></html>\n");
    Ok(())
}

/// Operations down, layers across; the warmer, the larger the error.
fn map(out: &mut String, report: &Report) -> std::fmt::Result {
    let measure = if report.judged { added } else { inherited };
    let what = if report.judged { "What each operation adds" } else { "How far each tensor is off" };
    write!(out, "<h2>{what}</h2><div class=\"scroll\"><table class=\"map\"><tr><td class=\"name\"></td>")?;
    for layer in 0..report.layers {
        let name = if layer % 5 == 0 { layer.to_string() } else { String::new() };
        write!(out, "<td class=\"t\">{name}</td>")?;
    }
    out.push_str("</tr>");
    for group in groups(report).iter().filter(|group| group.lines.iter().any(|line| line.layer.is_some())) {
        write!(out, "<tr><td class=\"name\">{}</td>", escaped(group.name))?;
        for layer in 0..report.layers {
            let line = group.lines.iter().find(|line| line.layer == Some(layer));
            match line.and_then(|line| Some((line, measure(line)?))) {
                None => out.push_str("<td></td>"),
                Some((line, error)) => {
                    let class = if line.departs { " class=\"dep\"" } else { "" };
                    let (h, label, why) = (height(error), escaped(&line.label), verdict(line));
                    write!(out, "<td><i{class} style=\"--h:{h:.2}\" title=\"{label}: {error:.2e} {why}\"></i></td>")?;
                }
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div><p class=\"keys\">The darker, the larger: ");
    for (error, name) in [(1e-7, "1e-7"), (1e-5, "1e-5"), (1e-3, "1e-3"), (1e-1, "0.1")] {
        write!(out, "<i class=\"key\" style=\"--h:{:.2}\"></i> {name} &ensp;", height(error))?;
    }
    out.push_str("<i class=\"key dep\" style=\"--h:1\"></i> departs</p>");
    Ok(())
}

fn table(out: &mut String, report: &Report) -> std::fmt::Result {
    out.push_str(
        "<h2>Every operation</h2><div class=\"scroll\"><table><tr><th>operation</th><th>inherited</th><th>max error</th>\
         <th>1 − cosine</th><th>RMS ratio</th><th>ulps</th><th>added</th><th>explained by</th></tr>",
    );
    for (index, line) in report.lines.iter().enumerate() {
        let class = match (line.departs, report.first == Some(index)) {
            (true, true) => " class=\"dep first\"",
            (true, false) => " class=\"dep\"",
            _ => "",
        };
        let stats = line.inherits.as_ref();
        write!(
            out,
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&line.label),
            number(stats.map(|s| s.relative)),
            number(stats.map(|s| s.max_abs)),
            number(stats.map(|s| 1.0 - s.cosine)),
            stats.map_or_else(String::new, |s| format!("{:.5}", s.rms_ratio)),
            stats.map_or_else(String::new, |s| histogram(&s.ulps)),
            number(added(line)),
            verdict(line)
        )?;
    }
    out.push_str("</table></div>");
    Ok(())
}

/// What is said of a line, ready for a page.
fn verdict(line: &Line) -> String {
    let mut words = explanation(line);
    if let Some(Verdict::Reproduced(lens)) = line.adds.as_ref().map(|adds| adds.verdict)
        && let Some((_, left, _)) = line.adds.iter().flat_map(|adds| &adds.lenses).find(|(l, ..)| *l == lens)
    {
        let _ = write!(words, ", {left:.0e} left");
    }
    escaped(&words)
}

/// The classes of the ulp histogram as a bar, cold for none and warm for many.
fn histogram(ulps: &[usize; 8]) -> String {
    let total = ulps.iter().sum::<usize>().max(1);
    let name = |class: usize| match ULP_CLASSES.get(class) {
        Some(0) => "same bits".to_owned(),
        Some(end) => format!("up to {end}"),
        None => "more".to_owned(),
    };
    let mut bar = String::from("<span class=\"bar\" title=\"");
    for (class, &count) in ulps.iter().enumerate().filter(|(_, count)| **count > 0) {
        let _ = write!(bar, "{}: {count}&#10;", name(class));
    }
    bar.push_str("\">");
    for (class, &count) in ulps.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (part, warm) = (count as f64 * 100.0 / total as f64, class as f64 * 100.0 / 7.0);
        let _ = write!(
            bar,
            "<span style=\"width:{part:.1}%;background:color-mix(in oklab,var(--cold),var(--inherited) {warm:.0}%)\"></span>"
        );
    }
    bar.push_str("</span>");
    bar
}

fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(0.0) => "0".into(),
        Some(value) => format!("{value:.1e}"),
    }
}

/// Text that is no markup, whatever a file put in it.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_file_is_markup() {
        assert_eq!(escaped("<b a=\"1\">&\u{1b}"), "&lt;b a=&quot;1&quot;&gt;&amp;\u{fffd}");
    }

    #[test]
    fn a_histogram_names_its_classes() {
        let bar = histogram(&[3, 0, 0, 0, 0, 0, 0, 1]);
        assert!(bar.contains("same bits: 3") && bar.contains("more: 1") && bar.contains("width:75.0%"));
    }
}
