//! What is measured: tests, in the order and with the names of llama-bench.

use crate::args::BenchArgs;

/// Prefill, decode, or both, behind so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) prompt: usize,
    pub(super) generated: usize,
    pub(super) depth: usize,
}

impl Test {
    /// As in `pp512`, `tg128 @ d4096`, `pp512+tg128`.
    pub(super) fn name(&self) -> String {
        let part = |name: &str, count: usize| if count > 0 { format!("{name}{count}") } else { String::new() };
        let parts = [part("pp", self.prompt), part("tg", self.generated)];
        let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let behind = if self.depth > 0 { format!(" @ d{}", self.depth) } else { String::new() };
        parts.join("+") + &behind
    }

    /// Tokens whose time is taken.
    pub(super) fn tokens(&self) -> usize {
        self.prompt + self.generated
    }

    /// Positions of the context that it takes.
    pub(super) fn context(&self) -> usize {
        self.depth + self.tokens()
    }

    /// Whether every token goes through all weights alone.
    pub(super) fn decodes(&self) -> bool {
        self.prompt == 0
    }
}

/// The tests that the flags ask for.
pub(super) fn tests(args: &BenchArgs) -> Vec<Test> {
    let mut tests = Vec::new();
    for &depth in &args.n_depth {
        tests.extend(args.n_prompt.iter().map(|&prompt| Test { prompt, generated: 0, depth }));
        tests.extend(args.n_gen.iter().map(|&generated| Test { prompt: 0, generated, depth }));
        tests.extend(args.mixed.iter().map(|&(prompt, generated)| Test { prompt, generated, depth }));
    }
    tests.retain(|test| test.tokens() > 0);
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |prompt, generated, depth| Test { prompt, generated, depth }.name();
        assert_eq!(name(512, 0, 0), "pp512");
        assert_eq!(name(0, 128, 4096), "tg128 @ d4096");
        assert_eq!(name(512, 128, 0), "pp512+tg128");
    }
}
