//! Watching the host: whatever else changes what is ours is put back within a second.
//!
//! With manners: changes are gathered for 50 ms, and if something keeps undoing us, we come back
//! less and less often. But the firewall is put back at once, every time.

use crate::locks::LockIgnoringPoison;
use crate::unannounced::Round;
use crate::{Engine, EngineError};
use ipnet::IpNet;
use sealane_core::dns::{ExternalServer, ResolvConf};
use sealane_core::model::{InterfaceName, IpFamily, Sandbox};
use sealane_core::plan::{Key, Netns, Object};
use sealane_kernel::watch::{Noticed, Notices};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

const DEBOUNCE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long nothing must have been repaired for the pauses to be short again.
const CALM: Duration = Duration::from_secs(30);

impl Engine {
    /// Starts to watch, until the engine is dropped.
    pub(crate) fn watch(self: &Arc<Self>) -> Result<(), EngineError> {
        let failed = |error| EngineError::failed("cannot watch the host for changes", error);
        let Some(watcher) = self.executor.kernel().watch().map_err(failed)? else {
            return Ok(());
        };
        let engine = Arc::downgrade(self);
        let run = move || follow(watcher, &engine);
        thread::Builder::new()
            .name("watch".into())
            .spawn(run)
            .map_err(failed)?;
        Ok(())
    }

    /// Takes the host's resolver configuration, now and whenever it changes.
    pub(crate) fn follow_host_resolver(self: &Arc<Self>) -> Result<(), EngineError> {
        let text = self.disk.read(&self.config.resolv_conf).unwrap_or_default();
        self.take_host_resolver(ResolvConf::parse(&String::from_utf8_lossy(&text)));
        let engine = Arc::downgrade(self);
        let changed = move |conf| {
            if let Some(engine) = Weak::upgrade(&engine) {
                engine.take_host_resolver(conf);
            }
        };
        let path = &self.config.resolv_conf;
        if let Err(error) = self.resolver.follow_host(path, Box::new(changed)) {
            tracing::warn!(%error, "changes of the host's resolv.conf will not be followed");
        }
        Ok(())
    }

    fn take_host_resolver(&self, conf: ResolvConf) {
        let servers: Vec<ExternalServer> = conf.upstreams();
        self.resolver.set_host_servers(&servers);
        *self.host_resolver.lock_ignoring_poison() = conf;
    }

    /// Lets foreign changes stand, until [`Engine::resume_repair`] or another start.
    pub fn pause_repair(&self) {
        self.repair_paused.store(true, Ordering::Release);
        if let Err(error) = self.executor.kernel().free_tables() {
            tracing::warn!(%error, "others cannot change the firewall while repair is paused");
        }
        tracing::warn!("repair is paused: what others change stays changed");
    }

    /// Puts back what was changed meanwhile, and watches again. Returns a line for each change.
    /// Repairs before the watch does, so that the caller learns what had changed; and again
    /// afterwards, since the watch let pass what happened meanwhile.
    pub fn resume_repair(&self) -> Result<Vec<String>, EngineError> {
        let before = self.repair();
        self.repair_paused.store(false, Ordering::Release);
        tracing::info!("repair is resumed");
        let mut repaired = before?;
        repaired.extend(self.repair()?);
        Ok(repaired)
    }

    /// Whether foreign changes are let stand.
    pub fn repair_paused(&self) -> bool {
        self.repair_paused.load(Ordering::Acquire)
    }

    /// Whether a change could concern something of ours.
    fn concerned(&self, noticed: &Noticed) -> bool {
        match noticed {
            Noticed::Link {
                name, gone: true, ..
            } => self.wants_link(name) || self.is_parent(name),
            Noticed::Link {
                name,
                gone: false,
                bridge,
                worse,
                other_port,
            } => {
                (*worse && self.wants_link(name))
                    || (*other_port && self.is_other_port(name))
                    || (*bridge && self.is_new_foreign_bridge(name))
                    || self.waits_for_parent(name)
                    || self.misses(name)
            }
            Noticed::Address(prefix) | Noticed::Route(prefix) => self.has_subnet(*prefix),
            Noticed::ForwardingOff(family) => self.wants_forwarding(*family),
            Noticed::NewRoute(..) => false, // it takes nothing of ours away
            Noticed::Nftables | Noticed::Overrun => true,
        }
    }

    /// Whether a bridge is one that we do not know yet and within which packets are to pass.
    fn is_new_foreign_bridge(&self, name: &str) -> bool {
        let facts = self.facts();
        let mut known = facts.foreign_bridges.iter();
        facts.bridge_netfilter
            && !known.any(|bridge| bridge.as_str() == name)
            && !self.wants_link(name)
    }

    /// Does what cannot wait for the look at everything.
    fn heed(&self, noticed: &Noticed) {
        self.heed_routes(noticed);
        let of_filters = matches!(noticed, Noticed::Nftables | Noticed::Overrun);
        if of_filters && !self.repair_paused() {
            self.keep_firewall();
        }
    }

    /// Takes in what is noticed for a while.
    fn gather(&self, watcher: &mut dyn Notices, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            while let Ok(Some(noticed)) = watcher.poll() {
                self.heed(&noticed);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if let Err(error) = watcher.wait_for(left) {
                tracing::warn!(%error, "cannot wait for changes of the host");
                thread::sleep(left);
            }
        }
    }

    /// Looks whether a route that came is in the way of a network, or one that went was.
    fn heed_routes(&self, noticed: &Noticed) {
        let look = match noticed {
            Noticed::NewRoute(to, link) => to.prefix_len() > 0 && self.may_conflict(*to, *link),
            Noticed::Route(_) | Noticed::Overrun => self.has_conflicts(),
            Noticed::Link { gone, .. } => *gone && self.has_conflicts(),
            Noticed::Address(_) | Noticed::ForwardingOff(_) | Noticed::Nftables => false,
        };
        if look && let Err(error) = self.look_for_conflicts() {
            tracing::warn!(%error, "cannot look for routes that are in the way of networks");
        }
    }

    /// Whether a port of a bridge is another kind of port than we made it.
    fn is_other_port(&self, name: &str) -> bool {
        let Some((key, wanted)) = self.wanted_link(name) else {
            return false;
        };
        let differing = self.executor.kernel().differing(&[(&key, &wanted)]);
        // What cannot be seen is looked at with everything else.
        differing.map_or(true, |differing| !differing.is_empty())
    }

    /// A link of the host as the plan of its endpoint or network has it.
    fn wanted_link(&self, name: &str) -> Option<(Key, Object)> {
        let name = InterfaceName::try_from(name).ok()?;
        let state = self.state();
        let has_it = |sandbox: &&Arc<Sandbox>| {
            let mut endpoints = sandbox.endpoints.values();
            endpoints.any(|endpoint| endpoint.host_interface == name)
        };
        let plan = match state.sandboxes().find(has_it) {
            Some(sandbox) => self.plan_of_sandbox_in(&state, sandbox),
            None => self.plan_of(&state.with_link(&name).next()?.network),
        };
        let key = Key::Link(Netns::Host, name);
        let wanted = plan.objects().get(&key).cloned()?;
        Some((key, wanted))
    }

    /// Whether a setting has to be put back. What cannot be read is logged, and read again later.
    fn look_at_settings(&self, round: &mut Round) -> bool {
        self.settings_differ(round).unwrap_or_else(|error| {
            tracing::warn!(%error, "whether settings are as they should be is not known");
            false
        })
    }

    /// Whether some network needs forwarding.
    fn wants_forwarding(&self, family: IpFamily) -> bool {
        let setting = family.pick("ipv4/ip_forward", "ipv6/conf/all/forwarding");
        let key = Key::Setting(Netns::Host, setting.into());
        self.lock_host_plan().objects().contains_key(&key)
    }

    /// Whether a prefix, or the one around an address, is a network's.
    fn has_subnet(&self, prefix: IpNet) -> bool {
        let state = self.state();
        let mut networks = state.overlapping(&prefix).filter(|n| n.phase.is_there());
        networks.any(|found| found.pools.iter().any(|(own, _)| *own == prefix.trunc()))
    }

    /// Whether a link of the host belongs to a network or an endpoint.
    fn wants_link(&self, name: &str) -> bool {
        let Ok(name) = InterfaceName::try_from(name) else {
            return false;
        };
        let state = self.state();
        let mut endpoints = state.sandboxes().flat_map(|s| s.endpoints.values());
        state.with_link(&name).any(|found| found.phase.is_there())
            || endpoints.any(|endpoint| endpoint.host_interface == name)
    }
}

/// Waits for changes and repairs, until the engine is gone.
fn follow(mut watcher: Box<dyn Notices>, engine: &Weak<Engine>) {
    let (mut manners, mut round) = (Manners::default(), Round::default());
    let mut due = Instant::now() + round.pause;
    loop {
        let noticed = next(&mut *watcher, due);
        let Some(strong) = Weak::upgrade(engine) else {
            return;
        };
        if let Ok(Some(noticed)) = &noticed {
            strong.heed(noticed);
        }
        let looked = matches!(noticed, Ok(None));
        let concerned = match noticed {
            // Resuming looks at everything, so that nothing has to be remembered meanwhile.
            Ok(_) if strong.repair_paused() => false,
            Ok(Some(noticed)) => strong.concerned(&noticed),
            Ok(None) => strong.look_at_settings(&mut round),
            Err(error) => {
                tracing::error!(%error, "no longer watching the host: restart the daemon");
                return;
            }
        };
        let repaired = concerned && put_back(&strong, &mut *watcher, &mut manners);
        if looked {
            round.learn(repaired == concerned);
            due = Instant::now() + round.pause;
        }
    }
}

/// Repairs what a look at everything finds, and all that has gathered meanwhile; whether there was
/// something that could be.
fn put_back(engine: &Engine, watcher: &mut dyn Notices, manners: &mut Manners) -> bool {
    engine.gather(watcher, manners.pause);
    match engine.repair() {
        Ok(repaired) => {
            manners.learn(!repaired.is_empty());
            !repaired.is_empty()
        }
        Err(error) => {
            tracing::warn!(%error, "a repair failed; the next change tries again");
            false
        }
    }
}

/// What is noticed next; `None` if that is nothing until then.
fn next(watcher: &mut dyn Notices, due: Instant) -> io::Result<Option<Noticed>> {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        if let Some(noticed) = watcher.poll()? {
            return Ok(Some(noticed));
        }
        watcher.wait_for(left)?;
    }
}

/// How long to wait before a repair.
struct Manners {
    pause: Duration,
    repaired: Option<Instant>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            pause: DEBOUNCE,
            repaired: None,
        }
    }
}

impl Manners {
    /// Takes longer and longer where we are undone again and again.
    fn learn(&mut self, repaired: bool) {
        let calm = self.repaired.is_none_or(|at| at.elapsed() > CALM);
        if repaired {
            self.pause = if calm {
                DEBOUNCE
            } else {
                (self.pause * 2).min(LONGEST_PAUSE)
            };
            self.repaired = Some(Instant::now());
        } else if calm {
            self.pause = DEBOUNCE;
        }
    }
}
