//! The command line.

use samebit_kernels::Isa;

/// How it is used.
pub(crate) const USAGE: &str =
    "usage: checkkern [--isa NAME|native|all] [--seed N] [--function TEXT] [--runs N] [--bench | --control]
  --isa NAME       one instruction set; all that this machine has, unless given
  --seed N         the same cases again; the clock's, unless given
  --function TEXT  functions whose name contains TEXT
  --runs N         cases of each function (300)
  --bench          how long functions take, beside the reference
  --control        run wrong functions through the same checks; each must be found";

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// None: all.
    pub(crate) isa: Option<Isa>,
    pub(crate) seed: Option<u64>,
    pub(crate) function: String,
    pub(crate) runs: Option<u32>,
    pub(crate) mode: Mode,
}

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Check,
    Bench,
    Control,
}

impl Args {
    /// What the words say.
    ///
    /// # Errors
    /// A line that names the word that makes no sense.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words.into_iter();
        while let Some(flag) = words.next() {
            match flag.as_str() {
                "--bench" => args.mode = Mode::Bench,
                "--control" => args.mode = Mode::Control,
                "--isa" | "--seed" | "--function" | "--runs" => {
                    let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
                    args.set(&flag, value)?;
                }
                _ => return Err(format!("{flag} is no flag of checkkern")),
            }
        }
        Ok(args)
    }

    fn set(&mut self, flag: &str, value: String) -> Result<(), String> {
        let no_number = |_| format!("{flag} wants a whole number, not {value}");
        match flag {
            "--isa" if value == "all" => self.isa = None,
            "--isa" => self.isa = Some(Isa::parse(&value).map_err(|error| error.to_string())?),
            "--seed" => self.seed = Some(value.parse().map_err(no_number)?),
            "--runs" => self.runs = Some(value.parse().map_err(no_number)?),
            _ => self.function = value,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_read_and_nonsense_is_refused() {
        let args = parse("--isa reference --seed 7 --function norm --runs 9 --control").unwrap();
        let expected = Args {
            isa: Some(Isa::Reference),
            seed: Some(7),
            function: "norm".into(),
            runs: Some(9),
            mode: Mode::Control,
        };
        assert_eq!(args, expected);
        assert_eq!(parse("--isa all").unwrap(), Args::default());
        for nonsense in ["--isa", "--isa z80", "--seed x", "--runs -1", "extra"] {
            assert!(parse(nonsense).is_err(), "{nonsense}");
        }
    }
}
