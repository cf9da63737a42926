//! Tensor element types: the ids, names and block sizes that GGUF files use. Knows no arithmetic.
//!
//! Source: ggml's `enum ggml_type` and block structs; names as the `gguf` Python package spells them.

/// One row per type: variant, id in the file, name, elements per block, bytes per block.
macro_rules! tensor_types {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $name:literal, $len:literal, $bytes:literal;)*) => {
        /// The element type of a tensor: every type id that ggml knows and GGUF files may hold.
        ///
        /// A tensor's rows (first dimension) are cut into blocks of [`block_len`](Self::block_len) elements,
        /// each stored in [`block_bytes`](Self::block_bytes) bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[allow(non_camel_case_types, reason = "the names are GGUF's own")]
        pub enum TensorType {
            $($(#[$doc])* $variant = $id,)*
        }

        impl TensorType {
            /// All types, by id.
            pub const ALL: &'static [TensorType] = &[$(TensorType::$variant,)*];

            /// The type with this id in a file; `None` for ids that ggml has removed or not yet given.
            #[must_use]
            pub fn from_id(id: u32) -> Option<TensorType> {
                match id {
                    $($id => Some(TensorType::$variant),)*
                    _ => None,
                }
            }

            /// GGUF's spelling, such as `Q4_K`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(TensorType::$variant => $name,)*
                }
            }

            /// Elements in a block: 1 for plain numbers, 32 to 256 for quantised types.
            #[must_use]
            pub fn block_len(self) -> u64 {
                match self {
                    $(TensorType::$variant => $len,)*
                }
            }

            /// Bytes in a block.
            #[must_use]
            pub fn block_bytes(self) -> u64 {
                match self {
                    $(TensorType::$variant => $bytes,)*
                }
            }
        }
    };
}

tensor_types! {
    /// IEEE binary32.
    F32 = 0, "F32", 1, 4;
    /// IEEE binary16.
    F16 = 1, "F16", 1, 2;
    /// 4 bits, f16 scale, blocks of 32.
    Q4_0 = 2, "Q4_0", 32, 18;
    /// 4 bits, f16 scale and minimum, blocks of 32.
    Q4_1 = 3, "Q4_1", 32, 20;
    /// 5 bits, f16 scale, blocks of 32.
    Q5_0 = 6, "Q5_0", 32, 22;
    /// 5 bits, f16 scale and minimum, blocks of 32.
    Q5_1 = 7, "Q5_1", 32, 24;
    /// 8 bits, f16 scale, blocks of 32.
    Q8_0 = 8, "Q8_0", 32, 34;
    /// 8 bits, f16 scale and sum, blocks of 32: an activation type, seldom stored.
    Q8_1 = 9, "Q8_1", 32, 36;
    /// 2-bit K-quant, super-blocks of 256.
    Q2K = 10, "Q2_K", 256, 84;
    /// 3-bit K-quant, super-blocks of 256.
    Q3K = 11, "Q3_K", 256, 110;
    /// 4-bit K-quant, super-blocks of 256.
    Q4K = 12, "Q4_K", 256, 144;
    /// 5-bit K-quant, super-blocks of 256.
    Q5K = 13, "Q5_K", 256, 176;
    /// 6-bit K-quant, super-blocks of 256.
    Q6K = 14, "Q6_K", 256, 210;
    /// 8-bit K-quant: an activation type, seldom stored.
    Q8K = 15, "Q8_K", 256, 292;
    /// 2.06 bits, codebook.
    Iq2Xxs = 16, "IQ2_XXS", 256, 66;
    /// 2.31 bits, codebook.
    Iq2Xs = 17, "IQ2_XS", 256, 74;
    /// 3.06 bits, codebook.
    Iq3Xxs = 18, "IQ3_XXS", 256, 98;
    /// 1.56 bits, codebook.
    Iq1S = 19, "IQ1_S", 256, 50;
    /// 4 bits through a non-linear table, blocks of 32.
    Iq4Nl = 20, "IQ4_NL", 32, 18;
    /// 3.44 bits, codebook.
    Iq3S = 21, "IQ3_S", 256, 110;
    /// 2.56 bits, codebook.
    Iq2S = 22, "IQ2_S", 256, 82;
    /// 4.25 bits through a non-linear table, super-blocks of 256.
    Iq4Xs = 23, "IQ4_XS", 256, 136;
    /// Signed 8-bit integers.
    I8 = 24, "I8", 1, 1;
    /// Signed 16-bit integers.
    I16 = 25, "I16", 1, 2;
    /// Signed 32-bit integers.
    I32 = 26, "I32", 1, 4;
    /// Signed 64-bit integers.
    I64 = 27, "I64", 1, 8;
    /// IEEE binary64.
    F64 = 28, "F64", 1, 8;
    /// 1.75 bits, codebook.
    Iq1M = 29, "IQ1_M", 256, 56;
    /// bfloat16.
    Bf16 = 30, "BF16", 1, 2;
    /// Ternary, 1.69 bits.
    Tq1_0 = 34, "TQ1_0", 256, 54;
    /// Ternary, 2.06 bits.
    Tq2_0 = 35, "TQ2_0", 256, 66;
    /// Microscaling e2m1 with an e8m0 scale, blocks of 32.
    Mxfp4 = 39, "MXFP4", 32, 17;
    /// e2m1 with an e4m3 scale per 16, blocks of 64.
    Nvfp4 = 40, "NVFP4", 64, 36;
    /// 1 bit, f16 scale, blocks of 128.
    Q1_0 = 41, "Q1_0", 128, 18;
    /// 2 bits, f16 scale, blocks of 64.
    Q2_0 = 42, "Q2_0", 64, 18;
}

impl TensorType {
    /// The id in a file.
    #[must_use]
    pub fn id(self) -> u32 {
        self as u32
    }

    /// The type of this name, in GGUF's spelling and in any case of letters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TensorType> {
        Self::ALL.iter().copied().find(|ty| ty.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of a row of `len` elements; `None` unless `len` is whole blocks and the result fits.
    #[must_use]
    pub fn row_bytes(self, len: u64) -> Option<u64> {
        if !len.is_multiple_of(self.block_len()) {
            return None;
        }
        (len / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Bits stored per element, such as 4.5 for `Q4_0`.
    #[must_use]
    pub fn bits_per_weight(self) -> f64 {
        (self.block_bytes() * 8) as f64 / self.block_len() as f64
    }

    /// The name of a type that ggml once had under this id and has removed from files.
    pub(crate) fn removed_name(id: u32) -> Option<&'static str> {
        Some(match id {
            4 => "Q4_2",
            5 => "Q4_3",
            31 => "Q4_0_4_4",
            32 => "Q4_0_4_8",
            33 => "Q4_0_8_8",
            36 => "IQ4_NL_4_4",
            37 => "IQ4_NL_4_8",
            38 => "IQ4_NL_8_8",
            _ => return None,
        })
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_lead_back() {
        for &ty in TensorType::ALL {
            assert_eq!(TensorType::from_id(ty.id()), Some(ty));
            assert_eq!(TensorType::from_name(ty.name()), Some(ty));
            assert_eq!(TensorType::from_name(&ty.name().to_lowercase()), Some(ty));
            assert_eq!(TensorType::removed_name(ty.id()), None);
        }
        let known = TensorType::ALL.len() + (0..1000).filter_map(TensorType::removed_name).count();
        assert_eq!(known, 43, "ids 0..=42 are all either known or removed");
        assert_eq!(TensorType::from_id(43), None);
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(TensorType::Q4K.row_bytes(512), Some(288));
        assert_eq!(TensorType::Q4K.row_bytes(0), Some(0));
        assert_eq!(TensorType::Q4K.row_bytes(500), None);
        assert_eq!(TensorType::F64.row_bytes(u64::MAX), None);
        assert_eq!(TensorType::Q4_0.bits_per_weight(), 4.5);
    }
}
