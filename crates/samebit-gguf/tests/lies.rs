//! Every lie that a file can tell is refused, with a line that names the place and the remedy.

mod common;

use common::{ARRAY, BOOL, F32, Raw, STRING, U8, U32, U64};
use samebit_gguf::Gguf;

const REDO: &str = "; the file is damaged or was made wrongly: download it or convert the model again";

/// What reading says, without the file's name.
fn said(raw: Raw) -> String {
    match Gguf::from_bytes(raw.0) {
        Ok(gguf) => format!("{gguf:?} was read"),
        Err(e) => {
            let line = e.to_string();
            assert!(!line.contains('\n'), "more than one line: {line:?}");
            line.strip_prefix("(in memory): ").map(str::to_owned).unwrap_or(line)
        }
    }
}

fn one_tensor(name: &str, shape: &[u64], type_id: u32, offset: u64, data: usize) -> Raw {
    Raw::new(1, 0).tensor(name, shape, type_id, offset).pad(32).zeros(data)
}

#[test]
fn files_that_are_something_else() {
    let hint = |bytes: &[u8]| said(Raw(bytes.to_vec()));
    assert_eq!(hint(b""), "not a GGUF file: it is empty; download it again");
    assert_eq!(hint(b"GG"), "not a GGUF file: it ends within its first bytes; download it again");
    assert_eq!(
        hint(b"version https://git-lfs.github.com/spec/v1\n"),
        "not a GGUF file: it is a Git LFS pointer; run git lfs pull"
    );
    assert_eq!(hint(b"<!doctype html>"), "not a GGUF file: it is a web page; check the address it was downloaded from");
    assert_eq!(hint(b"tjgg\x03\0\0\0"), "not a GGUF file: it is of GGML's older formats; convert the model again");
    assert_eq!(
        hint(b"PK\x03\x04...."),
        "not a GGUF file: it is a zip archive or a PyTorch checkpoint; convert it to GGUF"
    );
    assert_eq!(hint(b"\x50\x20\0\0\0\0\0\0{\"x\""), "not a GGUF file: it is a safetensors file; convert it to GGUF");
    assert_eq!(hint(b"\x7fELF"), "not a GGUF file: it does not begin with GGUF; check the path");
}

#[test]
fn versions_and_byte_order() {
    assert_eq!(
        said(Raw::version(1, 0, 0)),
        "GGUF version 1 is not known (versions 2 and 3 are read); convert the model again with current tools"
    );
    assert_eq!(
        said(Raw::version(4, 0, 0)),
        "GGUF version 4 is not known (versions 2 and 3 are read); update samebit, or download the file again"
    );
    assert_eq!(
        said(Raw::version(3u32.swap_bytes(), 0, 0)),
        "a big-endian GGUF file, and only little-endian ones are read; convert the model again without --bigendian"
    );
}

#[test]
fn counts_beyond_the_file() {
    let again = "; download it again";
    assert_eq!(
        said(Raw::new(0, 1 << 60)),
        format!(
            "file is truncated: the metadata (key count {}) needs bytes 24..{} but the file ends at 24{again}",
            1u64 << 60,
            24 + (13u64 << 60)
        )
    );
    assert_eq!(
        said(Raw::new(u64::MAX, 0)),
        format!(
            "file is truncated: the list of tensors (count {}) needs bytes 24..{} but the file ends at 24{again}",
            u64::MAX,
            u64::MAX
        )
    );
    assert_eq!(
        said(Raw::new(0, 1).u64(1 << 40).zeros(20)),
        format!("file is truncated: key number 0 needs bytes 32..{} but the file ends at 52{again}", 32 + (1u64 << 40))
    );
    assert_eq!(
        said(Raw::new(0, 1).key("k", STRING).u64(1 << 60)),
        format!("file is truncated: key k needs bytes 45..{} but the file ends at 45{again}", 45 + (1u64 << 60))
    );
    for (id, size) in [(U8, 1u64), (U32, 4), (F32, 4), (BOOL, 1), (STRING, 8), (ARRAY, 12), (U64, 8)] {
        assert_eq!(
            said(Raw::new(0, 1).key("k", ARRAY).u32(id).u64(1 << 56)),
            format!("file is truncated: key k needs bytes 49..{} but the file ends at 49{again}", 49 + (size << 56))
        );
    }
    assert_eq!(
        said(Raw::new(1, 0).u64(4).bytes(b"embd").u32(1).zeros(8)),
        format!("file is truncated: the entry of tensor embd needs bytes 48..52 but the file ends at 48{again}")
    );
    assert_eq!(
        said(Raw(b"GGUF\x03\0\0\0".to_vec())),
        format!("file is truncated: the header needs bytes 8..16 but the file ends at 8{again}")
    );
}

#[test]
fn keys_and_values() {
    let two = Raw::new(0, 2).key("a", U8).bytes(&[1]).key("a", U8).bytes(&[2]);
    assert_eq!(said(two), format!("two keys are named a{REDO}"));
    assert_eq!(said(Raw::new(0, 1).key("", U8).bytes(&[1])), format!("key number 0 has an empty name{REDO}"));
    assert_eq!(
        said(Raw::new(0, 1).string([b'a', 0xff]).u32(U8).bytes(&[1])),
        format!("the name of key number 0 is not UTF-8 (at byte 32){REDO}")
    );
    assert_eq!(
        said(Raw::new(0, 1).key(&"k".repeat(70_000), U8).bytes(&[1])),
        format!("key number 0 has a name of 70000 bytes, more than 65535{REDO}")
    );
    assert_eq!(
        said(Raw::new(0, 1).key("k", 13).zeros(8)),
        format!("key k has value type 13, which GGUF does not define (at byte 33){REDO}")
    );
    assert_eq!(
        said(Raw::new(0, 1).key("k", ARRAY).u32(77).u64(0)),
        format!("key k has value type 77, which GGUF does not define (at byte 37){REDO}")
    );
    assert_eq!(
        said(Raw::new(0, 1).key("k", BOOL).bytes(&[2])),
        format!("key k holds 2 as a bool, where only 0 and 1 are allowed (at byte 37){REDO}")
    );
    assert_eq!(
        said(Raw::new(0, 1).key("k", ARRAY).u32(BOOL).u64(3).bytes(&[0, 1, 9])),
        format!("key k holds 9 as a bool, where only 0 and 1 are allowed (at byte 51){REDO}")
    );
    assert_eq!(
        said(Raw::new(0, 1).key("a\nb", 99).zeros(8)),
        format!("key a\\nb has value type 99, which GGUF does not define (at byte 35){REDO}")
    );
}

#[test]
fn nesting_has_a_floor() {
    let nested = |levels: usize| {
        let mut raw = Raw::new(0, 1).key("k", ARRAY);
        for _ in 1..levels {
            raw = raw.u32(ARRAY).u64(1);
        }
        raw.u32(U8).u64(1).bytes(&[5])
    };
    assert!(said(nested(4)).contains("was read"));
    let refused = format!("key k nests arrays deeper than 4 levels{REDO}");
    assert_eq!(said(nested(5)), refused);
    assert_eq!(said(nested(100_000)), refused);
}

#[test]
fn alignments() {
    let aligned = |id: u32, value: &[u8]| said(Raw::new(0, 1).key("general.alignment", id).bytes(value));
    let refused = |found: &str| {
        format!("key general.alignment is {found}, where a power of two from 8 to 1048576 is expected{REDO}")
    };
    for bad in [0u32, 1, 4, 12, 24, 1 << 21, u32::MAX] {
        assert_eq!(aligned(U32, &bad.to_le_bytes()), refused(&bad.to_string()));
    }
    assert_eq!(aligned(F32, &[0; 4]), refused("f32"));
    for good in [8u32, 32, 1 << 20] {
        assert!(aligned(U32, &good.to_le_bytes()).contains("was read"));
    }
    assert_eq!(
        said(one_tensor("t", &[4], 0, 16, 64)),
        format!("tensor t is at offset 16 of the data, which is not a multiple of the alignment 32{REDO}")
    );
}

#[test]
fn shapes_and_types() {
    let max = u64::MAX;
    assert_eq!(
        said(one_tensor("t", &[1, 1, 1, 1, 1], 0, 0, 32)),
        format!("tensor t has 5 dimensions, more than 4{REDO}")
    );
    for shape in [&[1 << 32, 1 << 32][..], &[max], &[max, max, max, max], &[max, max, 0]] {
        assert_eq!(
            said(one_tensor("t", shape, 0, 0, 32)),
            format!("tensor t has shape {shape:?}, whose size overflows 64 bits{REDO}")
        );
    }
    assert_eq!(
        said(one_tensor("t", &[48, 2], 12, 0, 32)),
        format!("tensor t has rows of 48 elements, which is not whole blocks of Q4_K (256 elements){REDO}")
    );
    assert_eq!(
        said(one_tensor("t", &[], 2, 0, 32)),
        format!("tensor t has rows of 1 elements, which is not whole blocks of Q4_0 (32 elements){REDO}")
    );
    assert_eq!(
        said(one_tensor("t", &[4], 31, 0, 32)),
        "tensor t has type 31 (Q4_0_4_4), which GGUF has removed; quantise the model again with current tools"
    );
    assert_eq!(
        said(one_tensor("t", &[4], 4711, 0, 32)),
        "tensor t has unknown type 4711; update samebit, or download the file again"
    );
    assert_eq!(said(one_tensor("", &[4], 0, 0, 32)), format!("tensor number 0 has an empty name{REDO}"));
    assert_eq!(
        said(one_tensor(&"n".repeat(65), &[4], 0, 0, 32)),
        format!("tensor number 0 has a name of 65 bytes, more than 64{REDO}")
    );
}

#[test]
fn tensor_data_outside_or_shared() {
    let name = "blk.3.ffn_up.weight";
    assert_eq!(
        said(one_tensor(name, &[250], 0, 0, 600)),
        format!("file is truncated: tensor {name} needs bytes 96..1096 but the file ends at 696; download it again")
    );
    assert_eq!(
        said(one_tensor(name, &[4], 0, u64::MAX - 31, 32)),
        format!(
            "file is truncated: tensor {name} needs bytes {0}..{0} but the file ends at 128; download it again",
            u64::MAX
        )
    );
    let two = |second: u64| Raw::new(2, 0).tensor("b", &[16], 0, second).tensor("a", &[16], 0, 0).pad(32).zeros(128);
    assert_eq!(said(two(32)), format!("tensors a and b overlap at byte 128{REDO}"));
    assert_eq!(said(two(0)), format!("tensors b and a overlap at byte 96{REDO}"));
    assert!(said(two(64)).contains("was read"));
    let twice = Raw::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).pad(32).zeros(64);
    assert_eq!(said(twice), format!("two tensors are named a{REDO}"));
}
