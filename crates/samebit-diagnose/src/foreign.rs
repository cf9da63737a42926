//! From a trace, as files and other engines give it, to evidence.

use samebit_trace::{Trace, Values};

use crate::evidence::{Evidence, EvidenceError, Seen};

/// What a trace says. `tokens` and `prompt` stand in for what it does not say; without either all tokens are the prompt.
///
/// # Errors
/// Tensors that do not fit their rows or positions; no tokens.
pub fn evidence(trace: &Trace, tokens: Option<&[u32]>, prompt: Option<usize>) -> Result<Evidence, EvidenceError> {
    let mut all: Vec<u32> = tokens.unwrap_or(&trace.meta.tokens).to_vec();
    let generated = &trace.meta.generated;
    let values = trace.entries.iter().any(|entry| !matches!(entry.values, Values::None));
    // What was run is the prompt and all generated tokens but the last, which nothing was computed for; that one is a choice.
    let (last, run) = generated.split_last().map_or((None, &generated[..]), |(last, run)| (Some(last), run));
    if tokens.is_none() && !all.ends_with(run) {
        all.extend(run);
    }
    let mut ran = run.len();
    if tokens.is_none()
        && let Some(&last) = last.filter(|_| !values)
    {
        all.push(last);
        ran += 1;
    }
    if all.is_empty() {
        return Err(EvidenceError::NoTokens);
    }
    let prompt = prompt.unwrap_or(all.len() - ran.min(all.len()));
    let mut evidence = Evidence::new(all, prompt);
    evidence.greedy = !generated.is_empty() || (!values && prompt < evidence.tokens.len());
    for entry in &trace.entries {
        let (values, known, resolution) = match &entry.values {
            Values::All(values) => (values.clone(), None, 0.0),
            Values::Some { known, resolution, .. } => {
                let (indices, values): (Vec<usize>, Vec<f32>) = known.iter().copied().unzip();
                (values, Some(indices), *resolution)
            }
            Values::None => continue,
        };
        let known_here = crate::check::names().any(|name| name == entry.name);
        if !known_here {
            continue;
        }
        let (name, layer, cols, positions) = (entry.name.clone(), entry.layer, entry.width(), entry.positions.clone());
        evidence.add(Seen { name, layer, cols, positions, values, known, resolution })?;
    }
    Ok(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebit_trace::{Entry, Meta};

    #[test]
    fn generated_tokens_are_counted_once() {
        let meta = |tokens: &[u32]| Meta { tokens: tokens.into(), generated: vec![7, 8], ..Meta::default() };
        for tokens in [&[1, 2][..], &[1, 2, 7]] {
            let mut trace = Trace { meta: meta(tokens), ..Trace::default() };
            let alone = evidence(&trace, None, None).expect("fits");
            assert_eq!((&alone.tokens[..], alone.prompt, alone.greedy), (&[1, 2, 7, 8][..], 2, true));
            let values = Values::All(vec![0.0; 6]);
            let (name, positions) = ("l_out".into(), vec![0, 1, 2]);
            trace.entries.push(Entry {
                name,
                layer: Some(0),
                positions,
                shape: vec![2],
                values,
                summaries: Vec::new(),
            });
            let with = evidence(&trace, None, None).expect("fits");
            assert_eq!((&with.tokens[..], with.prompt), (&[1, 2, 7][..], 2));
        }
        assert_eq!(evidence(&Trace::default(), None, None).err(), Some(EvidenceError::NoTokens));
    }
}
