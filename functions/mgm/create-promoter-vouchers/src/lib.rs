//! Sweeps for completed trips that no message announced.
