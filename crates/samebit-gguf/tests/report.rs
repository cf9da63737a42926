//! The rows of a report: shortened, escaped, sorted, and adding up.

mod common;

use common::{Raw, STRING, small};
use samebit_gguf::report::{MetadataRow, escaped, metadata_rows, tensor_rows, totals, type_histogram};
use samebit_gguf::{Gguf, GgufError, Metadata, Strings, TensorType, Value};

fn row(value: impl Into<Value>, most: usize) -> (String, String, bool) {
    let mut metadata = Metadata::new();
    metadata.insert("k", value);
    match metadata_rows(&metadata, most).pop() {
        Some(MetadataRow { ty, value, shortened, .. }) => (ty, value, shortened),
        None => Default::default(),
    }
}

#[test]
fn values_are_shortened_to_a_line() {
    let says = |ty: &str, value: &str, shortened| (ty.to_owned(), value.to_owned(), shortened);
    assert_eq!(row(-5i8, 60), says("i8", "-5", false));
    assert_eq!(row(1e6f32, 60), says("f32", "1000000.0", false));
    assert_eq!(row(true, 60), says("bool", "true", false));
    assert_eq!(row("abc", 3), says("string", "abc", false));
    assert_eq!(row("äöü!", 3), says("string", "äöü…", true));
    assert_eq!(row("a\n\u{1b}[0m", 60), says("string", "a\\n\\u{1b}[0m", false));
    assert_eq!(row(Value::String(vec![b'a', 0xff]), 60), says("string", "a\\xff", false));
    assert_eq!(row(vec![1u32, 2, 3], 60), says("[u32; 3]", "[1, 2, 3]", false));
    assert_eq!(row(vec![1u32, 2, 3, 4, 5, 6], 6), says("[u32; 6]", "[1, 2, …]", true));
    assert_eq!(row(Strings::from_iter(["a", "b"]), 60), says("[string; 2]", "[\"a\", \"b\"]", false));
    assert_eq!(row(Vec::<u8>::new(), 60), says("[u8; 0]", "[]", false));
    let long = row(vec![0u8; 1_000_000], 40);
    assert!(long.2 && long.1.len() < 100, "{}", long.1);
    let text = row("x".repeat(1_000_000), 40);
    assert_eq!(text.1.chars().count(), 41);
    assert_eq!(escaped("a\tb"), "a\\tb");
}

#[test]
fn tensors_and_types_add_up() -> Result<(), GgufError> {
    let gguf = Gguf::from_bytes(small())?;
    let rows = tensor_rows(&gguf);
    assert_eq!(rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["embd", "norm", "proj"]);
    assert_eq!((rows[2].elements, rows[2].bytes, rows[2].shard), (64, 36, 0));
    let types = type_histogram(&gguf);
    assert_eq!(
        types.iter().map(|r| (r.ty, r.tensors, r.elements, r.bytes, r.bits_per_weight)).collect::<Vec<_>>(),
        [(TensorType::F32, 2, 12, 48, 32.0), (TensorType::Q4_0, 1, 64, 36, 4.5)]
    );
    let all = totals(&gguf);
    assert_eq!((all.files, all.tensors, all.elements, all.tensor_bytes), (1, 3, 76, 84));
    assert_eq!(all.file_bytes, small().len() as u64);
    assert_eq!(all.bits_per_weight, 84.0 * 8.0 / 76.0);
    Ok(())
}

#[test]
fn a_model_without_tensors_has_no_bits() -> Result<(), GgufError> {
    let gguf = Gguf::from_bytes(Raw::new(0, 1).key("a", STRING).string("b").0)?;
    assert_eq!(totals(&gguf).bits_per_weight, 0.0);
    assert!(type_histogram(&gguf).is_empty());
    Ok(())
}
