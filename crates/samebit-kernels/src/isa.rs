//! Instruction sets by name, and which of them this CPU has.

use core::fmt;

/// An instruction set that kernels are written or instantiated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// samebit-numerics itself, with its fused multiply-add in software.
    Reference,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same with AVX-VNNI: dot products of bytes.
    AvxVnni,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// The same with VNNI: dot products of bytes.
    Avx512Vnni,
    /// AArch64, whose baseline has NEON and a fused multiply-add.
    Neon,
    /// The same with dot products of bytes.
    DotProd,
    /// The same with products of matrices of bytes.
    I8mm,
    /// wasm with 128-bit vectors, where it was compiled for them.
    Simd128,
}

/// A name that is none of the instruction sets, or one that this machine lacks.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IsaError {
    /// No instruction set of that name.
    #[error("unknown instruction set `{0}`: use native, or one of {names}", names = names(Isa::ALL.into_iter()))]
    Unknown(String),
    /// The CPU cannot run it.
    #[error("this CPU has no {0}: use native, or one of {1}")]
    Unsupported(Isa, String),
}

/// Names in a sentence.
fn names(of: impl Iterator<Item = Isa>) -> String {
    of.map(Isa::name).collect::<Vec<_>>().join(", ")
}

impl Isa {
    /// All of them, those of one machine slowest first.
    pub const ALL: [Self; 9] = [
        Self::Reference,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Neon,
        Self::DotProd,
        Self::I8mm,
        Self::Simd128,
    ];

    /// The name that `--isa` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Neon => "neon",
            Self::DotProd => "dotprod",
            Self::I8mm => "i8mm",
            Self::Simd128 => "simd128",
        }
    }

    /// Whether this machine can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Reference => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => Self::Avx2.is_supported() && std::is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_supported()
                    && std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512dq")
                    && std::is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Self::Avx512.is_supported() && std::is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[cfg(target_arch = "aarch64")]
            Self::DotProd => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::I8mm => Self::DotProd.is_supported() && std::arch::is_aarch64_feature_detected!("i8mm"),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128 => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Those that this machine can run, slowest first.
    pub fn supported() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_supported())
    }

    /// The best that this machine can run.
    pub fn native() -> Self {
        Self::supported().last().unwrap_or(Self::Reference)
    }

    /// The instruction set of a name; `native` is the best one.
    ///
    /// # Errors
    /// An unknown name, or one that this machine cannot run.
    pub fn parse(name: &str) -> Result<Self, IsaError> {
        if name == "native" {
            return Ok(Self::native());
        }
        let isa = Self::ALL.into_iter().find(|isa| isa.name() == name);
        let isa = isa.ok_or_else(|| IsaError::Unknown(name.into()))?;
        if isa.is_supported() {
            return Ok(isa);
        }
        Err(IsaError::Unsupported(isa, names(Self::supported())))
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
