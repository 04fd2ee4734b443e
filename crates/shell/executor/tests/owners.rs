//! Two owners in one network namespace, on the real kernel: both make, remove, die and sweep at
//! random and at the same time, and neither ever loses anything of its own. `ip` and `nft` witness.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sealane_core::model::{InterfaceName, IpFamily, Mac, Owner, SandboxId, derive_id};
use sealane_core::nft::{Data, Datum};
use sealane_core::plan::{BridgePort, Change, Effect, Key, Link, LinkKind, Netns, Object, Plan};
use sealane_core::scopes::{TABLE, host_table, set};
use sealane_executor::Executor;
use sealane_kernel::Kernel;
use sealane_kernel::netns::isolated;
use sealane_kernel::read::Observe;
use sealane_kernel::write::{Refused, Write};
use sealane_store::{BootId, Journal};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How often each of them does something.
const ROUNDS: u32 = 60;

/// A kernel whose user dies before a write: from then on nothing is written any more.
struct Mortal {
    kernel: Kernel,
    lives: AtomicUsize,
}

impl Mortal {
    /// How many of so many writes are still done.
    fn spend(&self, wanted: usize) -> usize {
        let less = |lives: usize| Some(lives.saturating_sub(wanted));
        let lives = self
            .lives
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        lives.unwrap().min(wanted)
    }

    fn is_dead(&self) -> bool {
        self.lives.load(Ordering::Relaxed) == 0
    }
}

fn dead(index: usize, change: &Change) -> Refused {
    Refused {
        index,
        key: change.key().clone(),
        source: io::Error::other("its user has died"),
    }
}

impl Write for Mortal {
    fn write(&self, changes: &[Change]) -> Result<(), Refused> {
        let done = self.spend(changes.len());
        self.kernel.write(&changes[..done])?;
        match changes.get(done) {
            Some(change) => Err(dead(done, change)),
            None => Ok(()),
        }
    }

    fn write_all(&self, changes: &[Change]) -> Vec<Refused> {
        let done = self.spend(changes.len());
        let mut refused = self.kernel.write_all(&changes[..done]);
        let undone = changes.iter().enumerate().skip(done);
        refused.extend(undone.map(|(index, change)| dead(index, change)));
        refused
    }

    fn run(&self, effect: &Effect) -> io::Result<()> {
        self.kernel.run(effect)
    }

    fn remove_namespace_file(&self, path: &Path) -> io::Result<()> {
        self.kernel.remove_namespace_file(path)
    }
}

impl Observe for Mortal {
    fn observe(&self, keys: &[&Key]) -> io::Result<BTreeMap<Key, Object>> {
        self.kernel.observe(keys)
    }

    fn differing(&self, wanted: &[(&Key, &Object)]) -> io::Result<Vec<Key>> {
        self.kernel.differing(wanted)
    }

    fn owned(&self) -> io::Result<Vec<(Key, Object)>> {
        self.kernel.owned()
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// One of the two.
struct Engine {
    owner: Owner,
    /// Shared by both: the marks alone keep the namespaces in it apart.
    folder: PathBuf,
    /// The bridges it wants, each with the sandboxes on it.
    networks: BTreeMap<u8, BTreeSet<u32>>,
    /// Counts sandboxes: none comes twice.
    born: u32,
    dice: Dice,
}

impl Engine {
    fn new(owner: &str, folder: &Path, seed: u64) -> Self {
        Self {
            owner: Owner::try_from(owner).unwrap(),
            folder: folder.into(),
            networks: BTreeMap::new(),
            born: 0,
            dice: Dice(seed),
        }
    }

    fn name(&self, kind: &str, number: u32) -> InterfaceName {
        let name = format!("{}{kind}{number}", &self.owner.as_str()[..1]);
        InterfaceName::try_from(name.as_str()).unwrap()
    }

    fn sandbox(&self, number: u32) -> SandboxId {
        derive_id(&[self.owner.as_str().as_bytes(), &number.to_be_bytes()])
    }

    /// Everything that is wanted.
    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let table = Key::Table(Netns::Host, TABLE.into());
        plan.add(table, Object::Table(host_table()));
        for (network, sandboxes) in &self.networks {
            let bridge = self.name("br", (*network).into());
            self.plan_bridge(*network, &bridge, &mut plan);
            for sandbox in sandboxes {
                self.plan_sandbox(*sandbox, &bridge, &mut plan);
            }
        }
        plan
    }

    fn plan_bridge(&self, network: u8, bridge: &InterfaceName, plan: &mut Plan) {
        let third = if self.owner.is_usual() { 1 } else { 2 };
        let address = format!("10.{third}.{network}.1/24").parse().unwrap();
        let link = Link::of(LinkKind::Bridge);
        let at = |name: &InterfaceName| name.clone();
        plan.add(Key::Link(Netns::Host, at(bridge)), Object::Link(link));
        plan.add(
            Key::Address(Netns::Host, at(bridge), address),
            Object::Present,
        );
        plan.add(Key::Up(Netns::Host, at(bridge)), Object::Present);
        plan.add(Key::Passage(at(bridge), IpFamily::V4), Object::Present);
        let pair = vec![Datum::Interface(at(bridge)), Datum::Interface(at(bridge))];
        let accept = Data::Verdict(sealane_core::nft::Verdict::Accept);
        plan.add(
            Key::Element(set::WITHIN.into(), pair),
            Object::Element(accept),
        );
    }

    fn plan_sandbox(&self, number: u32, bridge: &InterfaceName, plan: &mut Plan) {
        let inside = Netns::Sandbox(self.sandbox(number));
        let eth0 = InterfaceName::try_from("eth0").unwrap();
        let link = Link {
            port: Some(BridgePort::of(bridge.clone())),
            ..Link::of(LinkKind::Veth {
                peer: (inside, eth0.clone()),
                peer_mac: Mac([2, 0, 0, 0, 0, 1]),
            })
        };
        plan.add(Key::Namespace(self.sandbox(number)), Object::Present);
        plan.add(
            Key::Link(Netns::Host, self.name("v", number)),
            Object::Link(link),
        );
        plan.add(Key::Up(inside, eth0), Object::Present);
    }

    fn executor(&self, lives: usize) -> (Executor<Mortal>, Arc<Mortal>) {
        let kernel = Kernel::open(self.folder.join("netns")).unwrap();
        let kernel = Arc::new(Mortal {
            kernel: kernel.owned_by(self.owner.clone()),
            lives: AtomicUsize::new(lives),
        });
        let claims = self.folder.join(format!("claims-{}", self.owner));
        let boot = BootId::named("this boot");
        let journal = Journal::open_of(&claims, boot, self.owner.as_str());
        (Executor::new(kernel.clone(), journal.unwrap().0), kernel)
    }

    /// Makes something, which is wanted once it is there.
    fn grow(&mut self) {
        let old = self.plan();
        let before = self.networks.clone();
        let network = u8::try_from(self.dice.below(4)).unwrap();
        self.born += 1;
        let sandboxes = self.networks.entry(network).or_default();
        if self.dice.below(3) > 0 {
            sandboxes.insert(self.born);
        }
        if !self.go(&old) {
            self.networks = before;
        }
    }

    /// Removes something, which is not wanted before it is gone.
    fn shrink(&mut self) {
        let old = self.plan();
        let Some(network) = self.networks.keys().next().copied() else {
            return;
        };
        match self.networks.get_mut(&network).map(BTreeSet::pop_first) {
            Some(Some(_)) => {}
            Some(None) | None => drop(self.networks.remove(&network)),
        }
        self.go(&old);
    }

    /// Takes the kernel from an old plan to the present one; false if that was the end of it.
    fn go(&mut self, old: &Plan) -> bool {
        let lives = match self.dice.below(2) {
            0 => usize::MAX,
            _ => 1 + self.dice.below(12),
        };
        let (executor, kernel) = self.executor(lives);
        let done = executor.apply(old, &self.plan());
        if let Err(error) = &done {
            assert!(kernel.is_dead(), "{}: {error:?}", self.owner);
        }
        done.is_ok()
    }

    /// Starts anew: sweeps, and looks whether all of its own is there.
    fn recover(&self) {
        let (executor, kernel) = self.executor(usize::MAX);
        executor.sweep(&self.plan(), &|keys| keys).unwrap();
        self.assert_no_strays(&kernel.kernel);
        self.assert_whole(&kernel.kernel);
        assert_eq!(
            executor.sweep(&self.plan(), &|keys| keys).unwrap().changes,
            []
        );
    }

    /// Everything wanted is there, by our word and by others'.
    fn assert_whole(&self, kernel: &Kernel) {
        let plan = self.plan();
        let wanted: Vec<(&Key, &Object)> = plan.objects().iter().collect();
        let differing = kernel.differing(&wanted).unwrap();
        assert_eq!(differing, [], "of {}", self.owner);
        let (links, tables) = (links(), tables());
        let own: BTreeSet<String> = links
            .into_iter()
            .filter(|name| name.starts_with(&self.owner.as_str()[..1]))
            .collect();
        let mut expected = BTreeSet::new();
        for key in plan.objects().keys() {
            if let Key::Link(Netns::Host, name) = key {
                expected.insert(name.to_string());
            }
        }
        assert_eq!(own, expected, "ip, of {}", self.owner);
        let table = match self.owner.is_usual() {
            true => "sealane".to_owned(),
            false => format!("sealane-{}", self.owner),
        };
        assert!(tables.contains(&table), "nft: {tables:?}");
    }

    /// No namespace of its own is left that nothing wants; another owner's would be taken for one.
    fn assert_no_strays(&self, kernel: &Kernel) {
        let wanted = self.networks.values().flatten();
        let known: BTreeSet<PathBuf> = wanted
            .map(|sandbox| kernel.namespace_path(&self.sandbox(*sandbox)))
            .collect();
        let found = kernel.namespace_files().unwrap();
        let found: BTreeSet<PathBuf> = found.into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, known, "namespaces of {}", self.owner);
    }

    fn live(mut self) -> Self {
        self.recover();
        for _ in 0..ROUNDS {
            match self.dice.below(5) {
                0..3 => self.grow(),
                _ => self.shrink(),
            }
            self.recover();
        }
        self
    }
}

fn json(program: &str, arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of the links here.
fn links() -> BTreeSet<String> {
    let links = json("ip", &["-j", "link"]);
    let names = links.as_array().unwrap().iter();
    names
        .map(|link| link["ifname"].as_str().unwrap().to_owned())
        .collect()
}

/// The names of the inet tables here.
fn tables() -> BTreeSet<String> {
    let listed = json("nft", &["-j", "list", "tables"]);
    let all = listed["nftables"].as_array().unwrap().iter();
    all.map(|entry| &entry["table"])
        .filter(|table| table["family"] == "inet")
        .map(|table| table["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn two_owners_in_one_namespace_kill_and_sweep_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let work = || {
        // So that both have passages in the table of iptables.
        let policy = ["-P", "FORWARD", "DROP"];
        let set = Command::new("iptables").args(policy).status().unwrap();
        assert!(set.success());
        let engines = [("sealane", 0x5eed), ("other", 0xd1ce)]
            .map(|(owner, seed)| Engine::new(owner, folder.path(), seed));
        let [usual, other] = thread::scope(|scope| {
            let lives = engines.map(|engine| scope.spawn(|| engine.live()));
            lives.map(|life| life.join().unwrap())
        });
        // One goes for good, and the other does not notice.
        let (executor, _kernel) = usual.executor(usize::MAX);
        executor.sweep(&Plan::default(), &|keys| keys).unwrap();
        assert!(links().iter().all(|name| !name.starts_with("sbr")));
        assert!(!tables().contains("sealane"));
        let (_, kernel) = other.executor(usize::MAX);
        other.assert_whole(&kernel.kernel);
    };
    isolated(work).expect("new namespaces; this runs as root");
}
