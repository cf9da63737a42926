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
    // A trace of tensors ran all generated tokens but the last, which nothing was computed for.
    let ran = if values { &generated[..generated.len().saturating_sub(1)] } else { &generated[..] };
    if tokens.is_none() && !all.ends_with(ran) {
        all.extend(ran);
    }
    if all.is_empty() {
        return Err(EvidenceError::NoTokens);
    }
    let ran = ran.len().min(all.len());
    let prompt = prompt.unwrap_or(all.len() - ran);
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
