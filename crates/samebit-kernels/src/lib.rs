//! The operations of samebit-numerics, fast: a table of functions filled by what the CPU has.
