//! Plain data that the rooms pass to each other. No method here does anything; only `codec` is known.

pub mod close;
pub mod command;
pub mod portable;
pub mod survey;
