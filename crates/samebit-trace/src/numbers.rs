//! Numbers as files hold them: element types, and lists of positions. Knows no tensor's meaning.

use samebit_numerics::half::{bf16_to_f32, f16_to_f32};

/// A tensor by any name, as a file holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Slowest dimension first.
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// The type of a file's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    U8,
}

impl Dtype {
    pub(crate) fn from_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "I64" => Self::I64,
            "I32" => Self::I32,
            "U8" => Self::U8,
            _ => return None,
        })
    }

    /// numpy's `descr`, little-endian.
    pub(crate) fn from_numpy(descr: &str) -> Option<Self> {
        Some(match descr {
            "<f8" => Self::F64,
            "<f4" => Self::F32,
            "<f2" => Self::F16,
            "<i8" | "<u8" => Self::I64,
            "<i4" | "<u4" => Self::I32,
            "|u1" => Self::U8,
            _ => return None,
        })
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
        }
    }

    /// All elements as binary32; a rest that is no element is left out.
    pub(crate) fn read(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
        }
        match self {
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F16 => each(bytes, |b| f16_to_f32(u16::from_le_bytes(b))),
            Self::Bf16 => each(bytes, |b| bf16_to_f32(u16::from_le_bytes(b))),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::U8 => each(bytes, |[b]| f32::from(b)),
        }
    }
}

/// Most positions of a list: far beyond any context.
const MOST_POSITIONS: usize = 1 << 24;

/// `0-3,7` for 0, 1, 2, 3, 7.
pub(crate) fn positions_to(positions: &[usize]) -> String {
    let mut parts = Vec::new();
    let mut rest = positions;
    while let Some((&first, _)) = rest.split_first() {
        let run = rest.iter().enumerate().take_while(|&(i, &p)| p == first + i).count();
        parts.push(if run == 1 { first.to_string() } else { format!("{first}-{}", first + run - 1) });
        rest = &rest[run..];
    }
    parts.join(",")
}

/// The list that [`positions_to`] wrote.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn positions_from(text: &str) -> Result<Vec<usize>, String> {
    let mut positions = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number =
            |text: &str| text.trim().parse::<usize>().map_err(|_| format!("`{part}` is no position: write 0-3,7"));
        let (from, to) = (number(from)?, number(to)?);
        if to < from || to - from >= MOST_POSITIONS || positions.len() + (to - from) >= MOST_POSITIONS {
            return Err(format!("`{part}` is no range of positions"));
        }
        positions.extend(from..=to);
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_there_and_back() {
        for list in [vec![], vec![5], vec![0, 1, 2, 3, 7, 9, 10]] {
            assert_eq!(positions_from(&positions_to(&list)), Ok(list));
        }
        assert_eq!(positions_to(&[0, 1, 2, 7]), "0-2,7");
        assert!(
            positions_from("3-1").is_err() && positions_from("0-99999999999").is_err() && positions_from("x").is_err()
        );
    }

    #[test]
    fn element_types() {
        assert_eq!(Dtype::F16.read(&[0x00, 0x3c, 0x00, 0xc0]), [1.0, -2.0]);
        assert_eq!(Dtype::Bf16.read(&[0x80, 0x3f]), [1.0]);
        assert_eq!(Dtype::F64.read(&1.5f64.to_le_bytes()), [1.5]);
        assert_eq!(Dtype::I32.read(&(-7i32).to_le_bytes()), [-7.0]);
    }
}
