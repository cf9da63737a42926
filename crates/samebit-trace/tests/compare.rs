//! Traces compared: what precision explains is explained, what is wrong is found, and where.

mod support;

use std::sync::Arc;

use samebit_kernels::Numerics;
use samebit_model::forward::Real;
use samebit_model::{Model, Tap};
use samebit_trace::compare::{Options, Report, compare};
use samebit_trace::judge::Verdict;
use samebit_trace::lens::Lens;
use samebit_trace::record::{self, Listener};
use samebit_trace::report::{html, svg, terminal};
use samebit_trace::{Entry, Filter, Meta, Recorder, Script, Trace, Values, names};
use support::{how, model, trace};

const PROMPT: [u32; 6] = [1, 40, 7, 99, 12, 3];

/// A pass with a fault: what it makes of a named tensor's values, by position.
struct Faulty<F> {
    inner: Recorder,
    place: (&'static str, Option<usize>),
    fault: F,
}

impl<R: Real, F: Fn(usize, &mut f64)> Tap<R> for Faulty<F> {
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &mut [R]) {
        if (name, layer) == self.place || self.place.0 == "all" {
            for (index, value) in values.iter_mut().enumerate() {
                let mut wide = value.to_f64();
                (self.fault)(index, &mut wide);
                *value = R::from_f64(wide);
            }
        }
        self.inner.tensor(name, layer, cols, values);
    }

    fn wants(&self, _: &str, _: usize) -> bool {
        true
    }
}

impl<F: Fn(usize, &mut f64)> Listener for Faulty<F> {
    fn begin(&mut self, positions: &[usize], logits: &[usize]) {
        self.inner.begin(positions, logits);
    }
}

/// A trace of an engine that is not ours, in a precision, with a fault.
fn foreign(
    model: &Arc<Model>,
    numerics: Numerics,
    place: (&'static str, Option<usize>),
    fault: impl Fn(usize, &mut f64),
) -> Trace {
    let mut faulty = Faulty { inner: Recorder::new(Filter::default()), place, fault };
    let script = Script { prompt: &PROMPT, decode: 0, all_logits: false };
    let (tokens, _) = record::run(model, &how(numerics), &script, &mut faulty).expect("a pass");
    let meta = Meta { engine: Some("theirs".into()), tokens, ..Meta::default() };
    Trace { meta, entries: faulty.inner.finish(), unknown: Vec::new() }
}

fn judged(model: &Arc<Model>, theirs: &Trace) -> Report {
    let ours = trace(model, Numerics::F32, &PROMPT, 0, Filter::default());
    let how = how(Numerics::F32);
    let mut options = Options { model: Some((model, &how)), tolerance: 1e-3, progress: &mut |_, _| {} };
    compare(&ours, theirs, &mut options).expect("a report")
}

fn plain(a: &Trace, b: &Trace, tolerance: f64) -> Report {
    compare(a, b, &mut Options { model: None, tolerance, progress: &mut |_, _| {} }).expect("a report")
}

fn first(report: &Report) -> Option<&str> {
    report.first.map(|first| report.lines[first].label.as_str())
}

#[test]
fn eight_bit_activations_are_told_for_what_they_are() {
    for quant in ["Q4_K_M", "Q4_0"] {
        let model = model("tiny-llama", quant);
        let report = judged(&model, &foreign(&model, Numerics::A8, ("", None), |_, _| {}));
        assert!(!report.departs, "{:?}", report.findings);
        for line in report.lines.iter().filter(|line| names::kind(&line.name) == names::Kind::Linear) {
            let verdict = line.adds.as_ref().map(|adds| adds.verdict);
            assert_eq!(verdict, Some(Verdict::SameBits(Lens::A8)), "{}", line.label);
        }
    }
}

#[test]
fn our_own_arithmetic_departs_nowhere() {
    for shape in ["tiny-llama", "tiny-qwen2", "tiny-gemma2", "tiny-gemma3", "tiny-qwen3", "tiny-qwen3moe", "tiny-phi3"]
    {
        for (numerics, quant) in [(Numerics::V1, "Q4_K_M"), (Numerics::F32, "F32"), (Numerics::F64, "F32")] {
            let model = model(shape, quant);
            let report = judged(&model, &foreign(&model, numerics, ("", None), |_, _| {}));
            assert!(!report.departs, "{shape} {quant}: {:?}", report.findings);
        }
    }
}

#[test]
fn a_fault_is_found_where_it_is() {
    let model = model("tiny-llama", "Q4_K_M");
    // Eight-bit noise all over, and one operation that is wrong by a percent, or in a single element.
    for place in ["attn_norm", "Qcur_rope", "kqv_out", "ffn_gated", "ffn_inp", "l_out", "ffn_norm", "Kcur_rope"] {
        let theirs = foreign(&model, Numerics::A8, (place, Some(1)), |_, v| *v *= 1.01);
        let report = judged(&model, &theirs);
        assert!(report.departs);
        assert_eq!(first(&report), Some(format!("{place}-1").as_str()), "{:?}", report.findings);
        assert!(report.findings[0].contains("given their own input"), "{}", report.findings[0]);
    }
    let one = foreign(&model, Numerics::F32, ("Qcur", Some(0)), |index, v| *v += if index == 70 { 1.0 } else { 0.0 });
    let report = judged(&model, &one);
    assert_eq!(first(&report), Some("Qcur-0"));
    // Inherited errors are nobody's fault: only the one operation departs.
    assert_eq!(report.lines.iter().filter(|line| line.departs).count(), 1, "{:?}", report.findings);
}

#[test]
fn sixteen_bit_engines_are_told_for_what_they_are() {
    use samebit_numerics::half::{f16_to_f32, f32_to_f16};
    let model = model("tiny-llama", "F32");
    let theirs = foreign(&model, Numerics::F32, ("all", None), |_, v| {
        *v = f64::from(f16_to_f32(f32_to_f16(f64::to_f32(*v))));
    });
    let report = judged(&model, &theirs);
    assert!(!report.departs, "{:?}", report.findings);
    let of = |label: &str| {
        let line = report.lines.iter().find(|line| line.label == label).expect("there");
        line.adds.as_ref().map(|adds| adds.verdict)
    };
    assert!(
        matches!(of("Qcur-1"), Some(Verdict::SameBits(Lens::F16) | Verdict::Reproduced(Lens::F16))),
        "{:?}",
        of("Qcur-1")
    );
}

#[test]
fn two_runs_of_one_engine_are_compared_by_bits() {
    let model = model("tiny-llama", "Q4_0");
    let a = trace(&model, Numerics::V1, &PROMPT, 2, Filter::default());
    let report = plain(&a, &a.clone(), 1e-3);
    assert!(!report.departs && report.findings[0].contains("same bits"), "{:?}", report.findings);
    let mut b = a.clone();
    let entry = b.entries.iter_mut().find(|e| e.label() == "ffn_up-1").expect("there");
    let width = entry.width();
    let Values::All(values) = &mut entry.values else { panic!("values") };
    values[2 * width + 5] = values[2 * width + 5].next_up();
    let report = plain(&a, &b, 1e-3);
    assert_eq!(first(&report), Some("ffn_up-1"));
    assert!(report.findings[0].contains("position 2, element 5"), "{}", report.findings[0]);
    // The same by summaries alone: less is known, the tensor all the same.
    let summary = |mut t: Trace| {
        t.entries.iter_mut().for_each(Entry::summarise);
        t
    };
    let report = plain(&summary(a), &summary(b), 1e-3);
    assert_eq!(first(&report), Some("ffn_up-1"));
    assert!(report.findings[0].contains("position 2"), "{}", report.findings[0]);
}

#[test]
fn traces_without_a_model_depart_by_tolerance() {
    let model = model("tiny-llama", "F32");
    let ours = trace(&model, Numerics::F32, &PROMPT, 0, Filter::default());
    let theirs = foreign(&model, Numerics::F32, ("Vcur", Some(1)), |_, v| *v *= 1.01);
    let report = plain(&ours, &theirs, 1e-3);
    assert_eq!(first(&report), Some("Vcur-1"));
    assert!(!plain(&ours, &theirs, 0.5).departs);
    assert!(plain(&ours, &foreign(&model, Numerics::F64, ("", None), |_, _| {}), 1e-4).first.is_none());
}

#[test]
fn little_is_enough() {
    let tokens = |tokens: &[u32], generated: &[u32]| Trace {
        meta: Meta { tokens: tokens.to_vec(), generated: generated.to_vec(), ..Meta::default() },
        ..Trace::default()
    };
    let report = plain(&tokens(&[1, 2], &[3, 4]), &tokens(&[1, 2], &[3, 5]), 0.0);
    assert!(
        report.departs && report.findings.iter().any(|f| f.contains("step 1: 4 against 5")),
        "{:?}",
        report.findings
    );
    assert!(!plain(&tokens(&[1, 2], &[3, 4]), &tokens(&[1, 2], &[3, 4]), 0.0).departs);
    let report = plain(&tokens(&[1, 2], &[]), &tokens(&[2], &[]), 0.0);
    assert!(report.departs && report.findings[0].contains("beginning-of-sequence"), "{:?}", report.findings);
    let nothing = Trace::default();
    assert!(
        compare(&nothing, &nothing, &mut Options { model: None, tolerance: 0.0, progress: &mut |_, _| {} }).is_err()
    );
    // Logits alone, with a model beside them.
    let model = model("tiny-llama", "F32");
    let mut theirs =
        foreign(&model, Numerics::F32, ("l_out", Some(0)), |index, v| *v += if index % 5 == 0 { 1.0 } else { 0.0 });
    theirs.entries.retain(|e| e.name == "result_output");
    let report = judged(&model, &theirs);
    assert_eq!(first(&report), Some("result_output"));
    assert!(report.findings[0].contains("none of our precision modes"), "{}", report.findings[0]);
}

#[test]
fn logits_alone_are_held_against_whole_passes() {
    let model = model("tiny-llama", "Q4_K_M");
    for (numerics, words) in [(Numerics::A8, "8-bit activations"), (Numerics::F64, "binary32 rounding")] {
        let mut theirs = foreign(&model, numerics, ("", None), |_, _| {});
        theirs.entries.retain(|e| e.name == "result_output");
        let report = judged(&model, &theirs);
        assert!(!report.departs && report.findings[0].contains(words), "{:?}", report.findings);
    }
}

/// What llama-eval-callback would have printed of a trace: six values of a row, four decimals, the sum of all.
fn callback_text(trace: &Trace) -> String {
    let mut text = format!("I number of input tokens = {}\n", trace.meta.tokens.len());
    trace.meta.tokens.iter().for_each(|id| text.push_str(&format!("I   {id}\n")));
    for entry in trace.entries.iter().filter(|e| e.shape.len() == 1 && !e.name.ends_with("_rope")) {
        let (label, width, rows) = (entry.label(), entry.width(), entry.rows());
        text.push_str(&format!(
            "common_debug_cb_eval: {label} = (f32) ADD(a{{1}}) = {{{width}, {rows}, 1, 1}}\n    [\n        [\n"
        ));
        let values = entry.all().expect("values");
        for (index, row) in values.chunks_exact(width).enumerate() {
            if index == 3 && rows > 6 {
                text.push_str("            ..., \n");
            }
            if (3..rows.saturating_sub(3)).contains(&index) && rows > 6 {
                continue;
            }
            let number = |v: &f32| format!("{v:12.4}");
            let of = |part: &[f32]| part.iter().map(number).collect::<Vec<_>>().join(", ");
            text.push_str(&format!("            [{}, ..., {}  ],\n", of(&row[..3]), of(&row[width - 3..])));
        }
        text.push_str(&format!("        ],\n    ]\n    sum = {:.6}\n", values.iter().sum::<f32>()));
    }
    text
}

#[test]
fn a_text_with_a_few_values_is_held_against_whole_passes() {
    let model = model("tiny-llama", "Q4_0");
    let folder = tempfile::tempdir().expect("a folder");
    let told = |trace: &Trace| {
        let path = folder.path().join("t.txt");
        std::fs::write(&path, callback_text(trace)).expect("written");
        judged(&model, &Trace::read(&path).expect("read"))
    };
    let report = told(&foreign(&model, Numerics::F32, ("", None), |_, _| {}));
    assert!(!report.departs && report.lines.len() > 20, "{:?}", report.findings);
    let report = told(&foreign(&model, Numerics::A8, ("", None), |_, _| {}));
    assert!(!report.departs, "{:?}", report.findings);
    let report = told(&foreign(&model, Numerics::F32, ("ffn_norm", Some(1)), |_, v| *v *= 1.2));
    assert_eq!(first(&report), Some("ffn_norm-1"), "{:?}", report.findings);
}

#[test]
fn numbers_too_large_for_a_precision_are_no_end() {
    let model = model("tiny-llama", "F32");
    let theirs =
        foreign(&model, Numerics::F64, ("Kcur", Some(1)), |index, v| *v *= if index == 3 { 1e30 } else { 1.0 });
    let report = judged(&model, &theirs);
    assert_eq!(first(&report), Some("Kcur-1"), "{:?}", report.findings);
}

#[test]
fn what_cannot_be_is_told() {
    let model = model("tiny-llama", "F32");
    let good = foreign(&model, Numerics::F32, ("", None), |_, _| {});
    let mut nan = good.clone();
    let entry = nan.entries.iter_mut().find(|e| e.label() == "ffn_gate-1").expect("there");
    let Values::All(values) = &mut entry.values else { panic!("values") };
    values[3] = f32::NAN;
    let report = judged(&model, &nan);
    assert_eq!(first(&report), Some("ffn_gate-1"));
    assert!(report.findings[0].contains("not finite at position 0, element 3"), "{}", report.findings[0]);
    let mut wide = good.clone();
    let entry = wide.entries.iter_mut().find(|e| e.label() == "attn_norm-0").expect("there");
    (entry.shape, entry.values) = (vec![7], Values::All(vec![0.0; 7 * entry.positions.len()]));
    let report = judged(&model, &wide);
    assert_eq!(first(&report), Some("attn_norm-0"));
    assert!(report.findings[0].contains("shapes do not fit"), "{}", report.findings[0]);
    // Without the inputs nothing can be said of what an operation adds.
    let mut sparse = good;
    sparse.entries.retain(|e| e.name != "attn_norm");
    let report = judged(&model, &sparse);
    let line = report.lines.iter().find(|line| line.label == "Qcur-1").expect("there");
    assert_eq!(line.adds.as_ref().map(|adds| adds.verdict), Some(Verdict::Unknown));
    assert!(!report.departs);
}

#[test]
fn reports_say_what_was_found() {
    let model = model("tiny-llama", "F32");
    let mut theirs = foreign(&model, Numerics::F32, ("ffn_norm", Some(1)), |_, v| *v *= 1.01);
    theirs.meta.engine = Some("<script>alert(1)</script>".into());
    let report = judged(&model, &theirs);
    for all in [false, true] {
        let text = terminal::text(&report, all);
        assert!(
            text.contains("✗ the first operation that departs is ffn_norm-1") && text.contains("DEPARTS"),
            "{text}"
        );
    }
    let page = html::page(&report);
    assert!(page.contains("ffn_norm-1") && page.contains("prefers-color-scheme:dark") && !page.contains("<script"));
    let picture = svg::file(&report);
    assert!(picture.starts_with("<svg") && picture.contains("first departure: ffn_norm-1"));
}
