//! Drivers: one folder each. What a driver is, its [`Driver`] says, and what it makes of a network's
//! options, their [`Settings`]; everything else asks these two, and knows no driver by name.
//!
//! A driver knows neither the executor nor the other drivers; what macvlan and ipvlan have in common
//! is [`parent`]. To add one: a folder here and its line in the list below, as `CONTRIBUTING.md`
//! tells. Start at [`Driver`], then [`bridge`].

pub mod bridge;
mod descriptor;
mod driven;
pub mod dummy;
pub mod host;
mod host_rules;
pub mod ipvlan;
pub mod macvlan;
pub mod null;
pub mod parent;

pub use descriptor::{
    Capacity, Driver, Refusal, Settings, Stack, Subnets, WayIn, WayOut, same_settings,
};
pub use driven::{Driven, Networks};
pub use host_rules::{HostChain, HostRules};

use crate::model::DriverName;

/// All drivers.
const ALL: &[&dyn Driver] = &[
    &bridge::Bridge,
    #[cfg(debug_assertions)]
    &dummy::Dummy,
    &host::Host,
    &ipvlan::Ipvlan,
    &macvlan::Macvlan,
    &null::Null,
];

/// The driver of a network that names none.
pub const DEFAULT: &dyn Driver = &bridge::Bridge;

/// The driver of a network that only holds configuration for others, of any driver.
pub const OF_CONFIGURATION: &dyn Driver = &null::Null;

/// All drivers, by name.
pub fn all() -> impl Iterator<Item = &'static dyn Driver> {
    ALL.iter().copied()
}

/// The driver of this name.
pub fn find(name: &str) -> Option<&'static dyn Driver> {
    all().find(|driver| driver.name().as_str() == name)
}

/// The names of all drivers.
pub fn names() -> impl Iterator<Item = DriverName> {
    all().map(Driver::name)
}
