//! Sockets, limits, keys and the form of errors. Knows no API: what a path means is `api/`'s.

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod gate;
pub(crate) mod keys;
mod listen;
pub(crate) mod rate;
mod signals;
mod stall;
pub(crate) mod work;

pub(crate) use error::ApiError;
pub(crate) use listen::start;
pub use listen::{Running, ServeError, Stopped};
