//! What each kind of network carries, against a bare veth pair, and ours against a bare bridge.
//!
//! One stream with its ends on two cores, and round trips within one thread, all ways in turn. A
//! bridge is measured twice: its packets pass the host's IP filters or not (`br_netfilter`). Where
//! they do, the bare one has a filter of one rule.

use super::Extent;
use crate::error::{BenchError, Result, chain, failed};
use crate::namespace::Namespace;
use crate::paired::Ratios;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, median};
use crate::stage::{Ours, Stage};
use crate::stream::{PORT, Path};
use crate::wanted::{Port, Wanted};
use crate::wire::{bridge, loopback, veth};
use sealane_testkit::lan;
use serde_json::{Value, json};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const NETWORK: &str = "wired";
const SPAN: Duration = Duration::from_secs(60);
/// How long ours and the bare bridge of its kind are measured further, in turn, until it is sure on
/// which side of the limits they are.
const UNTIL_SURE: Duration = Duration::from_secs(120);
/// For one stream.
const BLOCK: Duration = Duration::from_millis(250);
const ROUND_TRIPS: usize = 500;
/// What ours may cost more than a bare one.
const TOLERANCE: f64 = 1.1;
const PROCESSOR: &str = "processor time for a MiB";
const MIB: f64 = 1_048_576.0;

// Names in the table.
const BARE_BRIDGE: &str = "bare bridge";
const BARE_FILTERED: &str = "bare bridge with br_netfilter and one rule";
const BRIDGE: &str = "bridge";
const FILTERED: &str = "bridge with br_netfilter";

/// Ours, and what it is judged against.
const PAIRS: [(&str, &str); 2] = [(BRIDGE, BARE_BRIDGE), (FILTERED, BARE_FILTERED)];
const FIGURES: [&str; 3] = ["throughput", "round trip", PROCESSOR];
const LIMITS: [f64; 3] = [1.0 / TOLERANCE, TOLERANCE, TOLERANCE];
const GOAL: [Target; 3] = [
    Target::AtLeastTimes(LIMITS[0]),
    Target::AtMostTimes(LIMITS[1]),
    Target::AtMostTimes(LIMITS[2]),
];

/// A way and what it gave.
struct Measured {
    path: Path,
    /// Of each turn: bits in a second, seconds of a round trip, and seconds of a processor for a MiB.
    turns: [Vec<f64>; 3],
    round_trips: Samples,
}

/// Measures all ways in turn.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(2)?;
    // Without and with the IP filters for what a bridge carries.
    stage.host(0).br_netfilter(false);
    stage.host(1).br_netfilter(true);
    let (mut plain, mut filtered) = (stage.start(0)?, stage.start(1)?);
    let mut paths = vec![
        veth()?,
        loopback()?,
        bridge(BARE_BRIDGE, false)?,
        ours(BRIDGE, &mut plain)?,
        bridge(BARE_FILTERED, true)?,
        ours(FILTERED, &mut filtered)?,
        published(&stage, &mut plain)?,
    ];
    let mut missing = vec![];
    match upper(
        "macvlan",
        "macvlan",
        "10.231.0.0/16",
        &json!({ "parent": "eth0" }),
        &mut plain,
    ) {
        Ok(path) => paths.push(path),
        Err(error) => missing.push(Row::missing("macvlan", chain(&error))),
    }
    let mut rows = rows(&measure(paths, extent)?);
    rows.extend(missing);
    Ok(rows)
}

/// Measures what sits on a parent, under a kernel that has it all. It is slower by far, and so is the
/// bare veth pair there.
pub(crate) fn take_in_lab(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    stage.host(0).br_netfilter(false);
    let mut host = stage.start(0)?;
    let mut paths = vec![veth()?, ours(BRIDGE, &mut host)?];
    for (name, driver, subnet, options) in [
        (
            "macvlan",
            "macvlan",
            "10.231.0.0/16",
            json!({ "parent": "eth0" }),
        ),
        (
            "ipvlan l2",
            "ipvlan",
            "10.232.0.0/16",
            json!({ "parent": "eth0.2" }),
        ),
        (
            "ipvlan l3",
            "ipvlan",
            "10.233.0.0/16",
            json!({ "parent": "eth0.3", "ipvlan_mode": "l3" }),
        ),
        (
            "ipvlan l3s",
            "ipvlan",
            "10.234.0.0/16",
            json!({ "parent": "eth0.4", "ipvlan_mode": "l3s" }),
        ),
    ] {
        paths.push(upper(name, driver, subnet, &options, &mut host)?);
    }
    let mut rows = rows(&measure(paths, extent)?);
    // That kernel does not count what its own threads take.
    rows.retain(|row| !row.figure().starts_with(PROCESSOR));
    Ok(rows)
}

/// Two containers on a bridge network of ours.
fn ours(name: &'static str, ours: &mut Ours) -> Result<Path> {
    let engine = &mut ours.engine;
    engine.create_network(NETWORK, "br-wired", "10.230.0.0/16")?;
    pair(name, NETWORK, ours)
}

/// From the LAN's other member to a container.
fn published(stage: &Stage, ours: &mut Ours) -> Result<Path> {
    let ports = [Port::tcp((PORT, PORT)), Port::udp((PORT, PORT))];
    let wanted = Wanted::lasting(NETWORK).publishing(ports);
    let id = ours.engine.run(&wanted)?;
    let server = ours.engine.namespace(&id)?;
    let client = Namespace::of_process(&stage.neighbor().path("/proc/1"))?;
    let to = lan::HOST.parse::<Ipv4Addr>().map_err(io::Error::other);
    let to = to.map_err(failed("reading the host's address"))?;
    let name = "published port, from the LAN";
    Ok(Path::new(name, Arc::new(client), Arc::new(server), to))
}

/// Two containers on a network that sits on the host's uplink.
fn upper(
    name: &'static str,
    driver: &str,
    subnet: &str,
    options: &Value,
    ours: &mut Ours,
) -> Result<Path> {
    let network = name.replace(' ', "-");
    let engine = &mut ours.engine;
    engine.create_network_of(driver, &network, subnet, options)?;
    pair(name, &network, ours)
}

/// Two containers on one network.
fn pair(name: &'static str, network: &str, ours: &mut Ours) -> Result<Path> {
    let engine = &mut ours.engine;
    let wanted = Wanted::lasting(network);
    let (client, server) = (engine.run(&wanted)?, engine.run(&wanted)?);
    let to = engine.address(&server, network)?;
    let client = Arc::new(engine.namespace(&client)?);
    let server = Arc::new(engine.namespace(&server)?);
    Ok(Path::new(name, client, server, to))
}

fn measure(paths: Vec<Path>, extent: Extent) -> Result<Vec<Measured>> {
    let mut all: Vec<Measured> = paths.into_iter().map(Measured::nothing).collect();
    let block = extent.size(BLOCK, BLOCK / 5);
    for _ in extent.rounds(20, SPAN) {
        for measured in &mut all {
            measured.once(block)?;
        }
    }
    for pair in PAIRS {
        until_sure(&mut all, pair, block, extent)?;
    }
    Ok(all)
}

/// Measures the two of a pair further, each first in every other turn, until their verdicts are sure.
fn until_sure(
    all: &mut [Measured],
    (ours, bare): (&str, &str),
    block: Duration,
    extent: Extent,
) -> Result<()> {
    let place = |name| all.iter().position(|one| one.path.name() == name);
    let (Some(ours), Some(bare)) = (place(ours), place(bare)) else {
        return Ok(());
    };
    for round in extent.rounds(usize::MAX, UNTIL_SURE) {
        let ratios = ratios(&all[ours], &all[bare]);
        if ratios
            .iter()
            .zip(LIMITS)
            .all(|(one, limit)| one.settled(limit))
        {
            break;
        }
        let turn = if round % 2 == 0 {
            [ours, bare]
        } else {
            [bare, ours]
        };
        for one in turn {
            all[one].once(block)?;
        }
    }
    Ok(())
}

fn ratios(ours: &Measured, bare: &Measured) -> [Ratios; 3] {
    [0, 1, 2].map(|figure| Ratios::of(&ours.turns[figure], &bare.turns[figure]))
}

impl Measured {
    fn nothing(path: Path) -> Self {
        Self {
            path,
            turns: <_>::default(),
            round_trips: Samples::default(),
        }
    }

    fn once(&mut self, block: Duration) -> Result<()> {
        let passed = self.path.stream(block)?;
        let seconds = passed.span.as_secs_f64();
        if passed.bytes == 0 {
            let why = format!("nothing passed over {}", self.path.name());
            return Err(BenchError::Unexpected(why));
        }
        let bytes = passed.bytes as f64;
        let round_trips = self.path.round_trips(ROUND_TRIPS)?;
        let turn = [
            8.0 * bytes / seconds,
            round_trips.quantile(0.5).as_secs_f64(),
            passed.processor.as_secs_f64() * MIB / bytes,
        ];
        for (all, one) in self.turns.iter_mut().zip(turn) {
            all.push(one);
        }
        self.round_trips.extend(round_trips);
        // Before others are starved for so long that the kernel takes the cores away.
        thread::sleep(block / 5);
        Ok(())
    }

    /// Throughput, round trip and cost.
    fn readings(&self) -> [Reading; 3] {
        let [throughput, _, processor] = &self.turns;
        let cost = Duration::from_secs_f64(median(processor.clone()));
        [
            Reading::Throughput(median(throughput.clone())),
            Reading::Times(self.round_trips.clone()),
            Reading::Time(cost),
        ]
    }
}

/// All against the bare veth pair, and ours against the bare bridge of its kind.
fn rows(all: &[Measured]) -> Vec<Row> {
    let Some((veth, others)) = all.split_first() else {
        return vec![];
    };
    let mut rows: Vec<Row> = others.iter().flat_map(|one| compare(one, veth)).collect();
    let named = |name| all.iter().find(|one| one.path.name() == name);
    for (ours, bare) in PAIRS {
        let found = named(ours).zip(named(bare));
        rows.extend(found.into_iter().flat_map(|(ours, bare)| judge(ours, bare)));
    }
    rows
}

fn compare(one: &Measured, other: &Measured) -> Vec<Row> {
    let readings = one.readings().into_iter().zip(other.readings());
    let row = |(figure, (ours, theirs))| {
        let figure = format!("{figure}: {}", one.path.name());
        Row::against(figure, ours, other.path.name(), theirs, Target::Told)
    };
    FIGURES.into_iter().zip(readings).map(row).collect()
}

/// By the ratio of each turn: what the machine does besides, it does to both.
fn judge(ours: &Measured, bare: &Measured) -> Vec<Row> {
    let readings = ours.readings().into_iter().zip(bare.readings());
    let judged = ratios(ours, bare).into_iter().zip(GOAL);
    let parts = FIGURES.into_iter().zip(readings).zip(judged);
    let row = |((figure, (reading, theirs)), (turns, target))| {
        let figure = format!("{figure}: {}", ours.path.name());
        Row::paired(figure, reading, (bare.path.name(), theirs), turns, target)
    };
    parts.map(row).collect()
}
