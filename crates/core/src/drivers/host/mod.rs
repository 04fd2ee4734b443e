//! Host driver: the sandbox is the host's own network stack, so there is nothing to make.

use super::{Driver, Refusal, Settings, Stack, Subnets};
use crate::model::{DriverName, Network};
use std::sync::Arc;

/// The host driver.
#[derive(Debug)]
pub struct Host;

/// Nothing can be set.
#[derive(Debug)]
struct HostSettings;

impl Driver for Host {
    fn name(&self) -> DriverName {
        const { DriverName::known("host") }
    }

    fn read(&self, _network: &Network) -> Result<Arc<dyn Settings>, Refusal> {
        Ok(Arc::new(HostSettings))
    }

    fn predefined(&self) -> Option<&'static str> {
        Some("host")
    }

    fn stack(&self) -> Stack {
        Stack::Host
    }

    fn subnets(&self) -> Subnets {
        Subnets::None
    }
}

impl Settings for HostSettings {}
