//! What a function gave, and where two functions' results part.

use core::fmt;

use samebit_numerics::arith::canonical;

use crate::guarded::{Cell, Guarded};

/// All that a function wrote, as bits, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    parts: Vec<(&'static str, Vec<u64>)>,
    /// The output that was written beyond.
    overrun: Option<&'static str>,
}

impl Outcome {
    /// Numbers in a guarded buffer. NaNs count as one: results that are not finite never travel on.
    pub(crate) fn floats(mut self, name: &'static str, buffer: &Guarded<f32>) -> Self {
        if !buffer.is_intact() {
            self.overrun = Some(name);
        }
        self.numbers(name, buffer.get())
    }

    /// Numbers as they are.
    pub(crate) fn numbers(self, name: &'static str, values: &[f32]) -> Self {
        self.bits(name, values.iter().map(|&value| u64::from(canonical(value).to_bits())))
    }

    /// Words in a guarded buffer.
    pub(crate) fn words<T: Cell>(mut self, name: &'static str, buffer: &Guarded<T>) -> Self {
        if !buffer.is_intact() {
            self.overrun = Some(name);
        }
        self.bits(name, buffer.get().iter().map(|&cell| cell.bits()))
    }

    /// Anything else.
    pub(crate) fn bits(mut self, name: &'static str, values: impl IntoIterator<Item = u64>) -> Self {
        self.parts.push((name, values.into_iter().collect()));
        self
    }

    /// Where `found` is not as this, if anywhere; `shape` says of what.
    pub(crate) fn compare(&self, found: &Self, shape: impl FnOnce() -> String) -> Result<(), Failure> {
        if let Some(output) = found.overrun {
            return Err(Failure { shape: shape(), problem: Problem::Overrun(output) });
        }
        for ((output, expected), (_, found)) in self.parts.iter().zip(&found.parts) {
            if expected.len() != found.len() {
                let problem = Problem::Length { output, expected: expected.len(), found: found.len() };
                return Err(Failure { shape: shape(), problem });
            }
            if let Some(index) = expected.iter().zip(found).position(|(expected, found)| expected != found) {
                let (expected, found) = (expected[index], found[index]);
                return Err(Failure { shape: shape(), problem: Problem::Differs { output, index, expected, found } });
            }
        }
        Ok(())
    }
}

/// One difference: in which case, and what.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    shape: String,
    problem: Problem,
}

#[derive(Clone, Debug)]
enum Problem {
    Differs { output: &'static str, index: usize, expected: u64, found: u64 },
    Length { output: &'static str, expected: usize, found: usize },
    Overrun(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.shape)?;
        match self.problem {
            Problem::Differs { output, index, expected, found } => {
                let number = |bits: u64| f32::from_bits(bits as u32);
                write!(f, "{output}[{index}] is {found:#010x} ({:e}), ", number(found))?;
                write!(f, "the reference has {expected:#010x} ({:e})", number(expected))
            }
            Problem::Length { output, expected, found } => {
                write!(f, "{output} has {found} elements, the reference has {expected}")
            }
            Problem::Overrun(output) => write!(f, "wrote beyond {output}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_with_both_patterns() {
        let numbers = |values: &[f32]| Outcome::default().numbers("out", values);
        let expected = numbers(&[1.0, 2.0, f32::NAN]);
        assert!(expected.compare(&numbers(&[1.0, 2.0, -f32::NAN]), String::new).is_ok());
        let failure = expected.compare(&numbers(&[1.0, 3.0, 4.0]), || "n 3".into()).unwrap_err().to_string();
        assert_eq!(failure, "n 3: out[1] is 0x40400000 (3e0), the reference has 0x40000000 (2e0)");
        assert!(expected.compare(&numbers(&[1.0]), String::new).is_err());
        assert!(numbers(&[0.0]).compare(&numbers(&[-0.0]), String::new).is_err());
    }
}
