//! What the lake writes is what it reads, whatever the lines are and however files are split.
#![cfg(test)]

mod answers;
mod files;
mod shop;
