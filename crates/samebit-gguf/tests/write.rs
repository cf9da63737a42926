//! Writing: the same bytes each time, whole files or none, and nothing that could not be read.

mod common;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use samebit_gguf::{Array, Gguf, GgufWriter, Strings, TensorType, Value};

type Test = Result<(), Box<dyn Error>>;

fn said(writer: &mut GgufWriter<'_>) -> String {
    match writer.write_to(&mut Vec::new()) {
        Ok(bytes) => format!("{bytes} bytes were written"),
        Err(e) => e.to_string().replace("(stream): ", ""),
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[test]
fn the_bytes_are_those_of_the_format() -> Test {
    let tokens: Strings = [&b"a"[..], &[0xff, 0xfe], b""].into_iter().collect();
    let nested = Array::Array(vec![Array::U8(vec![7]), Array::U32(vec![])]);
    let zeros = [0u8; 36];
    let mut writer = GgufWriter::new()
        .meta("general.architecture", "llama")
        .meta("general.alignment", 32u32)
        .meta("llama.rope.freq_base", 1e4f32)
        .meta("tokenizer.ggml.add_bos_token", true)
        .meta("tokenizer.ggml.tokens", tokens)
        .meta("scores", vec![0f32; 2])
        .meta("nested", nested)
        .tensor("embd", &[4, 2], TensorType::F32, &zeros[..32])
        .tensor("norm", &[4], TensorType::F32, &zeros[..16])
        .tensor_with("proj", &[32, 2], TensorType::Q4_0, |out| out.write_all(&[0; 36]));
    let mut expected = common::small();
    expected.resize(expected.len().next_multiple_of(32), 0); // the last tensor is padded too
    for _ in 0..2 {
        let mut bytes = Vec::new();
        assert_eq!(writer.write_to(&mut bytes)?, expected.len() as u64);
        assert_eq!(bytes, expected);
    }
    Ok(())
}

#[test]
fn alignment_is_followed() -> Test {
    let mut bytes = Vec::new();
    GgufWriter::new()
        .meta("general.alignment", 4096u32)
        .tensor("a", &[1], TensorType::I8, &[1])
        .tensor("b", &[1], TensorType::I8, &[2])
        .write_to(&mut bytes)?;
    let gguf = Gguf::from_bytes(bytes)?;
    assert_eq!(gguf.tensors().iter().map(|t| t.file_offset()).collect::<Vec<_>>(), [4096, 8192]);
    assert_eq!(gguf.data(&gguf.tensors()[1]), [2]);
    Ok(())
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let correct = "; correct what is to be written";
    let new = GgufWriter::new;
    let f32s = TensorType::F32;
    let two = |second| new().tensor("a", &[1], f32s, &[0; 4]).tensor(second, &[1], f32s, &[0; 4]);
    assert_eq!(said(&mut new().meta("k", 1u8).meta("k", 2u8)), format!("two keys are named k{correct}"));
    assert_eq!(said(&mut new().meta("", 1u8)), format!("key number 0 has an empty name{correct}"));
    assert_eq!(said(&mut two("a")), format!("two tensors are named a{correct}"));
    assert_eq!(said(&mut two("")), format!("tensor number 1 has an empty name{correct}"));
    assert_eq!(
        said(&mut two(&"x".repeat(65))),
        format!("tensor number 1 has a name of 65 bytes, more than 64{correct}")
    );
    assert_eq!(
        said(&mut new().tensor("t", &[1; 5], f32s, &[0; 4])),
        format!("tensor t has 5 dimensions, more than 4{correct}")
    );
    assert_eq!(
        said(&mut new().tensor("t", &[1 << 40, 1 << 40], f32s, &[])),
        format!("tensor t has shape [1099511627776, 1099511627776], whose size overflows 64 bits{correct}")
    );
    let huge = |name: &str| {
        new().tensor_with(name, &[1 << 61], f32s, |_| Ok(())).tensor_with("u", &[1 << 61], f32s, |_| Ok(()))
    };
    assert_eq!(
        said(&mut huge("t")),
        format!("tensor u has shape [2305843009213693952], whose size overflows 64 bits{correct}")
    );
    assert_eq!(
        said(&mut new().meta("general.alignment", 24u32)),
        format!("key general.alignment is 24, where a power of two from 8 to 1048576 is expected{correct}")
    );
    assert_eq!(
        said(&mut new().meta("general.alignment", 32u64)),
        format!("key general.alignment is u64 where a u32 is expected{correct}")
    );
    let deep = (0..5).fold(Array::U8(vec![1]), |inner, _| Array::Array(vec![inner]));
    assert_eq!(
        said(&mut new().meta("k", Value::Array(deep))),
        format!("key k nests arrays deeper than 4 levels{correct}")
    );
}

#[test]
fn data_of_the_wrong_length_is_not_written() {
    let exactly = "; give it exactly that many";
    let new = GgufWriter::new;
    let f32s = TensorType::F32;
    assert_eq!(
        said(&mut new().tensor("t", &[2], f32s, &[0; 9])),
        format!("tensor t was given 9 bytes where its shape and type take 8{exactly}")
    );
    assert_eq!(
        said(&mut new().tensor_with("t", &[2], f32s, |out| out.write_all(&[0; 7]))),
        format!("tensor t was given 7 bytes where its shape and type take 8{exactly}")
    );
    assert_eq!(
        said(
            &mut new()
                .tensor_with("t", &[2], f32s, |out| { out.write_all(&[0; 4]).and_then(|()| out.write_all(&[0; 5])) })
        ),
        format!("tensor t was given more than 8 bytes where its shape and type take 8{exactly}")
    );
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() -> Test {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("m.gguf");
    GgufWriter::new().meta("old", true).write(&path)?;
    let old = std::fs::read(&path)?;

    type End = fn(&mut dyn Write) -> io::Result<()>;
    let ends: [(&str, End); 3] = [
        ("no space left on the disk (96 bytes are needed); free some or write elsewhere", |_| {
            Err(io::ErrorKind::StorageFull.into())
        }),
        ("cannot write: no more pencils; check that the directory exists and may be written to", |_| {
            Err(io::Error::other("no more pencils"))
        }),
        ("tensor t was given 4 bytes where its shape and type take 8; give it exactly that many", |out| {
            out.write_all(&[0; 4])
        }),
    ];
    for (expected, stream) in ends {
        let failed = GgufWriter::new().tensor_with("t", &[2], TensorType::F32, stream).write(&path);
        let said = failed.err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(said, format!("{}: {expected}", path.display()));
        assert_eq!(names(dir.path())?, ["m.gguf"]);
        assert_eq!(std::fs::read(&path)?, old);
    }
    GgufWriter::new().meta("new", true).write(&path)?;
    assert_eq!(Gguf::open(&path)?.metadata().bool("new")?, Some(true));
    assert_eq!(names(dir.path())?, ["m.gguf"]);
    Ok(())
}

#[test]
fn an_open_model_survives_its_replacement() -> Test {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("m.gguf");
    GgufWriter::new().tensor("t", &[4], TensorType::I8, &[1, 2, 3, 4]).write(&path)?;
    let open = Gguf::open(&path)?;
    GgufWriter::new().write(&path)?;
    assert_eq!(open.data(&open.tensors()[0]), [1, 2, 3, 4]);
    assert_eq!(Gguf::open(&path)?.tensors().len(), 0);
    Ok(())
}

#[test]
fn places_that_cannot_be_written() -> Test {
    let dir = tempfile::tempdir()?;
    let said = |path: &Path| GgufWriter::new().write(path).err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(
        said(dir.path()),
        format!("{}: not a regular file; give the path of a .gguf file", dir.path().display())
    );
    let nowhere = said(&dir.path().join("absent/m.gguf"));
    assert!(nowhere.contains("/absent/m.gguf: cannot write: "), "{nowhere}");
    assert!(nowhere.ends_with("; check that the directory exists and may be written to"), "{nowhere}");
    Ok(())
}

/// Linux has a device that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so() -> Test {
    let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let failed = GgufWriter::new().tensor("t", &[2], TensorType::F32, &[0; 8]).write_to(&mut full);
    assert_eq!(
        failed.err().map(|e| e.to_string()).unwrap_or_default(),
        "(stream): no space left on the disk (96 bytes are needed); free some or write elsewhere"
    );
    Ok(())
}

#[test]
fn large_tensors_need_no_memory_of_their_size() -> Test {
    /// Counts and forgets.
    struct Sink(u64);
    impl Write for Sink {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 += buf.len() as u64;
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    const ROWS: u64 = 1 << 20;
    let row = [0u8; 4096];
    let mut largest = 0;
    let mut sink = Sink(0);
    GgufWriter::new()
        .tensor_with("t", &[1024, ROWS], TensorType::F32, |out| {
            for _ in 0..ROWS {
                largest = largest.max(row.len());
                out.write_all(&row)?;
            }
            Ok(())
        })
        .write_to(&mut sink)?;
    assert_eq!((sink.0, largest), (96 + (ROWS << 12), 4096));
    Ok(())
}
