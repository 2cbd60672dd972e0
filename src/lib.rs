//! npvr
pub mod error;
pub mod grid;
pub mod time;
