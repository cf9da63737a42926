//! A model file on this machine: what it generates, and the digest of its logits, for comparison with another machine's.
//!
//! Knows token ids alone; `samebit run` does the same from a text.

use std::ops::ControlFlow;

use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Engine, EngineOptions, Request};
use samebit_gguf::Gguf;

/// What is asked: of which model, after which tokens, how many more, and how they are chosen.
pub(crate) struct Question<'a> {
    model: &'a str,
    prompt: Vec<u32>,
    count: usize,
    sampler: SamplerConfig,
}

impl<'a> Question<'a> {
    /// From the words of the command line; without a seed the choice is greedy.
    pub(crate) fn parse(model: &'a str, ids: &str, count: &str, seed: Option<&str>) -> Option<Self> {
        let sampler = match seed {
            None => SamplerConfig::greedy(),
            Some(seed) => SamplerConfig { seed: seed.parse().ok()?, ..SamplerConfig::default() },
        };
        let prompt = ids.split(',').map(|id| id.parse().ok()).collect::<Option<Vec<u32>>>()?;
        Some(Self { model, prompt, count: count.parse().ok()?, sampler })
    }

    /// The tokens, then the digest, on one line; with the best instruction set, in one thread.
    pub(crate) fn answer(self) -> Result<String, String> {
        let gguf = Gguf::open(self.model).map_err(|error| error.to_string())?;
        let failed = |problem: String| format!("{}: {problem}", self.model);
        let options = EngineOptions { ubatch: 64, ..EngineOptions::default() };
        let engine = Engine::load(gguf, &options).map_err(|error| failed(error.to_string()))?;
        let request =
            Request { max_tokens: self.count, sampler: self.sampler, stop_tokens: Vec::new(), ignore_eos: true };
        let generation = engine.generate(&self.prompt, &request, &mut |_| ControlFlow::Continue(()));
        let generation = generation.map_err(|error| failed(error.to_string()))?;
        let tokens: Vec<String> = generation.tokens.iter().map(u32::to_string).collect();
        Ok(format!("{}: {} {}", options.isa, tokens.join(","), generation.logits_digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_numbers_are_no_question() {
        let parse = |ids: &str, count: &str, seed: Option<&str>| Question::parse("x.gguf", ids, count, seed);
        assert_eq!(parse("1,22,3", "4", None).unwrap().prompt, [1, 22, 3]);
        assert_eq!(parse("1", "4", Some("7")).unwrap().sampler.seed, 7);
        assert!(parse("1,,3", "4", None).is_none());
        assert!(parse("1", "-4", None).is_none());
        assert!(parse("1", "4", Some("x")).is_none());
        let error = parse("1", "4", None).unwrap().answer().err().unwrap();
        assert!(error.contains("x.gguf"), "{error}");
    }
}
