//! The options of an ipvlan network (`docker network create -o`), checked.

use crate::drivers::parent::{InvalidParent, Parent, shim};
use crate::model::{InterfaceName, Network};
use crate::plan::{IpvlanFlag, IpvlanMode};
use thiserror::Error;

/// `ipvlan_mode`: what a link does with packets.
pub(super) const MODE: &str = "ipvlan_mode";
/// `ipvlan_flag`: how endpoints on one parent reach each other.
pub(super) const FLAG: &str = "ipvlan_flag";

/// The options of an ipvlan network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IpvlanOptions {
    /// The link of the host that endpoints sit on.
    pub(super) parent: Parent,
    /// What a link does with packets.
    pub(super) mode: IpvlanMode,
    /// How endpoints on one parent reach each other.
    pub(super) flag: IpvlanFlag,
    /// The link by which the host reaches the endpoints, if it is to.
    pub(super) shim: Option<InterfaceName>,
}

/// An option that cannot be read; the words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum InvalidOption {
    /// No mode is called so.
    #[error("requested ipvlan mode '{0}' is not valid, 'l2' mode is the ipvlan driver default")]
    Mode(String),
    /// No flag is called so.
    #[error("requested ipvlan flag '{0}' is not valid, 'bridge' is the ipvlan driver default")]
    Flag(String),
    /// Links that cannot reach each other cannot reach the host's either.
    #[error("host_access needs ipvlan_flag=bridge: with another one links on one parent are apart")]
    HostAccess,
    /// The parent.
    #[error(transparent)]
    Parent(#[from] InvalidParent),
}

impl IpvlanOptions {
    /// Reads the options of a network.
    pub(super) fn of(network: &Network) -> Result<Self, InvalidOption> {
        let mode = match network.option(MODE).unwrap_or_default() {
            "" | "l2" => IpvlanMode::L2,
            "l3" => IpvlanMode::L3,
            "l3s" => IpvlanMode::L3s,
            other => return Err(InvalidOption::Mode(other.into())),
        };
        let flag = match network.option(FLAG).unwrap_or_default() {
            "" | "bridge" => IpvlanFlag::Bridge,
            "private" => IpvlanFlag::Private,
            "vepa" => IpvlanFlag::Vepa,
            other => return Err(InvalidOption::Flag(other.into())),
        };
        let shim = shim(network)?;
        if shim.is_some() && flag != IpvlanFlag::Bridge {
            return Err(InvalidOption::HostAccess);
        }
        Ok(Self {
            parent: Parent::of(network, "ipvlan", "di-")?,
            mode,
            flag,
            shim,
        })
    }

    /// Whether links route by themselves: then the default route leads to the link and no gateway
    /// is asked, and no address is announced.
    pub(super) fn routes(&self) -> bool {
        match self.mode {
            IpvlanMode::L2 => false,
            IpvlanMode::L3 | IpvlanMode::L3s => true,
        }
    }
}
