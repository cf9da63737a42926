//! Whatever is written is read back equal: random metadata, shapes, types and data.

use proptest::collection::vec;
use proptest::prelude::*;
use samebit_gguf::{Array, Gguf, GgufWriter, Metadata, Strings, TensorType, Value};

/// Strings of any bytes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

/// Arrays of every type, nested as deep as is allowed. NaNs are left out: they differ from themselves.
fn array() -> impl Strategy<Value = Array> {
    let flat = prop_oneof![
        vec(any::<u8>(), 0..9).prop_map(Array::U8),
        vec(any::<i8>(), 0..9).prop_map(Array::I8),
        vec(any::<u16>(), 0..9).prop_map(Array::U16),
        vec(any::<i16>(), 0..9).prop_map(Array::I16),
        vec(any::<u32>(), 0..9).prop_map(Array::U32),
        vec(any::<i32>(), 0..9).prop_map(Array::I32),
        vec(any::<u64>(), 0..9).prop_map(Array::U64),
        vec(any::<i64>(), 0..9).prop_map(Array::I64),
        vec(-1e30f32..1e30, 0..9).prop_map(Array::F32),
        vec(-1e300f64..1e300, 0..9).prop_map(Array::F64),
        vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        vec(bytes(), 0..9).prop_map(|all| Array::String(all.into_iter().collect::<Strings>())),
    ];
    flat.prop_recursive(3, 20, 4, |inner| vec(inner, 0..4).prop_map(Array::Array))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        (-1e30f32..1e30).prop_map(Value::F32),
        (-1e300f64..1e300).prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        bytes().prop_map(Value::String),
        array().prop_map(Value::Array),
    ]
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    ty: TensorType,
    data: Vec<u8>,
    streamed: bool,
}

/// A tensor of any type with rows of up to two blocks and up to four dimensions.
fn tensor() -> impl Strategy<Value = Tensor> {
    let ty = prop::sample::select(TensorType::ALL);
    (ty, 0u64..3, vec(0u64..4, 0..4), "[a-zé.]{1,30}", any::<u8>(), any::<bool>()).prop_map(
        |(ty, blocks, others, name, fill, streamed)| {
            let shape: Vec<u64> = std::iter::once(blocks * ty.block_len()).chain(others).collect();
            let blocks = shape.iter().product::<u64>() / ty.block_len();
            let data = (0..blocks * ty.block_bytes()).map(|i| fill.wrapping_add(i as u8)).collect();
            Tensor { name, shape, ty, data, streamed }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_then_read_is_equal(
        pairs in vec(("\\PC{1,12}", value()), 0..12),
        tensors in vec(tensor(), 0..8),
        alignment in prop::option::of(3u32..13),
    ) {
        let mut metadata = Metadata::new();
        if let Some(log2) = alignment {
            metadata.insert("general.alignment", 1u32 << log2);
        }
        for (key, value) in pairs {
            metadata.insert(key, value);
        }
        let mut unique = tensors;
        unique.sort_by(|a, b| a.name.cmp(&b.name));
        unique.dedup_by(|a, b| a.name == b.name);

        let mut writer = GgufWriter::new().metadata(&metadata);
        for t in &unique {
            writer = match t.streamed {
                false => writer.tensor(&t.name, &t.shape, t.ty, &t.data),
                true => writer.tensor_with(&t.name, &t.shape, t.ty, |out| {
                    t.data.chunks(7).try_for_each(|chunk| out.write_all(chunk))
                }),
            };
        }
        let mut file = Vec::new();
        prop_assert_eq!(writer.write_to(&mut file)?, file.len() as u64);
        let mut again = Vec::new();
        writer.write_to(&mut again)?;
        prop_assert_eq!(&again, &file);

        let gguf = Gguf::from_bytes(file)?;
        prop_assert_eq!(gguf.metadata(), &metadata);
        prop_assert_eq!(gguf.alignment(), alignment.map_or(32, |log2| 1 << log2));
        prop_assert_eq!(gguf.tensors().len(), unique.len());
        for (read, t) in gguf.tensors().iter().zip(&unique) {
            prop_assert_eq!((&read.name, &read.shape, read.ty), (&t.name, &t.shape, t.ty));
            prop_assert_eq!(gguf.data(read), &t.data[..]);
            prop_assert_eq!(gguf.tensor(&t.name), Some(read));
            prop_assert_eq!(read.file_offset() % gguf.alignment(), 0);
        }
    }
}
