//! Files made by hand, byte by byte, so that they may lie. Knows nothing of the crate under test.

#![allow(dead_code, reason = "each test binary uses its part")]

/// A file in the making.
#[derive(Clone, Default)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

pub(crate) const U8: u32 = 0;
pub(crate) const U32: u32 = 4;
pub(crate) const F32: u32 = 6;
pub(crate) const BOOL: u32 = 7;
pub(crate) const STRING: u32 = 8;
pub(crate) const ARRAY: u32 = 9;
pub(crate) const U64: u32 = 10;

impl Raw {
    /// Magic, version 3 and the two counts.
    pub(crate) fn new(tensors: u64, keys: u64) -> Raw {
        Raw::version(3, tensors, keys)
    }

    pub(crate) fn version(version: u32, tensors: u64, keys: u64) -> Raw {
        Raw(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Raw {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u32(self, v: u32) -> Raw {
        self.bytes(&v.to_le_bytes())
    }

    pub(crate) fn u64(self, v: u64) -> Raw {
        self.bytes(&v.to_le_bytes())
    }

    pub(crate) fn string(self, s: impl AsRef<[u8]>) -> Raw {
        self.u64(s.as_ref().len() as u64).bytes(s.as_ref())
    }

    /// A key and its value's type; the value is to follow.
    pub(crate) fn key(self, key: &str, type_id: u32) -> Raw {
        self.string(key).u32(type_id)
    }

    /// A tensor's entry.
    pub(crate) fn tensor(self, name: &str, shape: &[u64], type_id: u32, offset: u64) -> Raw {
        let named = self.string(name).u32(shape.len() as u32);
        shape.iter().fold(named, |raw, &dim| raw.u64(dim)).u32(type_id).u64(offset)
    }

    /// Zeros up to a multiple of `alignment`.
    pub(crate) fn pad(mut self, alignment: usize) -> Raw {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
        self
    }

    pub(crate) fn zeros(mut self, count: usize) -> Raw {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}

/// A small file with a value of every kind and three tensors, one of them quantised.
pub(crate) fn small() -> Vec<u8> {
    Raw::new(3, 7)
        .key("general.architecture", STRING)
        .string("llama")
        .key("general.alignment", U32)
        .u32(32)
        .key("llama.rope.freq_base", F32)
        .bytes(&1e4f32.to_le_bytes())
        .key("tokenizer.ggml.add_bos_token", BOOL)
        .bytes(&[1])
        .key("tokenizer.ggml.tokens", ARRAY)
        .u32(STRING)
        .u64(3)
        .string("a")
        .string([0xff, 0xfe])
        .string("")
        .key("scores", ARRAY)
        .u32(F32)
        .u64(2)
        .bytes(&[0; 8])
        .key("nested", ARRAY)
        .u32(ARRAY)
        .u64(2)
        .u32(U8)
        .u64(1)
        .bytes(&[7])
        .u32(U32)
        .u64(0)
        .tensor("embd", &[4, 2], 0, 0)
        .tensor("norm", &[4], 0, 32)
        .tensor("proj", &[32, 2], 2, 64)
        .pad(32)
        .zeros(32 + 32)
        .zeros(36)
        .0
}
