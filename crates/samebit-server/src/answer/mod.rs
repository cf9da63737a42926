//! From a plan to its answer: submitted to the engine, gathered into one body or sent as it comes. Knows no API's JSON.

mod gather;
mod id;
mod plan;
mod stream;

pub(crate) use gather::{Choice, Gathered, gather};
pub(crate) use id::{LastEvent, ResponseId};
pub(crate) use plan::{Plan, start};
pub(crate) use stream::{Encoder, Frames, stream};
