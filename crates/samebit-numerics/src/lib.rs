//! The numerics of samebit, executable: the slow and obvious reference for every operation.
