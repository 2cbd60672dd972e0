//! npvr: live channels become a permanent archive.

pub mod capture;
pub mod channel;
pub mod channels;
pub mod check;
pub mod cli;
pub mod clock;
pub mod error;
pub mod grid;
pub mod ledger;
pub mod media;
pub mod plan;
pub mod secret;
pub mod sim;
pub mod source;
pub mod status;
pub mod store;
pub mod time;
pub mod timeline;
pub mod track;
pub mod verify;
