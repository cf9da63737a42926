//! Small unsigned fields packed into bytes, in the one arrangement that all of the block formats
//! use.
//!
//! The fields of `BITS` bits (1, 2 or 4) come in groups of `GROUP` bytes. A group holds `8/BITS`
//! runs of `GROUP` elements each: run s lies in the bits `BITS·s ..` of the group's bytes, element
//! l of the run in byte l. So with P = 8/BITS,
//!
//! `element[g·GROUP·P + s·GROUP + l] = (byte[g·GROUP + l] >> (BITS·s)) & (2^BITS - 1)`.
//!
//! Knows no format.

/// Unpacks all of `packed` into `out`, which has `8/BITS` elements per byte. Values fit: at most
/// 15.
#[inline(always)]
pub(super) fn unpack<const BITS: usize, const GROUP: usize>(packed: &[u8], out: &mut [i8]) {
    each_run::<BITS, GROUP>(packed, out, |out, value| *out = value as i8);
}

/// Adds `2^shift` times each field of `packed` to elements whose bits from `shift` upward are zero.
/// The result stays below 128.
#[inline(always)]
pub(super) fn unpack_above<const BITS: usize, const GROUP: usize>(packed: &[u8], shift: u32, out: &mut [i8]) {
    each_run::<BITS, GROUP>(packed, out, |out, value| *out |= (value << shift) as i8);
}

#[inline(always)]
fn each_run<const BITS: usize, const GROUP: usize>(packed: &[u8], out: &mut [i8], set: impl Fn(&mut i8, u8)) {
    let (groups, _) = packed.as_chunks::<GROUP>();
    let (runs, _) = out.as_chunks_mut::<GROUP>();
    for (group, runs) in groups.iter().zip(runs.chunks_exact_mut(8 / BITS)) {
        for (s, run) in runs.iter_mut().enumerate() {
            for (out, byte) in run.iter_mut().zip(group) {
                set(out, (byte >> (BITS * s)) & ((1 << BITS) - 1));
            }
        }
    }
}

/// The inverse: the bits `shift .. shift + BITS` of each value, packed. Overwrites `packed`.
pub(super) fn pack<const BITS: usize, const GROUP: usize>(values: &[u8], shift: u32, packed: &mut [u8]) {
    let (groups, _) = packed.as_chunks_mut::<GROUP>();
    let (runs, _) = values.as_chunks::<GROUP>();
    for (group, runs) in groups.iter_mut().zip(runs.chunks_exact(8 / BITS)) {
        *group = [0; GROUP];
        for (s, run) in runs.iter().enumerate() {
            for (byte, value) in group.iter_mut().zip(run) {
                *byte |= ((value >> shift) & ((1 << BITS) - 1)) << (BITS * s);
            }
        }
    }
}
