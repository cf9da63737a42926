//! Whether a wasm module really computes with vectors, looked up in its code.
//!
//! A feature that was asked for is not yet one that was used: a module built without simd128 passes every other check.

use anyhow::{Context, Result, bail};

use super::build::Programs;

/// Vector arithmetic: the byte after the prefix 0xfd in `i32x4.add`, `i32x4.dot_i16x8_s`, `f32x4.add`, `f32x4.mul`; 1 follows.
const ARITHMETIC: [u8; 4] = [0xae, 0xba, 0xe4, 0xe6];
/// As many are no accident: three bytes of some immediate look like one about once in four megabytes.
const ENOUGH: usize = 64;
/// The id of a module's code section.
const CODE: u8 = 10;

/// Fails unless every program has vector arithmetic.
pub(super) fn check(programs: &Programs) -> Result<()> {
    for (name, path) in programs.iter() {
        let module = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let count = vector_operations(&module).with_context(|| format!("{} is no wasm module", path.display()))?;
        eprintln!("targets: {name}.wasm has {count} vector operations");
        if count < ENOUGH {
            bail!(
                "{} was built without simd128: {count} vector operations where {ENOUGH} are the least",
                path.display()
            );
        }
    }
    Ok(())
}

/// How many vector operations the code section seems to have; none if this is no module.
fn vector_operations(module: &[u8]) -> Option<usize> {
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0")?;
    let mut count = 0;
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = unsigned(after)?;
        let (body, after) = after.split_at_checked(size)?;
        if id == CODE {
            count += body.windows(3).filter(|w| w[0] == 0xfd && ARITHMETIC.contains(&w[1]) && w[2] == 1).count();
        }
        rest = after;
    }
    Some(count)
}

/// A LEB128 number of at most 32 bits, and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_counted_in_code_alone() {
        let mul = [0xfd, 0xe6, 0x01];
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        assert_eq!(vector_operations(&module), Some(0));
        module.extend([&[11, 3][..], &mul, &[CODE, 0x87, 0], &[0x20], &mul, &mul].concat());
        assert_eq!(vector_operations(&module), Some(2));
        module.extend([CODE, 9, 0]);
        assert_eq!(vector_operations(&module), None, "a section longer than the module");
        assert_eq!(vector_operations(b"\x7fELF"), None);
    }
}
