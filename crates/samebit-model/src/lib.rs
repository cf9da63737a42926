//! Architectures as data, one forward pass for all of them.
