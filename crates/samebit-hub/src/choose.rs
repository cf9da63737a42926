//! Which of a repository's files is meant. Knows names alone: the same choice is made of what the hub lists and of what lies here.

use crate::name::Wanted;

/// What most people take first, best first: quantisations by their usual names.
const PREFERRED: [&str; 24] = [
    "Q4_K_M", "Q4_0", "Q4_K_S", "Q4_K_L", "Q4_K_XL", "Q4_1", "MXFP4", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q8_0",
    "Q6_K", "IQ4_XS", "IQ4_NL", "Q3_K_M", "Q3_K_L", "Q3_K_S", "Q2_K", "Q2_K_S", "BF16", "F16", "FP16", "F32",
];

/// A model of a repository: one file, or several that were split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    /// Its files' paths in the repository, in order.
    pub(crate) files: Vec<String>,
}

impl Model {
    /// What it is called: the path that it is opened by.
    pub(crate) fn name(&self) -> &str {
        self.files.first().map_or("", String::as_str)
    }

    /// Its name without folders and in capitals, to look for a quantisation in.
    fn key(&self) -> String {
        file_name(self.name()).to_ascii_uppercase()
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The models among a repository's paths, sorted by name. Split ones count when all of their files are there; projectors of
/// pictures and tables of importance are none.
pub(crate) fn models<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<Model> {
    let mut sorted: Vec<&str> = paths.into_iter().filter(|path| is_model(path)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut models = Vec::new();
    for path in &sorted {
        match split(path) {
            None => models.push(Model { files: vec![(*path).to_owned()] }),
            Some((stem, 1, count)) => {
                let files: Vec<String> = (1..=count).map(|index| shard(stem, index, count)).collect();
                if files.iter().all(|file| sorted.binary_search(&file.as_str()).is_ok()) {
                    models.push(Model { files });
                }
            }
            Some(_) => {}
        }
    }
    models
}

fn is_model(path: &str) -> bool {
    let name = file_name(path).to_ascii_lowercase();
    name.ends_with(".gguf") && !name.contains("mmproj") && !name.contains("imatrix")
}

/// `stem`, index and count of `stem-00001-of-00003.gguf`.
fn split(path: &str) -> Option<(&str, u32, u32)> {
    const MOST_SHARDS: u32 = 1000;
    let (rest, count) = path.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, index) = rest.rsplit_once('-')?;
    let number = |text: &str| (text.len() == 5).then(|| text.parse::<u32>().ok())?;
    let (index, count) = (number(index)?, number(count)?);
    (index >= 1 && index <= count && count <= MOST_SHARDS).then_some((stem, index, count))
}

fn shard(stem: &str, index: u32, count: u32) -> String {
    format!("{stem}-{index:05}-of-{count:05}.gguf")
}

/// Why no model was chosen, and what there is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Miss {
    #[error("{0}")]
    None(String),
    #[error("has several models that fit: name the file; {0}")]
    Several(String),
}

/// The model that is meant.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn choose<'a>(models: &'a [Model], wanted: &Wanted) -> Result<&'a Model, Miss> {
    let found: Vec<&Model> = match wanted {
        Wanted::File(file) => {
            let exact: Vec<&Model> = models.iter().filter(|model| model.files.contains(file)).collect();
            let by_name =
                || models.iter().filter(|model| model.files.iter().any(|path| file_name(path) == file)).collect();
            if exact.is_empty() { by_name() } else { exact }
        }
        Wanted::Quant(quant) => with_quant(models, quant),
        Wanted::Default => return default(models),
    };
    match (&found[..], wanted) {
        ([model], _) => Ok(model),
        ([], Wanted::File(what) | Wanted::Quant(what)) => {
            Err(Miss::None(format!("has no {what}; {}", listed(models.iter()))))
        }
        _ => Err(Miss::Several(listed(found.into_iter()))),
    }
}

fn with_quant<'a>(models: &'a [Model], quant: &str) -> Vec<&'a Model> {
    models.iter().filter(|model| has_word(&model.key(), &quant.to_ascii_uppercase())).collect()
}

fn default(models: &[Model]) -> Result<&Model, Miss> {
    if let [model] = models {
        return Ok(model);
    }
    let best = PREFERRED.iter().map(|quant| with_quant(models, quant)).find(|found| !found.is_empty());
    match best.as_deref() {
        Some([model]) => Ok(model),
        Some(several) => Err(Miss::Several(listed(several.iter().copied()))),
        None if models.is_empty() => Err(Miss::None("has no GGUF file: samebit runs nothing else".to_owned())),
        None => Err(Miss::Several(listed(models.iter()))),
    }
}

/// Whether `word` stands in `text` between other things than letters, digits and underscores.
fn has_word(text: &str, word: &str) -> bool {
    let inner = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !inner(text[..at].chars().next_back()) && !inner(text[at + word.len()..].chars().next()))
}

fn listed<'a>(models: impl Iterator<Item = &'a Model>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = models.map(Model::name).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let names = names[..names.len().min(SHOWN)].join(", ");
    if names.is_empty() { "there is no model".to_owned() } else { format!("there are {names}{more}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(paths: &[&str], wanted: Wanted) -> Result<Vec<String>, Miss> {
        choose(&models(paths.iter().copied()), &wanted).map(|model| model.files.clone())
    }

    fn several(miss: Miss) -> bool {
        matches!(miss, Miss::Several(_))
    }

    const USUAL: [&str; 7] = [
        "README.md",
        "m-Q8_0.gguf",
        "m-Q4_0.gguf",
        "m-Q4_0_4_4.gguf",
        "m-q4_k_m.gguf",
        "mmproj-m-F16.gguf",
        "m.imatrix.gguf",
    ];

    #[test]
    fn the_usual_one_is_taken_unless_another_is_named() {
        assert_eq!(chosen(&USUAL, Wanted::Default), Ok(vec!["m-q4_k_m.gguf".into()]));
        assert_eq!(chosen(&USUAL, Wanted::Quant("q8_0".into())), Ok(vec!["m-Q8_0.gguf".into()]));
        assert_eq!(chosen(&USUAL, Wanted::Quant("Q4_0".into())), Ok(vec!["m-Q4_0.gguf".into()]));
        assert_eq!(chosen(&USUAL, Wanted::File("m-Q4_0_4_4.gguf".into())), Ok(vec!["m-Q4_0_4_4.gguf".into()]));
        assert_eq!(chosen(&["odd.gguf"], Wanted::Default), Ok(vec!["odd.gguf".into()]));
    }

    #[test]
    fn what_is_not_there_or_not_one_is_told() {
        let error = chosen(&USUAL, Wanted::Quant("Q2_K".into())).expect_err("none").to_string();
        assert!(error.contains("no Q2_K; there are m-Q4_0.gguf, "), "{error}");
        assert!(chosen(&["a-Q8_0.gguf", "b-Q8_0.gguf"], Wanted::Default).is_err_and(several));
        assert!(chosen(&["a-Q8_0.gguf", "b-Q8_0.gguf"], Wanted::Quant("Q8_0".into())).is_err_and(several));
        assert!(chosen(&["README.md"], Wanted::Default).is_err_and(|e| e.to_string().contains("no GGUF")));
        assert!(chosen(&["a.gguf", "b.gguf"], Wanted::Default).is_err_and(several));
    }

    #[test]
    fn split_models_are_one_and_whole() {
        let paths = ["q/m-Q4_0-00002-of-00002.gguf", "q/m-Q4_0-00001-of-00002.gguf", "n-00001-of-00002.gguf"];
        let whole = vec!["q/m-Q4_0-00001-of-00002.gguf".to_owned(), "q/m-Q4_0-00002-of-00002.gguf".to_owned()];
        assert_eq!(chosen(&paths, Wanted::Default), Ok(whole.clone()));
        assert_eq!(chosen(&paths, Wanted::File("m-Q4_0-00002-of-00002.gguf".into())), Ok(whole));
        assert!(chosen(&paths, Wanted::File("n-00001-of-00002.gguf".into())).is_err());
        assert_eq!(split("x-00000-of-00002.gguf"), None);
        assert_eq!(split("x-00001-of-99999.gguf"), None);
    }
}
