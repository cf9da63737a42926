//! The operations of a transformer, as NUMERICS.md defines them, slow and obvious.
//!
//! Each knows rows of numbers and nothing of models, threads or caches. What is generic over [`Arith`](crate::arith::Arith)
//! is the same text for binary32 and, for study, binary64.

pub mod attention;
pub mod attention8;
pub mod elementwise;
pub mod matmul;
pub mod norm;
pub mod rope;
pub mod router;
pub mod softmax;
pub mod study;
