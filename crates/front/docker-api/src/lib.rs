//! The Docker Engine API: decodes requests, calls the engine, the containers and the images, and
//! encodes what they answer. Decides nothing itself.
//!
//! May touch the sockets it is given. Start at [`serve`]; a request goes through `router::answer`,
//! the table of paths is `route`, and each kind of object has a module of handlers.

mod absent;
mod api;
mod body;
mod call;
mod containers;
mod crowd;
mod error;
mod exec;
mod explain;
mod filters;
mod frames;
mod hijack;
mod images;
mod monitor;
mod networks;
pub mod outside;
mod own;
mod pipe;
mod query;
mod request_line;
mod respond;
mod route;
mod router;
mod server;
mod shape;
mod span;
mod system;
mod taken;
mod time;
mod tls;
mod unread;
mod version;

pub use api::{Api, DaemonFacts, Parts, Reloadable};
pub use monitor::{Monitor, serve_monitor};
pub use server::{Listener, serve};
pub use tls::{TlsFault, TlsFiles, load_tls};
pub use version::{ApiVersion, InvalidMinimum};
