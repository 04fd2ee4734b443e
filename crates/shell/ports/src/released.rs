//! Ports that were released a moment ago.
//!
//! A program that is being started has copies of all our sockets until it is executed, which is
//! when the kernel closes them. So for a moment a port may be taken although we gave it back.

use crate::PortError;
use sealane_core::model::Protocol;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// How long such a moment can be, on a host that is very busy.
const MOMENT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(1);

/// When ports were released.
#[derive(Debug, Default)]
pub(crate) struct Released(BTreeMap<(Protocol, u16), Instant>);

impl Released {
    /// Remembers ports for a moment.
    pub(crate) fn add(&mut self, ports: impl IntoIterator<Item = (Protocol, u16)>) {
        self.0.retain(|_, released| released.elapsed() < MOMENT);
        let now = Instant::now();
        self.0.extend(ports.into_iter().map(|port| (port, now)));
    }

    /// Binds a port, and for a moment after its release tries again if it is taken.
    pub(crate) fn wait<T>(
        &self,
        protocol: Protocol,
        port: u16,
        bind: impl Fn() -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let released = self.0.get(&(protocol, port));
        loop {
            match bind() {
                Err(error) if error.is_taken() => {
                    if released.is_none_or(|released| released.elapsed() >= MOMENT) {
                        return Err(error);
                    }
                    thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
    }
}
