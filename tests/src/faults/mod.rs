//! A small shop whose functions can be killed at any point: the real handlers, the real store and
//! the embedded queue, driven by the events that AWS would hand them (docs/adr/0051).
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot have its part must stop with a sentence, not go on"
)]

pub mod company;
pub mod cutter;
pub mod messages;
pub mod shop;
pub mod state;
pub mod story;
pub mod world;
