//! Reading what is right: both versions, every kind of value, scalars and empty tensors, paths that are no files.

mod common;

use std::error::Error;

use common::{Raw, STRING, U32, small};
use samebit_gguf::{Array, Gguf, TensorType, Value};

type Test = Result<(), Box<dyn Error>>;

#[test]
fn a_small_file() -> Test {
    let bytes = small();
    let gguf = Gguf::from_bytes(bytes.clone())?;
    let meta = gguf.metadata();
    assert_eq!((gguf.version(), gguf.alignment(), meta.len()), (3, 32, 7));
    assert_eq!(meta.str("general.architecture")?, Some("llama"));
    assert_eq!(meta.f32("llama.rope.freq_base")?, Some(1e4));
    assert_eq!(meta.bool("tokenizer.ggml.add_bos_token")?, Some(true));
    let tokens = meta.array_str("tokenizer.ggml.tokens")?.ok_or("no tokens")?;
    assert_eq!(tokens.iter().collect::<Vec<_>>(), [&b"a"[..], &[0xff, 0xfe], b""]);
    let nested = Array::Array(vec![Array::U8(vec![7]), Array::U32(vec![])]);
    assert_eq!(meta.get("nested"), Some(&Value::Array(nested)));

    let proj = gguf.tensor("proj").ok_or("no proj")?;
    assert_eq!((proj.ty, proj.shape.as_slice(), proj.byte_len()), (TensorType::Q4_0, &[32, 2][..], 36));
    assert_eq!((proj.elements(), proj.row_len(), proj.rows()), (64, 32, 2));
    assert_eq!(proj.file_offset() % 32, 0);
    assert_eq!(proj.file_offset() + 36, bytes.len() as u64);
    assert_eq!(gguf.data(proj), &bytes[bytes.len() - 36..]);
    assert_eq!(gguf.tensors().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["embd", "norm", "proj"]);
    assert!(gguf.tensor("absent").is_none());
    assert_eq!(gguf.shards()[0].bytes(), bytes);
    Ok(())
}

#[test]
fn version_2_has_the_same_layout() -> Test {
    let mut bytes = small();
    bytes[4] = 2;
    let (v2, v3) = (Gguf::from_bytes(bytes)?, Gguf::from_bytes(small())?);
    assert_eq!(v2.version(), 2);
    assert_eq!(v2.metadata(), v3.metadata());
    assert_eq!(v2.tensors(), v3.tensors());

    let by_hand = Raw::version(2, 1, 1).key("a", STRING).string("b").tensor("t", &[2], 0, 0).pad(32);
    let gguf = Gguf::from_bytes(by_hand.bytes(&[1, 2, 3, 4, 5, 6, 7, 8]).0)?;
    assert_eq!(gguf.metadata().str("a")?, Some("b"));
    assert_eq!(gguf.data(&gguf.tensors()[0]), [1, 2, 3, 4, 5, 6, 7, 8]);
    Ok(())
}

#[test]
fn scalars_and_empty_tensors() -> Test {
    let raw = Raw::new(3, 0).tensor("scalar", &[], 0, 0).tensor("none", &[0, 5], 0, 32).tensor("far", &[0], 0, 1 << 40);
    let gguf = Gguf::from_bytes(raw.pad(32).bytes(&[1, 2, 3, 4]).0)?;
    let [scalar, none, far] = gguf.tensors() else {
        return Err("not three tensors".into());
    };
    assert_eq!((scalar.elements(), gguf.data(scalar)), (1, &[1, 2, 3, 4][..]));
    assert_eq!((none.elements(), gguf.data(none)), (0, &[][..]));
    assert_eq!(gguf.data(far), &[][..]);
    Ok(())
}

#[test]
fn a_file_of_metadata_alone_needs_no_padding() -> Test {
    let gguf = Gguf::from_bytes(Raw::new(0, 1).key("a", U32).u32(5).0)?;
    assert_eq!(gguf.metadata().u32("a")?, Some(5));
    assert_eq!(gguf.tensors().len(), 0);
    Ok(())
}

#[test]
fn a_mapped_file_equals_one_in_memory() -> Test {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("small.gguf");
    std::fs::write(&path, small())?;
    let (mapped, held) = (Gguf::open(&path)?, Gguf::from_bytes(small())?);
    assert_eq!(mapped.tensors(), held.tensors());
    assert_eq!(mapped.metadata(), held.metadata());
    for t in mapped.tensors() {
        assert_eq!(mapped.data(t), held.data(t));
        assert_eq!(mapped.data(t).as_ptr() as usize % 32, 0, "mapped data is aligned");
    }
    assert_eq!(mapped.file_bytes(), small().len() as u64);
    Ok(())
}

#[test]
fn paths_that_are_no_files() -> Test {
    let dir = tempfile::tempdir()?;
    let said = |path: &std::path::Path| Gguf::open(path).err().map(|e| e.to_string()).unwrap_or_default();
    let shown = dir.path().display();
    assert_eq!(said(dir.path()), format!("{shown}: not a regular file; give the path of a .gguf file"));
    let absent = said(&dir.path().join("absent.gguf"));
    assert!(absent.starts_with(&format!("{shown}/absent.gguf: cannot open: ")), "{absent}");
    assert!(absent.ends_with("; check the path and its permissions"), "{absent}");
    let empty = dir.path().join("empty.gguf");
    std::fs::write(&empty, b"")?;
    assert_eq!(said(&empty), format!("{shown}/empty.gguf: not a GGUF file: it is empty; download it again"));
    Ok(())
}
