//! The options of a macvlan network (`docker network create -o`), checked.

use crate::drivers::parent::{InvalidParent, Parent, shim};
use crate::model::{InterfaceName, Network};
use crate::plan::MacvlanMode;
use thiserror::Error;

/// `macvlan_mode`: how endpoints on one parent reach each other.
pub(super) const MODE: &str = "macvlan_mode";

/// The options of a macvlan network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MacvlanOptions {
    /// The link of the host that endpoints sit on.
    pub(super) parent: Parent,
    /// How endpoints on one parent reach each other.
    pub(super) mode: MacvlanMode,
    /// The link by which the host reaches the endpoints, if it is to.
    pub(super) shim: Option<InterfaceName>,
}

/// An option that cannot be read; the words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum InvalidOption {
    /// No mode is called so.
    #[error(
        "requested macvlan mode '{0}' is not valid, 'bridge' mode is the macvlan driver default"
    )]
    Mode(String),
    /// Links that cannot reach each other cannot reach the host's either.
    #[error("host_access needs macvlan_mode=bridge: in another mode links on one parent are apart")]
    HostAccess,
    /// The parent.
    #[error(transparent)]
    Parent(#[from] InvalidParent),
}

impl MacvlanOptions {
    /// Reads the options of a network.
    pub(super) fn of(network: &Network) -> Result<Self, InvalidOption> {
        let mode = match network.option(MODE).unwrap_or_default() {
            "" | "bridge" => MacvlanMode::Bridge,
            "private" => MacvlanMode::Private,
            "vepa" => MacvlanMode::Vepa,
            "passthru" => MacvlanMode::Passthru,
            other => return Err(InvalidOption::Mode(other.into())),
        };
        let shim = shim(network)?;
        if shim.is_some() && mode != MacvlanMode::Bridge {
            return Err(InvalidOption::HostAccess);
        }
        Ok(Self {
            parent: Parent::of(network, "macvlan", "dm-")?,
            mode,
            shim,
        })
    }
}
