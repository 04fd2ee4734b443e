//! Null driver: the sandbox has a loopback, which every namespace is born with, and nothing else.

use super::{Driver, Refusal, Settings, Stack, Subnets};
use crate::model::{DriverName, Network};
use std::sync::Arc;

/// The null driver.
#[derive(Debug)]
pub struct Null;

/// Nothing can be set.
#[derive(Debug)]
struct NullSettings;

impl Driver for Null {
    fn name(&self) -> DriverName {
        const { DriverName::known("null") }
    }

    fn read(&self, _network: &Network) -> Result<Arc<dyn Settings>, Refusal> {
        Ok(Arc::new(NullSettings))
    }

    fn predefined(&self) -> Option<&'static str> {
        Some("none")
    }

    fn stack(&self) -> Stack {
        Stack::Loopback
    }

    fn subnets(&self) -> Subnets {
        Subnets::None
    }
}

impl Settings for NullSettings {}
