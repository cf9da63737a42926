//! Where tracing listens: each named tensor of a forward pass, as it is made.
//!
//! Names follow llama.cpp's: `embd`, `attn_norm-0`, `Qcur-0`, `l_out-0`, `result_output`, …

/// Hears tensors. `R` is the precision of the pass.
pub trait Tap<R> {
    /// A tensor of `values.len() / cols` rows; rows are tokens of the batch in order.
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &[R]);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTap;

impl<R> Tap<R> for NoTap {
    fn tensor(&mut self, _: &str, _: Option<usize>, _: usize, _: &[R]) {}
}
