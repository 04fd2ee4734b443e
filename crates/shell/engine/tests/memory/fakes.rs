//! Resolvers without sockets, and a clock that is set by hand.

use jiff::Timestamp;
use sealane_core::dns::{ExternalServer, View, Zone};
use sealane_core::model::{NetworkId, SandboxId, derive_id};
use sealane_engine::{Changed, Clock, Resolver, Rezoned};
use sealane_kernel::fake::Steps;
use sealane_nameserver::UpstreamConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `EADDRINUSE`
const TAKEN: i32 = 98;

/// What the resolvers serve. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Inside>>, Steps);

#[derive(Default)]
struct Inside {
    served: BTreeSet<SandboxId>,
    zones: BTreeMap<NetworkId, Zone>,
}

impl Told {
    pub(crate) fn new(steps: Steps) -> Self {
        Self(Arc::default(), steps)
    }

    /// The sandboxes that are served.
    pub(crate) fn served(&self) -> BTreeSet<SandboxId> {
        self.inside(|inside| inside.served.clone())
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().expect("nobody panics here"))
    }
}

impl Resolver for Told {
    fn serve(
        &self,
        sandbox: &SandboxId,
        _ports: (u16, u16),
        _view: Arc<View>,
        _upstreams: UpstreamConfig,
    ) -> io::Result<()> {
        self.1.take(TAKEN, || format!("serve {sandbox}"))?;
        self.inside(|inside| inside.served.insert(*sandbox));
        Ok(())
    }

    fn is_free(&self, _sandbox: &SandboxId, _ports: (u16, u16)) -> bool {
        true
    }

    fn update(&self, _sandbox: &SandboxId, _view: Arc<View>, _upstreams: UpstreamConfig) {}

    fn end(&self, sandbox: &SandboxId) {
        self.inside(|inside| inside.served.remove(sandbox));
    }

    fn change_zone(&self, network: NetworkId, change: Rezoned<'_>) {
        self.inside(|inside| {
            let zone = change(&inside.zones.remove(&network).unwrap_or_default());
            if !zone.is_empty() {
                inside.zones.insert(network, zone);
            }
        });
    }

    fn zone(&self, network: &NetworkId) -> Option<Zone> {
        self.inside(|inside| inside.zones.get(network).cloned())
    }

    fn set_host_servers(&self, _servers: &[ExternalServer]) {}

    fn follow_host(&self, _resolv_conf: &Path, _changed: Changed) -> io::Result<()> {
        Ok(())
    }

    fn queries(&self) -> u64 {
        0
    }
}

/// Time that stands still until it is moved, and chance that is the same in every run. Clones are the
/// same clock.
#[derive(Clone, Default)]
pub(crate) struct Hand {
    seconds: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

impl Hand {
    pub(crate) fn advance(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        let seconds = self.seconds.load(Ordering::Relaxed);
        Timestamp::from_second(1_764_000_000 + seconds as i64).expect("it is in range")
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    fn random(&self) -> io::Result<[u8; 32]> {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let id: NetworkId = derive_id(&[b"chance", &drawn.to_be_bytes()]);
        Ok(*id.as_bytes())
    }
}
