//! Bridges of the user's, which networks may use: found, checked, and known again.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_core::model::{InterfaceName, UsersDevice};
use sealane_core::plan::Netns;
use sealane_kernel::read::ForeignLink;

impl Engine {
    /// What a bridge of this name that the user made is like now; `None` if the name is free or the
    /// link is ours. One of another daemon of ours is refused: it comes and goes with that one.
    pub(crate) fn users_device(
        &self,
        name: &InterfaceName,
    ) -> Result<Option<UsersDevice>, EngineError> {
        if let Some(owner) = self.foreign_link(name)?.and_then(|link| link.owner) {
            return Err(EngineError::Failed {
                message: format!(
                    "interface {name} belongs to another sealane daemon, {owner}; choose another name"
                ),
                source: None,
            });
        }
        self.others_device(name)
    }

    fn foreign_link(&self, name: &InterfaceName) -> Result<Option<ForeignLink>, EngineError> {
        let link = self.executor.kernel().foreign_link(name);
        link.map_err(|error| {
            EngineError::failed(format!("cannot look for a link named {name}"), error)
        })
    }

    /// The same, ours or not.
    pub(crate) fn others_device(
        &self,
        name: &InterfaceName,
    ) -> Result<Option<UsersDevice>, EngineError> {
        let failed =
            |error| EngineError::failed(format!("cannot look for a link named {name}"), error);
        let kernel = self.executor.kernel();
        let Some(link) = self.foreign_link(name)? else {
            return Ok(None);
        };
        if !link.bridge {
            return Err(EngineError::Failed {
                message: format!("existing interface {name} is not a bridge"),
                source: None,
            });
        }
        let addresses = kernel.addresses().map_err(failed)?.into_iter();
        let own = addresses.filter(|address| address.link == name.as_str());
        Ok(Some(UsersDevice {
            addresses: own.map(|address| address.address).collect(),
            up: link.up,
        }))
    }

    /// Whether a network has all it stands on: the user's bridge may have gone.
    pub(crate) fn has_device(&self, network: &Driven) -> bool {
        // A missing parent of another driver's network is reported by the sweep.
        let users = network.settings().device();
        let Some(device) = users.filter(|_| network.users_device.is_some()) else {
            return true;
        };
        let there = self.executor.kernel().link_exists(Netns::Host, device);
        let there = there.unwrap_or(true);
        let mut missing = self.missing_devices.lock_ignoring_poison();
        if there {
            missing.remove(device.as_str());
        } else if missing.insert(device.to_string()) {
            tracing::warn!(
                network = network.spec.name,
                "bridge {device} is gone; make it again, and the network works again"
            );
        }
        there
    }

    /// Whether a link is a bridge of the user's that was missed.
    pub(crate) fn misses(&self, name: &str) -> bool {
        self.missing_devices.lock_ignoring_poison().contains(name)
    }
}
