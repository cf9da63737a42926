//! The ways of computing that are compared.

use samebit_kernels::Numerics;
use samebit_model::KvType;

/// A precision mode and the type of its key/value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// What `--mode` calls it.
    pub(crate) name: &'static str,
    /// Precision of the operations.
    pub(crate) numerics: Numerics,
    /// Type of cached keys and values.
    pub(crate) kv: KvType,
}

/// What the others are compared with: the model as stored.
pub(crate) const REFERENCE: Mode = Mode { name: "f32", numerics: Numerics::F32, kv: KvType::F32 };

/// All modes, the reference first.
pub(crate) const ALL: [Mode; 8] = [
    REFERENCE,
    Mode { name: "v1", numerics: Numerics::V1, kv: KvType::F16 },
    Mode { name: "a8", numerics: Numerics::A8, kv: KvType::F16 },
    Mode { name: "f64", numerics: Numerics::F64, kv: KvType::F32 },
    Mode { name: "v1-f32kv", numerics: Numerics::V1, kv: KvType::F32 },
    Mode { name: "f32-f16kv", numerics: Numerics::F32, kv: KvType::F16 },
    Mode { name: "v1-q8kv", numerics: Numerics::V1, kv: KvType::Q8_0 },
    Mode { name: "f32-q8kv", numerics: Numerics::F32, kv: KvType::Q8_0 },
];

/// The mode of a name; for the command line.
pub(crate) fn parse(name: &str) -> Result<Mode, String> {
    let names = || ALL.map(|mode| mode.name).join(", ");
    let found = ALL.into_iter().find(|mode| mode.name == name);
    found.ok_or_else(|| format!("there is no mode {name:?}: use one of {}", names()))
}
