//! The bundle from outside, the architecture check and the fault simulation.

pub mod faults;
