//! `serve-smil`: playlists, the API and pages, over HTTP.
//!
//! A request comes in as a plain value ([`Request`]), and an answer goes out as one ([`Answer`]); between them stands a table
//! of routes ([`Routes`]), and what all handlers share ([`App`]). None of that knows of sockets, so all of it is tested
//! without one: only `server` names the HTTP library, with its limits on sizes, connections and time.
//!
//! Each file beside those is one thing that is served: its routes, and their handlers. A handler reads the ledger and asks
//! the lines below; it decides nothing that a pure module could.

mod answer;
mod app;
mod base;
mod byte_range;
mod chunk;
mod guard;
mod health;
mod ism;
mod metrics;
mod openapi;
mod reference;
mod refusal;
mod request;
mod routes;
mod server;
mod smil;
mod tasks;
#[cfg(test)]
mod tests;
mod v1;

pub use answer::{Answer, Body};
pub use app::{App, Loaded, Options};
pub use base::Base;
pub use metrics::Metrics;
pub use refusal::{Refusal, Style};
pub use request::Request;
pub use routes::{Access, Routes};
pub use server::{Limits, serve};
pub use tasks::Tasks;
