//! Requests in, tokens out: prefill, decode, sampling.
