//! A small file cut at every byte and with every bit flipped: never a panic, never more memory than promised.
//! One test alone in its binary, so that the allocations counted are its own.

mod common;

use common::{ARRAY, Raw, STRING, U8, small};
use peak_alloc::PeakAlloc;
use samebit_gguf::{Gguf, MEMORY_FACTOR, report};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Handle, labels, an error's text: what reading takes however small the file.
const FIXED: usize = 4096;

/// Reads, and visits all there is to visit; returns whether it was read, and the heap that reading took.
fn read(bytes: Vec<u8>) -> (bool, usize) {
    let len = bytes.len();
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let result = Gguf::from_bytes(bytes);
    let taken = HEAP.peak_usage() - before;
    assert!(taken <= MEMORY_FACTOR * len + FIXED, "{taken} bytes of heap for a file of {len}: {result:?}");
    if let Ok(gguf) = &result {
        for t in gguf.tensors() {
            assert_eq!(gguf.data(t).len() as u64, t.byte_len());
        }
        assert_eq!(report::metadata_rows(gguf.metadata(), 60).len(), gguf.metadata().len());
        assert_eq!(report::tensor_rows(gguf).len(), gguf.tensors().len());
        let histogram = report::type_histogram(gguf);
        assert_eq!(histogram.iter().map(|row| row.bytes).sum::<u64>(), report::totals(gguf).tensor_bytes);
    }
    (result.is_ok(), taken)
}

#[test]
fn damage_is_refused_within_bounds() {
    let whole = small();
    assert!(read(whole.clone()).0);
    for len in 0..whole.len() {
        assert!(!read(whole[..len].to_vec()).0, "{len} of {} bytes were taken for whole", whole.len());
    }

    let data = Gguf::from_bytes(whole.clone()).map(|g| g.shards()[0].data_start()).unwrap_or_default() as usize;
    let mut refused = 0;
    for bit in 0..data * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused += usize::from(!read(flipped).0);
    }
    assert!(refused > data * 8 / 4, "only {refused} of {} flips were noticed", data * 8);

    // Bytes that say the most at once: every pair and word of the header all ones.
    for at in 0..data - 8 {
        for width in [2, 4, 8] {
            let mut loud = whole.clone();
            loud[at..at + width].fill(0xff);
            read(loud);
        }
    }
    costly_files();
}

/// The files that take the most memory for their size come near the bound, and not beyond it.
fn costly_files() {
    const COUNT: u64 = 100_000;
    let many = |raw: Raw, each: &dyn Fn(Raw, u64) -> Raw| (0..COUNT).fold(raw, each).0;
    let name = |i: u64| format!("{i:x}");
    let keys = many(Raw::new(0, COUNT), &|raw, i| raw.key(&name(i), U8).bytes(&[0]));
    let arrays = many(Raw::new(0, COUNT), &|raw, i| raw.key(&name(i), ARRAY).u32(U8).u64(1).bytes(&[0]));
    let nested = many(Raw::new(0, 1).key("k", ARRAY).u32(ARRAY).u64(COUNT), &|raw, _| raw.u32(U8).u64(0));
    let strings = many(Raw::new(0, 1).key("k", ARRAY).u32(STRING).u64(COUNT), &|raw, _| raw.string(""));
    let tensors = many(Raw::new(COUNT, 0), &|raw, i| raw.tensor(&name(i), &[0], 0, 0));
    for (what, bytes) in
        [("keys", keys), ("arrays", arrays), ("nested", nested), ("strings", strings), ("tensors", tensors)]
    {
        let len = bytes.len();
        let (ok, taken) = read(bytes);
        assert!(ok, "{what} were refused");
        println!("{what}: {:.1} bytes of heap per byte of file", taken as f64 / len as f64);
    }
}
