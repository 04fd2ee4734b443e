//! Foreign firewalls that need an entry of their own for our bridges: firewalld.
//!
//! What iptables' FORWARD chain needs is part of the plans; firewalld is another program, so it is
//! called after the kernel, and what it refuses is a warning: the network itself works.

use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_firewalld::{Firewalld, FirewalldError};

/// Looks for firewalld, unless the flags say that foreign firewalls are to be left alone.
pub(crate) fn firewalld(integration: bool) -> Result<Option<Firewalld>, EngineError> {
    let started = integration.then(Firewalld::start).transpose();
    started.map_err(|error| EngineError::failed("firewalld cannot be followed", error))
}

impl Engine {
    /// Makes firewalld let all our bridges pass, if there is one.
    pub(crate) fn pass_all(&self) {
        let bridges = self.bridges().into_iter().collect();
        self.report(self.firewalld.as_ref().map(|other| other.set(bridges)));
    }

    /// Makes it let the bridge of a new network pass; returns a warning for the user, or nothing.
    pub(crate) fn pass(&self, network: &Driven) -> String {
        let told = self.tell_firewalld(network, Firewalld::add);
        self.report(told).unwrap_or_default()
    }

    /// Ends that.
    pub(crate) fn end_passing(&self, network: &Driven) {
        self.report(self.tell_firewalld(network, Firewalld::remove));
    }

    /// Removes all our entries in firewalld.
    pub(crate) fn withdraw_from_firewalld(&self) -> Result<(), EngineError> {
        let withdrawn = self.firewalld.as_ref().map(Firewalld::withdraw);
        withdrawn
            .transpose()
            .map(drop)
            .map_err(|error| EngineError::failed("not everything could be removed", error))
    }

    fn tell_firewalld(
        &self,
        network: &Driven,
        tell: impl Fn(&Firewalld, &str) -> Result<(), FirewalldError>,
    ) -> Option<Result<(), FirewalldError>> {
        let firewalld = self.firewalld.as_ref()?;
        let device = network.settings().device()?;
        Some(tell(firewalld, device.as_str()))
    }

    /// Logs a refusal and returns its text.
    fn report(&self, told: Option<Result<(), FirewalldError>>) -> Option<String> {
        let error = told?.err()?;
        tracing::warn!(%error, "firewalld may not let containers' packets pass");
        Some(error.to_string())
    }
}
