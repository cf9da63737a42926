//! Conversations with small models of random weights: what is computed, what is kept, and what a person sees.

mod commands;
mod conversation;
mod files;
mod others;
mod support;
