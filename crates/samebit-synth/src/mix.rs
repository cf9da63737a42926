//! Which type each tensor is stored in: one for all, or the mixes that llama-quantize makes, by role and layer.
//!
//! The rules are facts of llama.cpp's quantisation without an importance matrix; its types that samebit does not read are left out.

use super::shapes::Shape;
use super::tensors::{Role, Tensor};
use samebit_numerics::blocks::Format;

/// A name on the command line: the type it starts from and `general.file_type`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    base: Format,
    pub(crate) file_type: u32,
}

const fn mix(name: &'static str, base: Format, file_type: u32) -> Mix {
    Mix { name, base, file_type }
}

/// All names, in the order of listing.
pub(crate) const MIXES: [Mix; 24] = [
    mix("F32", Format::F32, 0),
    mix("F16", Format::F16, 1),
    mix("BF16", Format::Bf16, 32),
    mix("Q4_0", Format::Q4_0, 2),
    mix("Q4_1", Format::Q4_1, 3),
    mix("Q5_0", Format::Q5_0, 8),
    mix("Q5_1", Format::Q5_1, 9),
    mix("Q8_0", Format::Q8_0, 7),
    mix("Q2_K", Format::Q2K, 10),
    mix("Q2_K_S", Format::Q2K, 21),
    mix("Q3_K", Format::Q3K, 12),
    mix("Q3_K_S", Format::Q3K, 11),
    mix("Q3_K_M", Format::Q3K, 12),
    mix("Q3_K_L", Format::Q3K, 13),
    mix("Q4_K", Format::Q4K, 15),
    mix("Q4_K_S", Format::Q4K, 14),
    mix("Q4_K_M", Format::Q4K, 15),
    mix("Q5_K", Format::Q5K, 17),
    mix("Q5_K_S", Format::Q5K, 16),
    mix("Q5_K_M", Format::Q5K, 17),
    mix("Q6_K", Format::Q6K, 18),
    mix("IQ4_NL", Format::Iq4Nl, 25),
    mix("IQ4_XS", Format::Iq4Xs, 30),
    // For experts; the rest of such a file is Q8_0.
    mix("MXFP4", Format::Mxfp4, 38),
];

/// The mix of a name, without regard to case.
pub(crate) fn find(name: &str) -> Option<Mix> {
    MIXES.into_iter().find(|mix| mix.name.eq_ignore_ascii_case(name))
}

impl Mix {
    /// The type of a tensor; with `pure`, the mix's own for every matrix. Always one whose blocks divide the tensor's rows.
    pub(crate) fn format(&self, shape: &Shape, tensor: &Tensor, pure: bool) -> Format {
        if !tensor.is_matrix() {
            return Format::F32;
        }
        let wanted = if pure || self.base.block_len() == 1 { self.base } else { self.by_role(shape, tensor) };
        fit(wanted, tensor.dims[0])
    }

    fn by_role(&self, shape: &Shape, tensor: &Tensor) -> Format {
        let experts = shape.experts.map_or(0, |experts| experts.count);
        let is_output = tensor.role == Role::Output || (tensor.role == Role::Embedding && shape.tied);
        if is_output {
            let whole = tensor.dims[0].is_multiple_of(self.base.block_len() as u64);
            let large = self.base == Format::Mxfp4 || self.base == Format::Q8_0 || !whole;
            return if large { Format::Q8_0 } else { Format::Q6K };
        }
        if self.base == Format::Mxfp4 {
            return if tensor.dims.len() > 2 { Format::Mxfp4 } else { Format::Q8_0 };
        }
        match tensor.role {
            Role::Value | Role::Key if experts == 8 => Format::Q8_0,
            Role::Value => self.value(shape, tensor.layer),
            Role::Down => self.down(shape, tensor.layer),
            Role::AttentionOutput => self.attention_output(experts),
            _ => self.base,
        }
    }

    fn value(&self, shape: &Shape, layer: u32) -> Format {
        let grouped = shape.heads / shape.kv_heads >= 4;
        match self.name {
            "Q2_K" if grouped => Format::Q4K,
            "Q2_K" => Format::Q3K,
            "Q2_K_S" if grouped => Format::Q4K,
            "Q3_K" | "Q3_K_M" if layer < 2 => Format::Q5K,
            "Q3_K" | "Q3_K_M" => Format::Q4K,
            "Q3_K_L" => Format::Q5K,
            "IQ4_NL" | "IQ4_XS" if grouped => Format::Q5K,
            "Q4_K" | "Q4_K_M" | "Q5_K" | "Q5_K_M" if more_bits(layer, shape.layers) => Format::Q6K,
            "Q4_K_S" if layer < 4 => Format::Q5K,
            _ => self.base,
        }
    }

    fn down(&self, shape: &Shape, layer: u32) -> Format {
        let early = layer < shape.layers / 8;
        match self.name {
            "Q2_K" => Format::Q3K,
            "Q2_K_S" if early => Format::Q4K,
            "Q3_K" | "Q3_K_M" if layer < shape.layers / 16 => Format::Q5K,
            "Q3_K" | "Q3_K_M" => Format::Q4K,
            "Q3_K_L" => Format::Q5K,
            "Q4_K" | "Q4_K_M" | "Q5_K" | "Q5_K_M" if more_bits(layer, shape.layers) => Format::Q6K,
            "IQ4_NL" | "IQ4_XS" | "Q4_K_S" if early => Format::Q5K,
            _ => self.base,
        }
    }

    fn attention_output(&self, experts: u32) -> Format {
        match self.name {
            "Q2_K" | "Q3_K" | "Q3_K_S" | "Q3_K_M" | "Q4_K" | "Q4_K_S" | "Q4_K_M" | "IQ4_NL" | "IQ4_XS"
                if experts == 8 =>
            {
                Format::Q5K
            }
            _ if experts == 8 => self.base,
            "Q2_K" => Format::Q3K,
            "Q3_K" | "Q3_K_M" => Format::Q4K,
            "Q3_K_L" => Format::Q5K,
            _ => self.base,
        }
    }
}

/// The layers that the `_M` mixes give more bits: the first and last eighths and every third between.
fn more_bits(layer: u32, layers: u32) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// The type, or one of smaller blocks where its own do not divide the rows.
fn fit(wanted: Format, row: u64) -> Format {
    let divides = |format: Format| row.is_multiple_of(format.block_len() as u64);
    if divides(wanted) {
        return wanted;
    }
    let smaller = match wanted {
        Format::Q2K | Format::Q3K => Format::Q4_0,
        Format::Q4K => Format::Q5_0,
        Format::Q5K => Format::Q5_1,
        Format::Q6K => Format::Q8_0,
        Format::Iq4Xs => Format::Iq4Nl,
        other => other,
    };
    if divides(smaller) { smaller } else { Format::F16 }
}

#[cfg(test)]
mod tests {
    use super::super::shapes;
    use super::super::tensors::tensors;
    use super::*;
    use std::collections::BTreeMap;

    fn histogram(shape: &str, mix: &str) -> Vec<(&'static str, usize)> {
        let shape = shapes::find(shape).expect("listed");
        let mix = find(mix).expect("listed");
        let mut counts = BTreeMap::new();
        for tensor in tensors(&shape) {
            *counts.entry(mix.format(&shape, &tensor, false).name()).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// What llama-quantize makes of the same models.
    #[test]
    fn mixes_are_llama_quantizes() {
        assert_eq!(
            histogram("smollm2-135m", "Q4_K_M"),
            [("F32", 61), ("Q4_K", 16), ("Q5_0", 166), ("Q6_K", 14), ("Q8_0", 15)]
        );
        assert_eq!(
            histogram("gemma3-270m", "Q4_K_M"),
            [("F32", 109), ("Q4_K", 27), ("Q5_0", 81), ("Q6_K", 9), ("Q8_0", 10)]
        );
    }

    #[test]
    fn pure_is_pure() {
        let shape = shapes::find("tiny-llama-256").expect("listed");
        for mix in MIXES {
            for tensor in tensors(&shape).iter().filter(|t| t.is_matrix()) {
                assert_eq!(mix.format(&shape, tensor, true), mix.base);
            }
        }
    }

    #[test]
    fn every_type_fits_every_row() {
        for (name, shape) in shapes::all() {
            for mix in MIXES {
                for tensor in tensors(&shape) {
                    let format = mix.format(&shape, &tensor, false);
                    assert!(format.row_bytes(tensor.dims[0] as usize).is_some(), "{name} {} {}", mix.name, tensor.name);
                }
            }
        }
    }

    #[test]
    fn experts_alone_are_mxfp4() {
        let shape = shapes::find("gpt-oss-20b").expect("listed");
        for tensor in tensors(&shape) {
            let is_expert = tensor.name.contains("exps.weight");
            let mix = find("mxfp4").expect("listed");
            assert_eq!(mix.format(&shape, &tensor, false) == Format::Mxfp4, is_expert, "{}", tensor.name);
        }
    }
}
