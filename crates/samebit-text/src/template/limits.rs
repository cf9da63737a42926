//! Bounds on what a template may use, and the meter that enforces them. Knows nothing of Jinja.
//!
//! Fuel bounds time: every evaluated node costs one unit and every copied 64 bytes another.
//! The meter bounds memory: it counts the live bytes of all values, and is asked *before* an allocation.

use std::cell::Cell;
use std::rc::Rc;

/// What rendering one conversation may use. Chat templates come with downloaded files, so they are hostile until shown otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of template source.
    pub source_bytes: usize,
    /// Evaluated nodes, plus one for every 64 bytes copied.
    pub fuel: u64,
    /// Live bytes of all values a template makes, not counting the conversation it was given.
    pub memory_bytes: usize,
    /// Bytes of rendered text.
    pub output_bytes: usize,
    /// Depth of nested evaluation: expressions, statements and macro calls together. More than the default is cut to it,
    /// for that is what the native stack is made for.
    pub depth: u32,
}

impl Default for Limits {
    /// Room for a conversation of tens of megabytes; a hostile template ends within a few seconds.
    fn default() -> Self {
        Self { source_bytes: 1 << 20, fuel: 100_000_000, memory_bytes: 256 << 20, output_bytes: 64 << 20, depth: 320 }
    }
}

/// Depth to which evaluation may nest.
const MAX_DEPTH: u32 = 320;

/// Depth to which values (lists in lists) and syntax may nest. Bounds every recursion over them, dropping included.
pub(super) const MAX_NESTING: u32 = 160;

/// Why evaluation stopped, before the place is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// As Python would have raised.
    Error(String),
    /// `raise_exception`.
    Raised(String),
    /// A limit.
    Limit(String),
}

impl Fault {
    pub(super) fn error<T>(message: impl Into<String>) -> Res<T> {
        Err(Self::Error(message.into()))
    }
}

pub(super) type Res<T> = Result<T, Fault>;

/// Counts fuel and live bytes of one rendering.
#[derive(Debug)]
pub(super) struct Meter {
    fuel: Cell<u64>,
    live: Cell<usize>,
    /// Live bytes that are the caller's own, and not held against the template.
    given: Cell<usize>,
    depth: Cell<u32>,
    limits: Limits,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Rc<Self> {
        Rc::new(Self {
            fuel: Cell::new(limits.fuel),
            live: Cell::new(0),
            given: Cell::new(0),
            depth: Cell::new(0),
            limits: Limits { depth: limits.depth.min(MAX_DEPTH), ..limits.clone() },
        })
    }

    /// Spends `units` of fuel.
    pub(super) fn spend(&self, units: u64) -> Res<()> {
        match self.fuel.get().checked_sub(units) {
            Some(left) => {
                self.fuel.set(left);
                Ok(())
            }
            None => {
                self.fuel.set(0);
                Err(Fault::Limit(format!("work ({} steps)", self.limits.fuel)))
            }
        }
    }

    /// Spends fuel for touching `bytes` bytes.
    pub(super) fn touch(&self, bytes: usize) -> Res<()> {
        self.spend(1 + bytes as u64 / 64)
    }

    /// Errs unless `bytes` more may live, without counting them yet.
    pub(super) fn ensure(&self, bytes: usize) -> Res<()> {
        let whole = self.limits.memory_bytes.saturating_add(self.given.get());
        let room = whole.saturating_sub(self.live.get());
        if bytes > room {
            return Err(Fault::Limit(format!("memory ({} bytes)", self.limits.memory_bytes)));
        }
        Ok(())
    }

    /// Runs `make` at the caller's expense: what it makes is neither counted as memory nor as work.
    pub(super) fn given<T>(&self, make: impl FnOnce() -> Res<T>) -> Res<T> {
        let fuel = self.fuel.replace(u64::MAX);
        self.given.set(usize::MAX);
        let made = make();
        self.given.set(self.live.get());
        self.fuel.set(fuel);
        made
    }

    /// Errs unless a text of `bytes` bytes may be output.
    pub(super) fn ensure_output(&self, bytes: usize) -> Res<()> {
        if bytes > self.limits.output_bytes {
            return Err(Fault::Limit(format!("output ({} bytes)", self.limits.output_bytes)));
        }
        Ok(())
    }

    /// Runs `inner` one level deeper on the native stack.
    pub(super) fn deeper<T>(&self, inner: impl FnOnce() -> Res<T>) -> Res<T> {
        if self.depth.get() >= self.limits.depth {
            return Err(Fault::Limit(format!("recursion ({} levels)", self.limits.depth)));
        }
        self.depth.set(self.depth.get() + 1);
        let result = inner();
        self.depth.set(self.depth.get() - 1);
        result
    }
}

/// Bytes counted against the meter until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: Cell<usize>,
    meter: Rc<Meter>,
}

impl Charge {
    pub(super) fn new(meter: &Rc<Meter>) -> Self {
        Self { bytes: Cell::new(0), meter: meter.clone() }
    }

    pub(super) fn add(&self, bytes: usize) -> Res<()> {
        self.meter.ensure(bytes)?;
        self.meter.touch(bytes)?;
        self.meter.live.set(self.meter.live.get() + bytes);
        self.bytes.set(self.bytes.get() + bytes);
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let live = self.meter.live.get();
        self.meter.live.set(live.saturating_sub(self.bytes.get()));
    }
}

/// A value on the heap whose bytes count for as long as it lives.
#[derive(Debug)]
pub(super) struct Metered<T> {
    pub(super) value: T,
    _charge: Charge,
}

impl<T> Metered<T> {
    pub(super) fn new(meter: &Rc<Meter>, value: T, bytes: usize) -> Res<Rc<Self>> {
        let charge = Charge::new(meter);
        charge.add(bytes)?;
        Ok(Rc::new(Self { value, _charge: charge }))
    }
}

/// A string under construction that asks the meter before it grows.
#[derive(Debug)]
pub(super) struct Text<'m> {
    text: String,
    meter: &'m Rc<Meter>,
}

impl<'m> Text<'m> {
    pub(super) fn new(meter: &'m Rc<Meter>) -> Self {
        Self { text: String::new(), meter }
    }

    pub(super) fn push_str(&mut self, s: &str) -> Res<()> {
        // Growth may double the capacity while the old half still lives.
        self.meter.ensure((self.text.len() + s.len()) * 2)?;
        self.meter.touch(s.len())?;
        self.text.push_str(s);
        Ok(())
    }

    pub(super) fn push(&mut self, c: char) -> Res<()> {
        self.push_str(c.encode_utf8(&mut [0; 4]))
    }

    /// Appends `c` `count` times.
    pub(super) fn fill(&mut self, c: char, count: usize) -> Res<()> {
        let bytes = count.saturating_mul(c.len_utf8());
        self.meter.ensure(self.text.len().saturating_add(bytes).saturating_mul(2))?;
        self.meter.touch(bytes)?;
        self.text.extend(std::iter::repeat_n(c, count));
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn meter(&self) -> &'m Rc<Meter> {
        self.meter
    }
}
