//! A progress bar on stderr for what takes longer than a second, and only where a person is looking.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Waits this long before showing anything: most work is done by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Bytes,
    /// Bytes that come from elsewhere: their rate is of interest.
    #[cfg(not(target_family = "wasm"))]
    Fetched,
    Tokens,
    Parameters,
    Repetitions,
}

/// Progress of one piece of work. Dropping it removes the bar.
pub(crate) struct Progress {
    label: Cow<'static, str>,
    unit: Unit,
    shown: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing is drawn if `quiet`, or if stderr is no terminal.
    pub(crate) fn new(label: impl Into<Cow<'static, str>>, unit: Unit, quiet: bool) -> Self {
        let label = label.into();
        Self { label, unit, shown: !quiet && std::io::stderr().is_terminal(), started: Instant::now(), bar: None }
    }

    /// `done` of `total` units are done.
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        if self.bar.is_none() && self.shown && self.started.elapsed() >= PATIENCE {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_position(done);
            bar.set_message(self.label.clone());
            bar.set_style(style(self.unit));
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Removes the bar, for output to follow.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.shown = false;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(unit: Unit) -> ProgressStyle {
    let template = match unit {
        Unit::Bytes => "{msg} {bar:30} {bytes}/{total_bytes} {eta}",
        #[cfg(not(target_family = "wasm"))]
        Unit::Fetched => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        Unit::Tokens => "{msg} {bar:30} {pos}/{len} tokens {eta}",
        Unit::Repetitions => "{msg} {bar:30} {pos}/{len} {eta}",
        Unit::Parameters => "{msg} {bar:30} {percent}% {eta}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
