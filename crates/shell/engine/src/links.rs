//! Links on the default bridge: those that are linked to a sandbox follow it wherever it goes.

use crate::{Engine, EngineError};
use sealane_core::model::{LegacyLink, Sandbox, SandboxId};
use std::net::IpAddr;
use std::sync::Arc;

impl Engine {
    /// The links with the addresses that their targets have now.
    pub(crate) fn resolved(&self, links: &[LegacyLink]) -> Vec<LegacyLink> {
        let state = self.state();
        let addresses = |link: &LegacyLink| -> Vec<IpAddr> {
            let target = state.sandbox(&link.target);
            let endpoint = target.and_then(|target| target.endpoints.get(&link.network));
            endpoint.map_or_else(Vec::new, |endpoint| endpoint.addresses().collect())
        };
        let links = links.iter();
        links
            .map(|link| LegacyLink {
                addresses: addresses(link),
                ..link.clone()
            })
            .collect()
    }

    /// Brings those that are linked to a sandbox in line with where it is now. What fails is logged:
    /// the sandbox itself is as it should be.
    pub(crate) fn follow_target(&self, target: &SandboxId) {
        let linked: Vec<SandboxId> = {
            let state = self.state();
            let linked =
                |sandbox: &&Arc<Sandbox>| sandbox.links.iter().any(|link| link.target == *target);
            state
                .sandboxes()
                .filter(linked)
                .map(|sandbox| sandbox.id)
                .collect()
        };
        for id in linked {
            if let Err(error) = self.refresh_links(&id) {
                let sandbox = id.short(12);
                tracing::warn!(sandbox, %error, "a container does not follow its link");
            }
        }
    }

    /// After a restart: links to what has ended meanwhile.
    pub(crate) fn follow_lost_targets(&self, kept: &[Arc<Sandbox>]) {
        for sandbox in kept {
            for link in &sandbox.links {
                self.follow_target(&link.target);
            }
        }
    }

    /// Takes a link off a sandbox; one that does not exist has none.
    pub fn unlink(
        &self,
        id: &SandboxId,
        target: &SandboxId,
        alias: &str,
    ) -> Result<(), EngineError> {
        self.change_links(id, |links| {
            let mut links = links.to_vec();
            links.retain(|link| {
                link.target != *target || link.names.first().is_none_or(|name| name != alias)
            });
            links
        })
    }

    fn refresh_links(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.change_links(id, |links| self.resolved(links))
    }

    fn change_links(
        &self,
        id: &SandboxId,
        change: impl FnOnce(&[LegacyLink]) -> Vec<LegacyLink>,
    ) -> Result<(), EngineError> {
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let Some(old) = self.state().sandbox(id).cloned() else {
            return Ok(());
        };
        let links = change(&old.links);
        if links == old.links {
            return Ok(());
        }
        let new = Arc::new(Sandbox {
            links,
            ..Sandbox::clone(&old)
        });
        self.change_sandbox(&old, &new)
    }
}
