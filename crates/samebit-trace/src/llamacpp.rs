//! The text that llama.cpp's `llama-eval-callback` prints: every node of the graph, a few values of each, and its sum.
//!
//! Knows that program's layout, of releases that say `ggml_debug:` and of those that say `common_debug_cb_eval:`, with or
//! without the log lines that name the tokens.

use std::collections::BTreeMap;

use crate::assemble::{default_positions, settle_norms};
use crate::error::TraceError;
use crate::names::{self, Kind};
use crate::trace::{Entry, Meta, Trace, Values};

/// Elements of a tensor that can be: beyond it the text is damaged.
const MOST_ELEMENTS: usize = 1 << 30;
/// Likewise tokens of a pass, or heads.
const MOST_ROWS: usize = 1 << 22;

/// Whether a text looks like one of these.
pub(crate) fn is(text: &str) -> bool {
    text.lines().take(20_000).any(|line| Node::parse(line).is_some())
}

/// Reads the text.
///
/// # Errors
/// A text that breaks off within a tensor, or whose tensors cannot be.
pub(crate) fn parse(text: &str) -> Result<Trace, TraceError> {
    let mut reader = Reader::default();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        reader.log_line(line);
        let Some(node) = Node::parse(line) else { continue };
        let known = names::of_graph(node.name, node.operation, &node.sources);
        let bad = |problem: &str| TraceError::at(format!("line {}: {}", number + 1, node.name), problem);
        let size = node.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MOST_ELEMENTS);
        let long = known.is_some() && node.shape[1].max(node.shape[2]) > MOST_ROWS;
        if long || size.is_none_or(|n| n == 0) {
            return Err(bad("has a shape that cannot be"));
        }
        let mut block = Block::new(node.shape);
        block.of_heads = node.operation == "FLASH_ATTN_EXT";
        let ended = lines.by_ref().map_while(|(_, line)| (!block.line(line)).then_some(())).count();
        if block.sum.is_none() && known.is_some() {
            return Err(bad(&format!("breaks off after {ended} lines without a sum: the text is truncated")));
        }
        if let Some((base, layer)) = known {
            reader.take(base, layer, block);
        }
    }
    reader.finish()
}

/// A node's first line: `… NAME = (f32) OPERATION(source{…}, source{…}}) = {ne0, ne1, ne2, ne3}`.
struct Node<'a> {
    name: &'a str,
    operation: &'a str,
    sources: Vec<&'a str>,
    shape: [usize; 4],
}

impl<'a> Node<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, rest) = line.split_once(" = (")?;
        let name = before.rsplit_once("eval:").or_else(|| before.rsplit_once("ggml_debug:")).map_or(before, |(_, n)| n);
        let (_, rest) = rest.split_once(')')?;
        let (call, shape) = rest.rsplit_once(" = {")?;
        let (operation, sources) = call.trim().split_once('(')?;
        let mut numbers = shape.trim().strip_suffix('}')?.split(',').map(|n| n.trim().parse::<usize>());
        let mut shape = [1; 4];
        for dimension in &mut shape {
            *dimension = numbers.next()?.ok()?;
        }
        // A source is a name and its shape in braces.
        let sources = sources
            .split('}')
            .filter_map(|part| Some(part.split_once('{')?.0.trim_start_matches(',').trim()))
            .filter(|name| !name.is_empty())
            .collect();
        Some(Self { name: name.trim(), operation: operation.trim(), sources, shape })
    }
}

/// The values that are printed of a tensor.
struct Block {
    shape: [usize; 4],
    /// Dimension 1 is heads, not tokens.
    of_heads: bool,
    /// Brackets that are open.
    depth: usize,
    /// Where the next row is: dimensions 1 and 2.
    at: [usize; 2],
    known: Vec<([usize; 3], f32)>,
    sum: Option<f64>,
    resolution: f32,
}

impl Block {
    fn new(shape: [usize; 4]) -> Self {
        Self { shape, of_heads: false, depth: 0, at: [0; 2], known: Vec::new(), sum: None, resolution: 0.0 }
    }

    /// Takes a line; whether it was the last.
    fn line(&mut self, line: &str) -> bool {
        let line = line.trim();
        if let Some(sum) = line.strip_prefix("sum = ") {
            self.sum = Some(sum.trim().parse().unwrap_or(f64::NAN));
            return true;
        }
        match line {
            "[" => self.depth += 1,
            "]" | "]," => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 {
                    self.at = [0, self.at[1] + 1];
                }
            }
            // As many follow as came before.
            "...," | "..." => {
                let level = if self.depth == 1 { 1 } else { 0 };
                self.at[level] = self.shape[level + 1].saturating_sub(self.at[level]);
            }
            row if row.starts_with('[') => {
                self.row(row);
                self.at[0] += 1;
            }
            _ => {}
        }
        false
    }

    /// One row of numbers, perhaps with an ellipsis.
    fn row(&mut self, row: &str) {
        let items: Vec<&str> = row.trim_matches(['[', ']', ',', ' ']).split(',').map(str::trim).collect();
        let gap = items.iter().position(|item| *item == "...");
        for (index, item) in items.iter().enumerate() {
            let column = match gap {
                Some(gap) if index > gap => (self.shape[0] + index).checked_sub(items.len()),
                _ => Some(index),
            };
            let (Some(column), Ok(value)) = (column, item.parse::<f32>()) else { continue };
            let decimals = item.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            self.resolution = (0..decimals).fold(0.5, |unit, _| unit / 10.0);
            let place = [column, self.at[0], self.at[1]];
            if place.iter().zip(&self.shape).all(|(at, size)| at < size) {
                self.known.push((place, value));
            }
        }
    }

    /// Rows, the shape of a row, and the values by their index.
    fn rows(&self, name: &str) -> (usize, Vec<usize>, Vec<(usize, f32)>) {
        let [n0, n1, n2, _] = self.shape;
        let scores = matches!(names::kind(name), Kind::Scores | Kind::Softmax);
        let of_heads = self.of_heads
            || name.ends_with("_rope")
            || name.ends_with("cur_normed")
            || matches!(name, "ffn_moe_gate" | "ffn_moe_up" | "ffn_moe_gated" | "ffn_moe_down")
            || (name.contains("_moe_") && n0 == 1);
        let (rows, shape) = match (scores, of_heads || n2 > 1) {
            (true, _) => (n1, vec![n2, n0]),
            (_, true) => (n2, vec![n0 * n1]),
            _ => (n1, vec![n0]),
        };
        let index = |[i0, i1, i2]: [usize; 3]| match (scores, of_heads || n2 > 1) {
            (true, _) => (i1 * n2 + i2) * n0 + i0,
            (_, true) => (i2 * n1 + i1) * n0 + i0,
            _ => i1 * n0 + i0,
        };
        let mut known: Vec<(usize, f32)> = self.known.iter().map(|&(place, value)| (index(place), value)).collect();
        known.sort_by_key(|&(at, _)| at);
        (rows, shape, known)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    tokens: Vec<u32>,
    /// Tokens that the log is still to name.
    listed: usize,
    /// Position of the pass's first row, and how many rows it has.
    first: usize,
    rows: usize,
    entries: BTreeMap<(String, Option<usize>), Entry>,
}

impl Reader {
    /// `number of input tokens = 3`, then a line for each.
    fn log_line(&mut self, line: &str) {
        if let Some((_, count)) = line.split_once("number of input tokens = ") {
            self.listed = count.trim().parse().unwrap_or(0);
        } else if self.listed > 0
            && let Some(id) = line.split_whitespace().last().and_then(|id| id.parse().ok())
        {
            self.tokens.push(id);
            self.listed -= 1;
        }
    }

    fn take(&mut self, name: String, layer: Option<usize>, block: Block) {
        let (rows, shape, known) = block.rows(&name);
        if name == "embd" {
            (self.first, self.rows) = (self.first + self.rows, rows);
        }
        let positions: Vec<usize> =
            default_positions(rows, self.rows).into_iter().map(|position| self.first + position).collect();
        let values = Values::Some { known, sum: block.sum, resolution: block.resolution };
        let new = Entry { name: name.clone(), layer, positions, shape, values, summaries: Vec::new() };
        match self.entries.get_mut(&(name.clone(), layer)) {
            // A pass's later node of a name takes the place of the earlier one: sums with a bias, caps.
            Some(old) if old.positions != new.positions && old.shape == new.shape => join(old, new),
            _ => drop(self.entries.insert((name, layer), new)),
        }
    }

    fn finish(self) -> Result<Trace, TraceError> {
        let meta =
            Meta { engine: Some("llama.cpp (llama-eval-callback)".into()), tokens: self.tokens, ..Meta::default() };
        let mut trace = Trace { meta, entries: self.entries.into_values().collect(), unknown: Vec::new() };
        if trace.entries.is_empty() {
            return Err(TraceError::at(
                "",
                "names no operation that is known here: is it llama-eval-callback's output?",
            ));
        }
        settle_norms(&mut trace);
        trace.sort();
        Ok(trace)
    }
}

/// Rows of a later pass after those that are there. Sums are of all rows.
fn join(old: &mut Entry, new: Entry) {
    let offset = old.rows() * old.width();
    old.positions.extend(new.positions);
    if let (Values::Some { known, sum, .. }, Values::Some { known: more, sum: other, .. }) =
        (&mut old.values, new.values)
    {
        known.extend(more.into_iter().map(|(at, value)| (at + offset, value)));
        *sum = sum.zip(other).map(|(a, b)| a + b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
0.00.65 I number of input tokens = 2
0.00.65 I   19556
0.00.65 I   957
ggml_debug:                     embd = (f32)   GET_ROWS(token_embd.weight{8, 100, 1, 1}, inp_tokens{2, 1, 1, 1}}) = {8, 2, 1, 1}
    [
        [
            [     -0.0512,       0.0398,       0.0000,    ...,       0.1214,      -0.0412,       0.0550  ],
            [      0.0396,       0.0242,      -0.2375,    ...,       0.0000,       0.0252,       0.2451  ],
        ],
    ]
    sum = 6.5
common_debug_cb_eval:                   Qcur-0 = (f32)       ROPE(Qcur-0{4, 7, 2, 1}, inp_pos{2, 1, 1, 1}}) = {4, 7, 2, 1}
    [
        [
            [      1.0000,       2.0000,       3.0000,       4.0000  ],
            [      5.0000,       6.0000,       7.0000,       8.0000  ],
            [      9.0000,      10.0000,      11.0000,      12.0000  ],
            ..., 
            [     17.0000,      18.0000,      19.0000,      20.0000  ],
            [     21.0000,      22.0000,      23.0000,      24.0000  ],
            [     25.0000,      26.0000,      27.0000,      28.0000  ],
        ],
        [
            [      1.5000,       2.0000,       3.0000,       4.0000  ],
            [      5.0000,       6.0000,       7.0000,       8.0000  ],
            [      9.0000,      10.0000,      11.0000,      12.0000  ],
            ..., 
            [     17.0000,      18.0000,      19.0000,      20.0000  ],
            [     21.0000,      22.0000,      23.0000,      24.0000  ],
            [     25.0000,      26.0000,      27.0000,      28.5000  ],
        ],
    ]
    sum = 700.000000
common_debug_cb_eval:                     kq-0 = (f32)    MUL_MAT(cache_k_l0 (view) (permuted){64, 256, 3, 1}, Qcur-0 (view) (permuted){64, 2, 1, 1}}) = {3, 2, 1, 1}
    [
        [
            [      1.0000,       2.0000,       3.0000  ],
            [      4.0000,       5.0000,       6.0000  ],
        ],
    ]
    sum = 21.0
common_debug_cb_eval:                  result_norm = (f32)        MUL(norm{2, 1, 1, 1}, output_norm.weight{2, 1, 1, 1}}) = {2, 1, 1, 1}
    [
        [
            [      1.0000,       nan  ],
        ],
    ]
    sum = nan
";

    #[test]
    fn a_text_is_read() {
        let trace = parse(TEXT).expect("read");
        assert_eq!(trace.meta.tokens, [19556, 957]);
        let embd = trace.entry("embd", None).expect("there");
        let Values::Some { known, sum, resolution } = &embd.values else { panic!("some values") };
        assert_eq!((known[3], known[11], *sum), ((5, 0.1214), (15, 0.2451), Some(6.5)));
        assert!((resolution - 5e-5).abs() < 1e-9);
        let rope = trace.entry("Qcur_rope", Some(0)).expect("there");
        let Values::Some { known, .. } = &rope.values else { panic!("some values") };
        assert_eq!((rope.width(), rope.rows(), known.len()), (28, 2, 48));
        assert!(known.contains(&(28, 1.5)) && known.contains(&(55, 28.5)) && known.contains(&(16, 17.0)));
        assert_eq!(trace.entry("kq", Some(0)).map(|e| e.shape.clone()), Some(vec![1, 3]));
        let norm = trace.entry("result_norm", None).expect("there");
        assert_eq!((norm.positions.clone(), norm.first_not_finite()), (vec![1], Some((1, 1))));
    }

    #[test]
    fn a_text_that_breaks_off_is_told() {
        let cut = &TEXT[..TEXT.find("sum = 700").expect("there")];
        assert!(parse(cut).expect_err("cut").to_string().contains("truncated"));
        assert!(parse("nothing").is_err() && !is("nothing") && is(TEXT));
        let long = "ggml_debug: embd = (f32) GET_ROWS(a{1}) = {1, 999999999, 1, 1}\n    sum = 1\n";
        assert!(parse(long).expect_err("long").to_string().contains("cannot be"));
        let huge = "x: embd = (f32) GET_ROWS(a{1}) = {99999999999, 99999999999, 1, 1}\n";
        assert!(parse(huge).expect_err("huge").to_string().contains("cannot be"));
    }
}
