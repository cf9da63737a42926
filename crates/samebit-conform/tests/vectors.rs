//! The vectors of this machine are those of the repository, and wrong kernels change them.

use samebit_conform::{V1, Vector, all, differences, operations, parse};
use samebit_kernels::{Isa, Numerics, Table};

/// The names of the operations' vectors that `table` gets wrong.
fn wrong(table: &Table<f32>) -> Vec<String> {
    let mut expected = parse(V1).unwrap();
    expected.retain(|vector| !vector.is_model());
    differences(&expected, &operations(table)).into_iter().map(|difference| difference.name).collect()
}

#[test]
fn every_instruction_set_gives_the_vectors_of_the_repository() {
    for isa in Isa::supported() {
        let found = all(isa).unwrap();
        let names: Vec<_> = differences(&parse(V1).unwrap(), &found).into_iter().map(|d| d.name).collect();
        assert_eq!(names, [""; 0], "{isa}");
        assert!(found.iter().any(Vector::is_model));
    }
}

#[test]
fn a_sum_in_another_order_is_found() {
    let mut table = Table::single(Isa::native(), Numerics::V1);
    table.rms_norm = |x, weight, epsilon, out| {
        // From left to right, where 16 lanes and a tree are asked for.
        let sum: f32 = x.iter().map(|x| x * x).sum();
        let factor = 1.0 / (sum / x.len() as f32 + epsilon).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * factor * weight;
        }
    };
    assert_eq!(wrong(&table), ["norm/rms"]);
}

#[test]
fn a_product_that_is_not_fused_is_found() {
    let mut table = Table::single(Isa::native(), Numerics::V1);
    table.rotate = |head, _, cos, sin| {
        for (pair, (cos, sin)) in head.chunks_exact_mut(2).zip(cos.iter().zip(sin)) {
            let (a, b) = (pair[0], pair[1]);
            pair[0] = a * cos - b * sin;
            pair[1] = a * sin + b * cos;
        }
    };
    assert_eq!(wrong(&table), ["rope/rotate"]);
}

#[test]
fn eight_bit_activations_are_found() {
    let wrong = wrong(&Table::single(Isa::native(), Numerics::A8));
    for name in ["activations/16-bit", "matmul/Q4_0", "matmul/Q4_K", "matmul/MXFP4"] {
        assert!(wrong.iter().any(|wrong| wrong == name), "{name} is not in {wrong:?}");
    }
    assert!(!wrong.contains(&"norm/rms".to_owned()), "{wrong:?}");
}
