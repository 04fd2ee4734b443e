//! Drivers: one folder each. A driver is a few pure functions from model and facts to a
//! [`Plan`](crate::plan::Plan); it knows neither the executor nor the other drivers.
//!
//! To add one: a folder here, a variant of [`DriverKind`](crate::model::DriverKind), and its arm
//! in [`scopes`](crate::scopes). Start at [`bridge`].

pub mod bridge;
pub mod host;
pub mod ipvlan;
pub mod macvlan;
pub mod null;
pub mod parent;
