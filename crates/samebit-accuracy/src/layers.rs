//! Activations layer by layer against golden ones: the first tensor that departs tells where a bug is.
//!
//! May not know how the activations were made: it takes named rows of numbers.

use crate::golden;

/// Where the other engine only looks at a tensor another way, nothing is computed.
const VIEWS: [&str; 4] = ["RESHAPE", "VIEW", "PERMUTE", "TRANSPOSE"];

/// One tensor of ours, as it was made: rows in order, of any row length.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// `l_out-3`: without a count of its repetitions.
    pub(crate) name: String,
    /// All elements.
    pub(crate) values: Vec<f32>,
}

/// One golden tensor and how ours compares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The golden tensor's name and operation.
    pub(crate) name: String,
    /// See [`Verdict`].
    pub(crate) verdict: Verdict,
}

/// How a tensor of ours compares to a golden one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// We make no such tensor.
    Absent,
    /// Ours has too few elements.
    Shape {
        /// Elements of the golden one.
        golden: usize,
        /// Elements of ours.
        ours: usize,
    },
    /// Differences, each relative to the golden RMS.
    Compared {
        /// Of the means.
        mean: f64,
        /// Of the RMS.
        rms: f64,
        /// The largest of the listed elements.
        element: f64,
    },
}

impl Verdict {
    /// The largest of the differences; infinite if the shapes differ; nothing if there is nothing to compare.
    pub(crate) fn difference(&self) -> Option<f64> {
        match *self {
            Self::Absent => None,
            Self::Shape { .. } => Some(f64::INFINITY),
            Self::Compared { mean, rms, element } => Some(mean.max(rms).max(element)),
        }
    }
}

/// Compares each golden tensor that is more than a view with ours of the same name.
///
/// Where a name comes several times (a projection, then with its bias), the last is compared with the last, the one
/// before with the one before. What the other engine rotates (its operation is ROPE) keeps its name there and is called
/// `Qcur_rope-0` here.
pub(crate) fn compare(golden: &[golden::Tensor], ours: &[Taken]) -> Vec<Line> {
    let made: Vec<(String, &golden::Tensor)> = golden
        .iter()
        .filter(|tensor| !VIEWS.contains(&tensor.op.as_str()) && !tensor.name.ends_with('_'))
        .map(|tensor| (our_name(tensor), tensor))
        .collect();
    let mut lines = Vec::new();
    for (index, (name, tensor)) in made.iter().enumerate() {
        let after = made[index + 1..].iter().filter(|(later, _)| later == name).count();
        let taken = ours.iter().rev().filter(|taken| taken.name == *name).nth(after);
        let verdict = taken.map_or(Verdict::Absent, |taken| judge(tensor, &taken.values));
        lines.push(Line { name: format!("{} ({})", tensor.name, tensor.op), verdict });
    }
    lines
}

/// `Qcur-0` for `Qcur-0.1`, `Qcur_rope-0` if that is rotated.
fn our_name(tensor: &golden::Tensor) -> String {
    let base = match tensor.name.rsplit_once('.') {
        Some((base, count)) if count.bytes().all(|c| c.is_ascii_digit()) => base,
        _ => &tensor.name,
    };
    match base.rsplit_once('-') {
        Some((what, layer)) if tensor.op == "ROPE" => format!("{what}_rope-{layer}"),
        _ => base.to_owned(),
    }
}

fn judge(golden: &golden::Tensor, ours: &[f32]) -> Verdict {
    let elements: usize = golden.shape.iter().product();
    let row = golden.shape.first().copied().unwrap_or(0);
    if ours.len() < elements || row == 0 || elements == 0 {
        return Verdict::Shape { golden: elements, ours: ours.len() };
    }
    // The other engine drops the rows that no logits are asked of before the last layer's end.
    let ours = &ours[ours.len() - elements..];
    let count = elements as f64;
    let mean = ours.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let rms = (ours.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / count).sqrt();
    let unit = golden.rms.max(f64::MIN_POSITIVE);
    let listed = golden.first8_row0.iter().zip(ours);
    let listed = listed.chain(golden.first8_lastrow.iter().zip(&ours[elements - row..]));
    let element = listed.map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs()).fold(0.0, f64::max);
    Verdict::Compared {
        mean: (mean - golden.mean).abs() / unit,
        rms: (rms - golden.rms).abs() / unit,
        element: element / unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str, op: &str, shape: &[usize], values: &[f32]) -> golden::Tensor {
        let count = values.len() as f64;
        golden::Tensor {
            name: name.to_owned(),
            op: op.to_owned(),
            shape: shape.to_vec(),
            mean: values.iter().map(|&x| f64::from(x)).sum::<f64>() / count,
            rms: (values.iter().map(|&x| f64::from(x * x)).sum::<f64>() / count).sqrt(),
            first8_row0: values[..shape[0]].to_vec(),
            first8_lastrow: values[values.len() - shape[0]..].to_vec(),
        }
    }

    fn taken(name: &str, values: &[f32]) -> Taken {
        Taken { name: name.to_owned(), values: values.to_vec() }
    }

    #[test]
    fn equal_tensors_do_not_differ_and_others_do() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let tensors = [golden("embd", "GET_ROWS", &[2, 2], &values)];
        let lines = compare(&tensors, &[taken("embd", &values)]);
        assert_eq!(lines[0].verdict.difference(), Some(0.0));
        let lines = compare(&tensors, &[taken("embd", &[1.0, 2.0, 3.0, 4.5])]);
        let difference = lines[0].verdict.difference().unwrap();
        assert!((difference - 0.5 / tensors[0].rms).abs() < 1e-12, "{difference}");
    }

    #[test]
    fn repeated_names_are_matched_from_the_end_and_views_left_out() {
        let (first, second, third) = ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]);
        let tensors = [
            golden("Qcur-0", "MUL_MAT", &[2, 1], &first),
            golden("Qcur-0.1", "ADD", &[2, 1], &second),
            golden("Qcur-0.2", "RESHAPE", &[1, 2], &second),
            golden("Qcur-0.3", "ROPE", &[1, 2], &third),
            golden("Qcur-0__view_", "VIEW", &[1, 2], &third),
        ];
        let rotated = taken("Qcur_rope-0", &third);
        let both = [taken("Qcur-0", &first), taken("Qcur-0", &second), rotated.clone()];
        let lines = compare(&tensors, &both);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.verdict.difference() == Some(0.0)), "{lines:?}");
        let lines = compare(&tensors, &[taken("Qcur-0", &second), rotated]);
        assert_eq!(lines[0].verdict, Verdict::Absent);
        assert_eq!(lines[1].verdict.difference(), Some(0.0));
        assert_eq!(lines[2].verdict.difference(), Some(0.0));
    }

    #[test]
    fn rows_that_the_other_engine_drops_are_dropped() {
        let tensors = [golden("l_out-1", "ADD", &[2, 1], &[3.0, 4.0])];
        let lines = compare(&tensors, &[taken("l_out-1", &[1.0, 2.0, 3.0, 4.0])]);
        assert_eq!(lines[0].verdict.difference(), Some(0.0));
        let lines = compare(&tensors, &[taken("l_out-1", &[1.0])]);
        assert_eq!(lines[0].verdict, Verdict::Shape { golden: 2, ours: 1 });
    }
}
