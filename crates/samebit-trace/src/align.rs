//! Which values of two traces belong together: by name, position and element.

use crate::names;
use crate::names::Kind;
use crate::trace::{Entry, Summary, Trace, Values};

/// What two tensors of a name have in common.
#[derive(Clone, Debug)]
pub enum Common {
    /// Values.
    Values(Pair),
    /// Rows of which one side has no more than a summary: position, and the summaries.
    Summaries(Vec<(usize, Summary, Summary)>),
    /// The shapes do not fit; why.
    Shape(String),
    /// No position.
    Nothing,
}

/// Values that belong together.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// Of the first tensor.
    pub a: Vec<f32>,
    /// Of the second.
    pub b: Vec<f32>,
    /// Position and element of each.
    pub places: Vec<(usize, usize)>,
    /// The coarser side's resolution.
    pub resolution: f32,
    /// Sum of all values of either side, where the coarser side is known in part, and how many there are.
    pub sums: Option<(f64, f64, usize)>,
    /// RMS of all values of the side that is known in full, where the other is not.
    pub rms: Option<f64>,
    /// The second tensor was multiplied by this before: its scores carry the scale of attention already.
    pub rescaled: Option<f32>,
}

/// Aligns two tensors at the positions that `wanted` says.
pub fn align(a: &Entry, b: &Entry, wanted: &dyn Fn(usize) -> bool) -> Common {
    let scores = matches!(names::kind(&a.name), Kind::Scores | Kind::Softmax);
    if scores && a.shape.len() == 2 && b.shape.len() == 2 {
        if a.shape[0] != b.shape[0] {
            return Common::Shape(format!("{} heads against {}", a.shape[0], b.shape[0]));
        }
    } else if a.width() != b.width() {
        return Common::Shape(format!("rows of {} against rows of {}", a.width(), b.width()));
    }
    let rows: Vec<(usize, usize, usize)> = b
        .positions
        .iter()
        .enumerate()
        .filter(|(_, position)| wanted(**position))
        .filter_map(|(row, &position)| Some((a.positions.iter().position(|&p| p == position)?, row, position)))
        .collect();
    if rows.is_empty() {
        return Common::Nothing;
    }
    match (&a.values, &b.values) {
        (Values::All(x), Values::All(y)) if scores && a.shape.len() == 2 && b.shape.len() == 2 => {
            scores_of(a, b, x, y, &rows)
        }
        (Values::All(x), Values::All(y)) => Common::Values(whole(a.width(), x, y, &rows)),
        (Values::All(x), Values::Some { .. }) => Common::Values(partial(a, x, b, &rows, false)),
        (Values::Some { .. }, Values::All(y)) => Common::Values(partial(b, y, a, &rows, true)),
        _ => summaries(a, b, &rows),
    }
}

fn whole(width: usize, x: &[f32], y: &[f32], rows: &[(usize, usize, usize)]) -> Pair {
    let mut pair = Pair::default();
    for &(ra, rb, position) in rows {
        pair.a.extend_from_slice(&x[ra * width..(ra + 1) * width]);
        pair.b.extend_from_slice(&y[rb * width..(rb + 1) * width]);
        pair.places.extend((0..width).map(|index| (position, index)));
    }
    pair
}

/// Scores: keys that both have. Of raw scores only those of keys that are seen; a score of exactly zero is one that nobody
/// made. Weights of hidden keys are compared too, for there a missing mask shows.
fn scores_of(a: &Entry, b: &Entry, x: &[f32], y: &[f32], rows: &[(usize, usize, usize)]) -> Common {
    let (heads, keys_a, keys_b) = (a.shape[0], a.shape[1], b.shape[1]);
    let raw = names::kind(&a.name) == Kind::Scores;
    let mut pair = Pair::default();
    for &(ra, rb, position) in rows {
        for head in 0..heads {
            let of_a = &x[(ra * heads + head) * keys_a..][..keys_a];
            let of_b = &y[(rb * heads + head) * keys_b..][..keys_b];
            for (key, (&va, &vb)) in of_a.iter().zip(of_b).enumerate() {
                if !raw || (key <= position && va != 0.0 && vb != 0.0) {
                    pair.a.push(va);
                    pair.b.push(vb);
                    pair.places.push((position, head * keys_a + key));
                }
            }
        }
    }
    Common::Values(pair)
}

/// One side known in part; `swapped` if that is the first.
fn partial(full: &Entry, values: &[f32], part: &Entry, rows: &[(usize, usize, usize)], swapped: bool) -> Pair {
    let Values::Some { known, sum, resolution } = &part.values else { return Pair::default() };
    let (width, keys) = (part.width(), part.shape.last().copied().unwrap_or(1));
    let two = part.shape.len() == 2 && full.shape.len() == 2;
    let scores = two && matches!(names::kind(&part.name), Kind::Scores | Kind::Softmax);
    let full_keys = full.shape.last().copied().unwrap_or(1);
    let mut pair = Pair { resolution: *resolution, ..Pair::default() };
    for &(ra, rb, position) in rows {
        let (of_full, of_part) = if swapped { (rb, ra) } else { (ra, rb) };
        let from = known.partition_point(|&(at, _)| at < of_part * width);
        let to = known.partition_point(|&(at, _)| at < (of_part + 1) * width);
        for &(at, value) in &known[from..to] {
            let index = at - of_part * width;
            let (head, key) = (index / keys, index % keys);
            if scores && (key >= full_keys || (part.name == "kq" && key > position)) {
                continue;
            }
            let index = if scores { head * full_keys + key } else { index };
            let exact = values[of_full * full.width() + index];
            pair.a.push(if swapped { value } else { exact });
            pair.b.push(if swapped { exact } else { value });
            pair.places.push((position, index));
        }
    }
    let width = full.width();
    let mut squares = 0.0f64;
    for &(ra, rb, _) in rows {
        let row = if swapped { rb } else { ra };
        squares += values[row * width..(row + 1) * width].iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    }
    pair.rms = Some((squares / (rows.len() * width).max(1) as f64).sqrt());
    // A sum is of all rows, and of all keys.
    let all = rows.len() == part.rows() && rows.len() == full.rows() && !scores;
    pair.sums = sum.filter(|_| all).map(|sum| {
        let exact = values.iter().map(|&v| f64::from(v)).sum();
        if swapped { (sum, exact, values.len()) } else { (exact, sum, values.len()) }
    });
    pair
}

fn summaries(a: &Entry, b: &Entry, rows: &[(usize, usize, usize)]) -> Common {
    let of = |entry: &Entry, row: usize| -> Option<Summary> {
        match entry.all() {
            Some(values) => values.get(row * entry.width()..(row + 1) * entry.width()).map(Summary::of),
            None => entry.summaries.get(row).copied(),
        }
    };
    let all: Vec<_> = rows.iter().filter_map(|&(ra, rb, position)| Some((position, of(a, ra)?, of(b, rb)?))).collect();
    if all.is_empty() { Common::Nothing } else { Common::Summaries(all) }
}

/// The number of positions whose tokens are the same in both; all, where a side does not say.
pub fn common_positions(a: &Trace, b: &Trace) -> usize {
    let (x, y) = (&a.meta.tokens, &b.meta.tokens);
    if x.is_empty() || y.is_empty() {
        return usize::MAX;
    }
    match x.iter().zip(y).position(|(p, q)| p != q) {
        Some(first) => first,
        None => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, positions: &[usize], shape: &[usize], values: Values) -> Entry {
        let (positions, shape) = (positions.to_vec(), shape.to_vec());
        Entry { name: name.into(), layer: Some(0), positions, shape, values, summaries: Vec::new() }
    }

    #[test]
    fn rows_meet_by_position() {
        let a = entry("l_out", &[0, 1, 2], &[2], Values::All(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let b = entry("l_out", &[2, 1], &[2], Values::All(vec![40.0, 50.0, 20.0, 30.0]));
        let Common::Values(pair) = align(&a, &b, &|p| p < 9) else { panic!("values") };
        assert_eq!((pair.a, pair.b), (vec![4.0, 5.0, 2.0, 3.0], vec![40.0, 50.0, 20.0, 30.0]));
        assert_eq!(pair.places[1], (2, 1));
        assert!(matches!(align(&a, &b, &|p| p == 0), Common::Nothing));
        let wide = entry("l_out", &[0], &[3], Values::All(vec![0.0; 3]));
        assert!(matches!(align(&a, &wide, &|_| true), Common::Shape(_)));
    }

    #[test]
    fn raw_scores_of_hidden_keys_are_nobodys_business() {
        let a = entry("kq", &[0, 1], &[1, 2], Values::All(vec![5.0, 0.0, 6.0, 7.0]));
        let b = entry("kq", &[0, 1], &[1, 3], Values::All(vec![5.0, 99.0, 0.0, 6.0, 7.0, 0.0]));
        let Common::Values(pair) = align(&a, &b, &|_| true) else { panic!("values") };
        assert_eq!((pair.a, pair.b), (vec![5.0, 6.0, 7.0], vec![5.0, 6.0, 7.0]));
        let (mut a, mut b) = (a, b);
        (a.name, b.name) = ("kq_soft_max".into(), "kq_soft_max".into());
        let Common::Values(pair) = align(&a, &b, &|_| true) else { panic!("values") };
        assert_eq!(pair.b, [5.0, 99.0, 6.0, 7.0], "a weight on a hidden key is seen");
    }

    #[test]
    fn a_side_may_be_known_in_part() {
        let a = entry("l_out", &[0, 1], &[2], Values::All(vec![1.0, 2.0, 3.0, 4.0]));
        let known = vec![(0, 1.0), (3, 4.5)];
        let b = entry("l_out", &[0, 1], &[2], Values::Some { known, sum: Some(10.5), resolution: 0.25 });
        let Common::Values(pair) = align(&a, &b, &|_| true) else { panic!("values") };
        assert_eq!((pair.a, pair.b, pair.sums), (vec![1.0, 4.0], vec![1.0, 4.5], Some((10.0, 10.5, 4))));
    }
}
