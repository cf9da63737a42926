//! A model's matrices packed for the fast kernels: one stretch of memory, filled once by all threads.
//!
//! Knows where each matrix lies; nothing of what a packed matrix looks like inside. The file's own pages are given back to
//! the system as they have been read, so that no more than one copy of the weights is held.

use memmap2::MmapMut;
use samebit_gguf::Gguf;
use samebit_kernels::Pool;
use samebit_kernels::packed::{PackedMatrix, group_bytes, pack, packed_bytes};
use samebit_numerics::ops::matmul::Matrix;

use crate::weights::Weight;

/// Packed bytes of a unit of work, about: a small part of all, so that the file's pages on their way are few beside them, and
/// enough to be worth handing out.
fn unit_bytes(all: usize) -> usize {
    (all >> 11).clamp(1 << 15, 1 << 17)
}

/// Memory for weights: whole pages from the system where it has them, so that large ones can be had.
enum Memory {
    Pages(MmapMut),
    Heap(Vec<u8>),
}

impl Memory {
    fn new(len: usize) -> Self {
        match MmapMut::map_anon(len.max(1)) {
            Ok(pages) => {
                // Large pages save most of the faults; without them it is only slower.
                #[cfg(target_os = "linux")]
                let _ = pages.advise(memmap2::Advice::HugePage);
                Self::Pages(pages)
            }
            Err(_) => Self::Heap(vec![0; len]),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Pages(pages) => pages,
            Self::Heap(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Pages(pages) => pages,
            Self::Heap(bytes) => bytes,
        }
    }
}

/// All matrices that a forward pass multiplies by.
pub(crate) struct PackedWeights {
    memory: Memory,
}

impl std::fmt::Debug for PackedWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackedWeights").field("bytes", &self.memory.bytes().len()).finish()
    }
}

/// Units between which the file's pages are given back.
const WINDOW: usize = 16;

/// Some groups of a matrix on their way.
struct Unit<'a> {
    matrix: Matrix<'a>,
    first_group: usize,
    to: &'a mut [u8],
}

impl PackedWeights {
    /// Packs `weights`, the matrices of a model in the order of their places, `len` bytes in all. Tells `progress` how many
    /// bytes are done.
    pub(crate) fn new(
        gguf: &Gguf,
        weights: &[&Weight],
        len: usize,
        pool: &Pool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Self {
        // What an earlier pass read of the file goes first, so that there are never two copies.
        weights.iter().for_each(|weight| gguf.release(weight.info(), 0..usize::MAX));
        let mut memory = Memory::new(len);
        let mut rest = memory.bytes_mut();
        let mut done = 0;
        for weight in weights {
            let (own, others) = core::mem::take(&mut rest).split_at_mut(weight.packed_bytes());
            rest = others;
            done += own.len();
            let mut units = units(gguf, weight, unit_bytes(len), own);
            let part = weight.info().byte_len().div_ceil(units.len().max(1) as u64) as usize;
            for (index, units) in units.chunks_mut(WINDOW).enumerate() {
                pool.fill(units, 1, |_, units| {
                    units.iter_mut().for_each(|unit| pack(&unit.matrix, unit.first_group, unit.to));
                });
                gguf.release(weight.info(), index * WINDOW * part..(index * WINDOW + units.len()) * part);
            }
            progress(done, len);
        }
        Self { memory }
    }

    /// The matrix number `index` of a weight's stack.
    pub(crate) fn matrix(&self, weight: &Weight, index: usize) -> PackedMatrix<'_> {
        let (format, rows, cols) = (weight.format(), weight.rows(), weight.cols());
        let len = packed_bytes(format, rows, cols);
        let start = weight.packed_at() + index * len;
        PackedMatrix { format, rows, cols, bytes: &self.memory.bytes()[start..start + len] }
    }
}

/// A weight's groups, cut into units of work of about so many bytes.
fn units<'a>(gguf: &'a Gguf, weight: &Weight, bytes: usize, mut to: &'a mut [u8]) -> Vec<Unit<'a>> {
    let group = group_bytes(weight.format(), weight.cols()).max(1);
    let groups = weight.rows().div_ceil(16);
    let run = (bytes / group).max(1);
    let mut units = Vec::new();
    for index in 0..weight.stack() {
        for first_group in (0..groups).step_by(run) {
            let (own, rest) = to.split_at_mut(run.min(groups - first_group) * group);
            to = rest;
            units.push(Unit { matrix: weight.matrix(gguf, index), first_group, to: own });
        }
    }
    units
}
