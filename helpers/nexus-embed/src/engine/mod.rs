//! The forward pass of a BERT encoder on the CPU.

pub mod bert;
mod linear;
mod math;
