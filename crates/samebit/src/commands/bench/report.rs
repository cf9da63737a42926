//! Results as a table, as records, as lines of values.
//!
//! Knows rows; nothing of how they came about. Where llama-bench has a name for a field it is called so here.

use super::statistics::{Summary, summary};
use crate::args::Format;
use crate::failure::Failure;
use crate::output;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// One test of one model with one number of threads.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) cpu_info: String,
    pub(super) isa: &'static str,
    pub(super) numerics: &'static str,
    /// Type of the cache.
    pub(super) kv: &'static str,
    pub(super) model_filename: String,
    pub(super) model_type: String,
    /// Bytes of all tensors.
    pub(super) model_size: u64,
    pub(super) model_n_params: u64,
    pub(super) n_ubatch: usize,
    pub(super) n_threads: usize,
    pub(super) n_prompt: usize,
    pub(super) n_gen: usize,
    pub(super) n_depth: usize,
    pub(super) test: String,
    pub(super) avg_ns: u64,
    pub(super) stddev_ns: u64,
    pub(super) avg_ts: f64,
    pub(super) stddev_ts: f64,
    pub(super) median_ts: f64,
    pub(super) samples_ns: Vec<u64>,
    pub(super) samples_ts: Vec<f64>,
    /// What is read of the weights for one token; for decode.
    pub(super) weight_bytes_per_token: Option<u64>,
    /// That times the median.
    pub(super) weight_gb_per_second: Option<f64>,
    pub(super) ceiling_gb_per_second: Option<f64>,
    pub(super) ceiling_share: Option<f64>,
    #[serde(flatten)]
    pub(super) against: Option<Against>,
}

/// The other program's side of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Against {
    pub(super) against_program: String,
    pub(super) against_samples_ts: Vec<f64>,
    pub(super) against_median_ts: f64,
    /// Ours by theirs, of each pair of runs.
    pub(super) ratio_median: f64,
    pub(super) ratio_min: f64,
    pub(super) ratio_max: f64,
}

/// A line of values has what is one value, in the order of the fields; the single samples are not.
#[rustfmt::skip]
const COLUMNS: [&str; 23] = [
    "cpu_info", "isa", "numerics", "kv", "model_filename", "model_type", "model_size", "model_n_params", "n_ubatch", "n_threads",
    "n_prompt", "n_gen", "n_depth", "test", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "median_ts", "weight_bytes_per_token",
    "weight_gb_per_second", "ceiling_gb_per_second", "ceiling_share",
];

/// And these, with another program.
const AGAINST_COLUMNS: [&str; 5] = ["against_program", "against_median_ts", "ratio_median", "ratio_min", "ratio_max"];

impl Row {
    /// Enters what was measured: seconds of each repetition.
    pub(super) fn samples(mut self, seconds: &[f64]) -> Self {
        let tokens = (self.n_prompt + self.n_gen) as f64;
        self.samples_ns = seconds.iter().map(|s| (s * 1e9).round() as u64).collect();
        self.samples_ts = seconds.iter().map(|s| round(tokens / s)).collect();
        let ns: Vec<f64> = seconds.iter().map(|s| s * 1e9).collect();
        let Summary { mean, deviation, .. } = summary(&ns);
        (self.avg_ns, self.stddev_ns) = (mean.round() as u64, deviation.round() as u64);
        let Summary { mean, deviation, median, .. } = summary(&self.samples_ts);
        (self.avg_ts, self.stddev_ts, self.median_ts) = (round(mean), round(deviation), round(median));
        self
    }

    /// Enters what decode reads, and of how much that memory gives.
    pub(super) fn reads(mut self, bytes_per_token: u64, ceiling: Option<f64>) -> Self {
        let rate = bytes_per_token as f64 * self.median_ts / 1e9;
        self.weight_bytes_per_token = Some(bytes_per_token);
        self.weight_gb_per_second = Some(round(rate));
        self.ceiling_gb_per_second = ceiling.map(round);
        self.ceiling_share = ceiling.map(|ceiling| round(rate / ceiling));
        self
    }

    /// Enters the other program's tokens per second, run by run beside ours.
    pub(super) fn against(mut self, program: &str, theirs: &[f64]) -> Self {
        let ratios: Vec<f64> = self.samples_ts.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let ratio = summary(&ratios);
        self.against = Some(Against {
            against_program: program.into(),
            against_samples_ts: theirs.iter().copied().map(round).collect(),
            against_median_ts: round(summary(theirs).median),
            ratio_median: round(ratio.median),
            ratio_min: round(ratio.least),
            ratio_max: round(ratio.most),
        });
        self
    }
}

/// Six decimals: more would be noise.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Writes rows as they come.
pub(super) struct Report {
    format: Format,
    /// Width of the first column of the table.
    width: usize,
    rows: usize,
}

impl Report {
    /// `width`: characters of the longest name of a model.
    pub(super) fn new(format: Format, width: usize) -> Self {
        Self { format, width: width.max("model".len()), rows: 0 }
    }

    /// A line about the whole: only in the table, where a person reads it.
    pub(super) fn heading(&self, line: &str) -> Result<(), Failure> {
        match self.format {
            Format::Md => output::write(format!("{line}\n").as_bytes()),
            _ => Ok(()),
        }
    }

    /// Writes a row, and before the first what comes before rows.
    pub(super) fn row(&mut self, name: &str, row: &Row) -> Result<(), Failure> {
        let first = self.rows == 0;
        self.rows += 1;
        let mut text = String::new();
        match self.format {
            Format::Md => {
                let cells = cells(name, row);
                if first {
                    text = table_head(&cells, self.width);
                }
                text.push_str(&table_line(cells.iter().map(|cell| cell.value.as_str()), &cells, self.width));
            }
            Format::Json => {
                text = format!("{}{}", if first { "[\n  " } else { ",\n  " }, json(row)?);
            }
            Format::Jsonl => text = json(row)? + "\n",
            Format::Csv => {
                let value = serde_json::to_value(row).map_err(|error| unwritable(&error))?;
                let columns = || COLUMNS.iter().chain(row.against.as_ref().map_or(&[][..], |_| &AGAINST_COLUMNS));
                if first {
                    text = columns().copied().collect::<Vec<_>>().join(",") + "\n";
                }
                text += &(columns().map(|name| quoted(&value[name])).collect::<Vec<_>>().join(",") + "\n");
            }
        }
        output::write(text.as_bytes())
    }

    /// Writes what comes after rows.
    pub(super) fn end(&self) -> Result<(), Failure> {
        match self.format {
            Format::Json => output::write(b"\n]\n"),
            _ => Ok(()),
        }
    }
}

fn json(row: &Row) -> Result<String, Failure> {
    serde_json::to_string(row).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Failure {
    Failure::Input(format!("cannot write the results: {error}"))
}

/// As RFC 4180 has it.
fn quoted(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        other => other.to_string(),
    }
}

/// One cell of the table with its column.
struct Cell {
    column: String,
    width: usize,
    value: String,
}

fn cells(name: &str, row: &Row) -> Vec<Cell> {
    let cell = |column: &str, width: usize, value: String| Cell {
        column: column.into(),
        width: width.max(column.chars().count()),
        value,
    };
    let mut cells = vec![
        cell("model", 0, name.into()),
        cell("size", 10, bytes(row.model_size)),
        cell("params", 8, count(row.model_n_params)),
        cell("threads", 7, row.n_threads.to_string()),
        cell("test", 14, row.test.clone()),
    ];
    match &row.against {
        None => cells.extend([
            cell("t/s", 16, format!("{:.2} ± {:.2}", row.avg_ts, row.stddev_ts)),
            cell("median", 8, format!("{:.2}", row.median_ts)),
        ]),
        Some(against) => cells.extend([
            cell("our t/s", 11, format!("{:.2}", row.median_ts)),
            cell(&format!("{} t/s", against.against_program), 11, format!("{:.2}", against.against_median_ts)),
            cell("ratio", 5, format!("{:.2}", against.ratio_median)),
            cell("range", 15, format!("{:.2} … {:.2}", against.ratio_min, against.ratio_max)),
        ]),
    }
    let rate = row.weight_gb_per_second.map_or_else(String::new, |rate| format!("{rate:.2}"));
    let share = row.ceiling_share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share));
    cells.extend([cell("GB/s", 7, rate), cell("of ceiling", 10, share)]);
    cells
}

fn table_head(cells: &[Cell], width: usize) -> String {
    let rule = |(index, cell): (usize, &Cell)| match index {
        0 => "-".repeat(width),
        _ => "-".repeat(cell.width - 1) + ":",
    };
    let rules: Vec<String> = cells.iter().enumerate().map(rule).collect();
    let names = table_line(cells.iter().map(|cell| cell.column.as_str()), cells, width);
    format!("\n{names}{}", table_line(rules.iter().map(String::as_str), cells, width))
}

/// The first column to the left, the others to the right.
fn table_line<'a>(values: impl Iterator<Item = &'a str>, cells: &[Cell], width: usize) -> String {
    let mut line = String::from("|");
    for (index, (value, cell)) in values.zip(cells).enumerate() {
        // Writing to a string does not fail.
        let _ = match index {
            0 => write!(line, " {value:<width$} |"),
            _ => write!(line, " {value:>width$} |", width = cell.width),
        };
    }
    line + "\n"
}

fn bytes(count: u64) -> String {
    const MIB: f64 = 1048576.0;
    match count as f64 / MIB {
        mib if mib < 1024.0 => format!("{mib:.2} MiB"),
        mib => format!("{:.2} GiB", mib / 1024.0),
    }
}

fn count(parameters: u64) -> String {
    match parameters as f64 / 1e6 {
        millions if millions < 1000.0 => format!("{millions:.2} M"),
        millions => format!("{:.2} B", millions / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let row =
            Row { n_gen: 10, test: "tg10".into(), model_size: 3 << 20, model_n_params: 5_250_000, ..Row::default() };
        row.samples(&[1.0, 2.0, 4.0]).reads(1_000_000_000, Some(10.0))
    }

    #[test]
    fn rates_come_from_times() {
        let row = row();
        assert_eq!((row.samples_ts.clone(), row.median_ts), (vec![10.0, 5.0, 2.5], 5.0));
        assert_eq!((row.avg_ts, row.stddev_ts), (5.833333, 3.818813));
        assert_eq!((row.weight_gb_per_second, row.ceiling_share), (Some(5.0), Some(0.5)));
        let against = row.against("other", &[5.0, 10.0, 1.0]).against.expect("entered");
        assert_eq!((against.against_median_ts, against.ratio_median), (5.0, 2.0));
        assert_eq!((against.ratio_min, against.ratio_max), (0.5, 2.5));
    }

    #[test]
    fn the_table_lines_up() {
        for row in [row(), row().against("llama-bench", &[5.0, 10.0, 1.0])] {
            let cells = cells("tiny", &row);
            let head = table_head(&cells, 9);
            let line = table_line(cells.iter().map(|cell| cell.value.as_str()), &cells, 9);
            assert!(line.starts_with("| tiny      |   3.00 MiB |   5.25 M |"), "{line}");
            assert!(line.ends_with("|    5.00 |       50 % |\n"), "{line}");
            let widths: Vec<usize> = head.lines().skip(1).chain(line.lines()).map(|l| l.chars().count()).collect();
            assert!(widths.len() == 3 && widths.iter().all(|&w| w == widths[0]), "{head}{line}");
        }
    }

    #[test]
    fn every_field_has_its_column() {
        let value = serde_json::to_value(row().against("other", &[1.0])).expect("serialisable");
        let fields = value.as_object().expect("an object").iter().filter(|(_, value)| !value.is_array());
        let mut columns = [&COLUMNS[..], &AGAINST_COLUMNS].concat();
        columns.sort_unstable();
        let mut fields: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, columns);
    }

    #[test]
    fn values_are_quoted() {
        assert_eq!(quoted(&Value::from("a \"b\", c")), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted(&Value::Null), "");
    }
}
