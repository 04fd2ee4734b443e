//! Names: what the resolver of a sandbox answers, and what its resolv.conf and hosts files say.
//!
//! Pure: queries are bytes, snapshots are values, time and the shuffling seed are arguments. The
//! sockets are in the `sealane-nameserver` crate.
//!
//! Start at [`answer()`]. What it looks in is a [`View`] (of one sandbox) over the [`Zones`] (of all
//! networks). What it does not know is relayed: [`Race`] says whom to ask when, [`Spelling`] in which
//! letters, [`Cache`] what need not be asked again, `relayed` writes the messages, and `wire` reads
//! just as much of one as a relay must.

mod answer;
mod ask;
mod cache;
mod draft;
mod health;
mod hosts;
mod query;
mod race;
mod relayed;
mod resolv_conf;
mod reverse;
mod spelling;
mod view;
mod wire;
mod zone;

pub use answer::{Outcome, Transport, answer, refusal, server_failure};
pub use ask::{address_query, addresses_in};
pub use cache::{Cache, CacheKey, CacheScope};
pub use health::Health;
pub use hosts::{HostsFile, InvalidExtraHost, extra_host};
pub use query::{Edns, Query};
pub use race::{Entrant, Found, Next, Race};
pub use relayed::{incoming, outgoing};
pub use resolv_conf::{
    ExternalServer, InternalResolvConf, ResolvConf, Server, render_host, render_internal,
    render_legacy,
};
pub use spelling::{Letters, Spelling};
pub use view::{Forwarding, NetworkView, View};
pub use wire::{Malformed, Reply, take_messages};
pub use zone::{EndpointNames, Service, Zone, Zones};

/// The address of the resolver in every sandbox that has one.
pub const RESOLVER_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 0, 0, 11);

/// A point in time for tests to count from.
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from nowhere else"
)]
fn some_instant() -> std::time::Instant {
    std::time::Instant::now()
}
