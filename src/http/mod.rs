//! `serve-smil`: playlists, the API and pages, over HTTP.
//!
//! A request comes in as a plain value ([`Request`]), and an answer goes out as one ([`Answer`]); between them stands a table
//! of routes ([`Routes`]), and what all handlers share ([`App`]). None of that knows of sockets, so all of it is tested
//! without one: only `server` names the HTTP library, with its limits on sizes, connections and time. Who is let in is asked
//! before a handler is called (`guard`); what every answer has besides is put on after it (`armour`).
//!
//! Each file beside those is one thing that is served: its routes, and their handlers. A handler reads the ledger and asks
//! the lines below; it decides nothing that a pure module could.

mod access_log;
mod answer;
mod app;
mod armour;
mod base;
mod byte_range;
mod chunk;
mod client;
mod clip;
mod guard;
mod health;
mod ism;
mod library;
mod listener;
mod metrics;
mod openapi;
mod pages;
mod places;
mod playback;
mod presigned;
mod reference;
mod refusal;
mod request;
mod routes;
mod server;
mod sign_keys;
mod signature;
mod signed;
mod smil;
#[cfg(test)]
mod socket_tests;
pub mod systemd;
mod tasks;
#[cfg(test)]
mod tests;
mod tokens;
mod turns;
mod v1;
mod wire;

pub use access_log::AccessLog;
pub use answer::{Answer, Body};
pub use app::{App, Loaded, Options};
pub use base::Base;
pub use guard::{Guard, Rules};
pub use library::Library;
pub use listener::{Address, Listener};
pub use metrics::Metrics;
pub use refusal::{Refusal, Style};
pub use request::Request;
pub use routes::{Access, Added, Routes};
pub use server::{Limits, Server};
pub use sign_keys::{is_open_to_all, read_key};
pub use signature::Key;
pub use tasks::Tasks;
pub use tokens::Tokens;
