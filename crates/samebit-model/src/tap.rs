//! Where tracing listens: each named tensor of a forward pass, as it is made.
//!
//! Names follow llama.cpp's: `embd`, `attn_norm-0`, `Qcur-0`, `l_out-0`, `result_output`, … A tap may also put other values
//! in a tensor's place, and the pass goes on with those: that is how one operation is judged from another engine's inputs.

/// Hears tensors. `R` is the precision of the pass.
pub trait Tap<R> {
    /// A tensor of `values.len() / cols` rows; rows are tokens of the batch in order. What it leaves in `values` is what
    /// the pass goes on with.
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &mut [R]);

    /// Whether to make a layer's tensors that no result needs: `kq` and `kq_soft_max`, `heads × keys` for each row, zero
    /// where a key is hidden from it. What is left in them goes nowhere.
    fn wants(&self, _name: &str, _layer: usize) -> bool {
        false
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTap;

impl<R> Tap<R> for NoTap {
    fn tensor(&mut self, _: &str, _: Option<usize>, _: usize, _: &mut [R]) {}
}
