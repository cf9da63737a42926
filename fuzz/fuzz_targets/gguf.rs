//! Any bytes as a GGUF file: never a panic, every slice of the stated size, and what was read can be written
//! and read again to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use samebit_gguf::{Gguf, GgufWriter, Value, report};

fuzz_target!(|bytes: &[u8]| {
    match Gguf::from_bytes(bytes.to_vec()) {
        Ok(gguf) => {
            visit(&gguf);
            write_again(&gguf);
        }
        Err(e) => assert!(
            !e.to_string().contains('\n'),
            "an error of more than one line"
        ),
    }
});

/// Everything that a user of the crate may look at.
fn visit(gguf: &Gguf) {
    for t in gguf.tensors() {
        assert_eq!(gguf.data(t).len() as u64, t.byte_len());
        assert_eq!(gguf.tensor(&t.name), Some(t));
        assert!(
            t.rows()
                .checked_mul(t.row_len())
                .is_some_and(|n| n == t.elements())
        );
    }
    let metadata = gguf.metadata();
    for (key, _) in metadata.iter() {
        let lines = [
            metadata.u32(key).err(),
            metadata.f32(key).err(),
            metadata.bool(key).err(),
            metadata.str(key).err(),
            metadata.array_str(key).err(),
            metadata.array_i32(key).err(),
            metadata.array_u32(key).err(),
        ];
        assert!(
            lines
                .iter()
                .flatten()
                .all(|e| !e.to_string().contains('\n'))
        );
    }
    for row in report::metadata_rows(metadata, 80) {
        assert!(!row.value.contains(char::is_control) && !row.key.contains(char::is_control));
    }
    assert_eq!(report::tensor_rows(gguf).len(), gguf.tensors().len());
    let bytes: u64 = report::type_histogram(gguf)
        .iter()
        .map(|row| row.bytes)
        .sum();
    assert_eq!(bytes, report::totals(gguf).tensor_bytes);
}

/// Writing what was read, twice over, comes to rest after the first time.
fn write_again(gguf: &Gguf) {
    // A reader takes any integer as alignment, a writer writes only the u32 that the format asks for.
    if !matches!(
        gguf.metadata().get("general.alignment"),
        None | Some(Value::U32(_))
    ) {
        return;
    }
    // Alignment can make a file of small tensors much larger than it was.
    if gguf.tensors().len() as u64 * gguf.alignment() > 1 << 20 {
        return;
    }
    let first = written(gguf);
    let read = Gguf::from_bytes(first.clone()).expect("what was written can be read");
    assert_eq!(read.tensors().len(), gguf.tensors().len());
    for (a, b) in gguf.tensors().iter().zip(read.tensors()) {
        assert_eq!((&a.name, &a.shape, a.ty), (&b.name, &b.shape, b.ty));
        assert_eq!(gguf.data(a), read.data(b));
    }
    assert!(
        written(&read) == first,
        "the second writing differs from the first"
    );
}

fn written(gguf: &Gguf) -> Vec<u8> {
    let mut writer = GgufWriter::new().metadata(gguf.metadata());
    for t in gguf.tensors() {
        writer = writer.tensor(&t.name, &t.shape, t.ty, gguf.data(t));
    }
    let mut bytes = Vec::new();
    writer
        .write_to(&mut bytes)
        .expect("what was read can be written");
    bytes
}
