//! Connecting a container that runs, against the floor; the first packet after it.

use super::Extent;
use crate::echo::Pinger;
use crate::engine::Engine;
use crate::error::Result;
use crate::floor::{Bridge, Endpoint};
use crate::namespace::Namespace;
use crate::netlink::Route;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::{Ours, Stage};
use crate::wanted::Wanted;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

/// The network that is connected to.
pub(super) const NETWORK: &str = "crowded";
const BRIDGE: &str = "br-crowded";
const SUBNET: &str = "10.200.0.0/16";
/// The gateway of the network.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// The network the container has anyway.
const HOME: &str = "home";
/// The kernel finishes removals after the answer; the next measurement shall not pay for that.
pub(super) const BREATH: Duration = Duration::from_millis(10);

/// For one number of endpoints.
const SPAN: Duration = Duration::from_secs(30);

/// What one number of endpoints gave.
#[derive(Debug, Default)]
struct Measured {
    connect: Samples,
    disconnect: Samples,
    first_packet: Samples,
    floor_attach: Samples,
    floor_detach: Samples,
    floor_packet: Samples,
}

/// Measures with more and more endpoints on the bridge.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut scene = Scene::set(&stage)?;
    let mut rows = Vec::new();
    for endpoints in extent.size([1, 100, 500, 900], [1, 20, 40, 60]) {
        scene.crowd(endpoints)?;
        let measured = scene.measure(extent.rounds(60, SPAN))?;
        rows.extend(measured.rows(endpoints));
    }
    Ok(rows)
}

/// A container of ours, a bare namespace, and the bridge that both are joined to.
struct Scene {
    // The connection of the API.
    ours: Ours,
    container: String,
    pinger: Pinger,
    host: Route,
    bridge: Bridge,
    bare: Endpoint,
    bare_pinger: Pinger,
    crowd: Vec<Endpoint>,
}

impl Scene {
    fn set(stage: &Stage) -> Result<Self> {
        let mut ours = stage.start(0)?;
        let (container, pinger) = prepare(&mut ours.engine)?;
        let host = Namespace::of_process(&stage.host(0).path("/proc/1"))?;
        let mut host = host.route()?;
        let bridge = Bridge::find(&mut host, BRIDGE, GATEWAY)?;
        let bare = Endpoint::new(&bridge, 1)?;
        Ok(Self {
            bare_pinger: Pinger::open(bare.namespace())?,
            bare,
            ours,
            container,
            pinger,
            host,
            bridge,
            crowd: vec![],
        })
    }

    /// Fills the bridge up to this number of endpoints.
    fn crowd(&mut self, endpoints: u16) -> Result<()> {
        for number in self.crowd.len() as u16..endpoints {
            let mut endpoint = Endpoint::new(&self.bridge, number + 2)?;
            endpoint.attach(&mut self.host)?;
            self.crowd.push(endpoint);
        }
        thread::sleep(BREATH * 20);
        Ok(())
    }

    /// Measures ours and the floor in turn; who is first changes with each round.
    fn measure(&mut self, rounds: impl Iterator<Item = usize>) -> Result<Measured> {
        let mut measured = Measured::default();
        for round in rounds {
            if round % 2 == 0 {
                self.measure_ours(&mut measured)?;
                self.measure_floor(&mut measured)?;
            } else {
                self.measure_floor(&mut measured)?;
                self.measure_ours(&mut measured)?;
            }
        }
        Ok(measured)
    }

    fn measure_ours(&mut self, measured: &mut Measured) -> Result<()> {
        let engine = &mut self.ours.engine;
        let ((), connect) = timed(|| engine.connect(NETWORK, &self.container))?;
        let first_packet = self.pinger.ping(GATEWAY)?;
        let ((), disconnect) = timed(|| engine.disconnect(NETWORK, &self.container))?;
        measured.connect.push(connect);
        measured.first_packet.push(first_packet);
        measured.disconnect.push(disconnect);
        thread::sleep(BREATH);
        Ok(())
    }

    fn measure_floor(&mut self, measured: &mut Measured) -> Result<()> {
        let ((), attach) = timed(|| self.bare.attach(&mut self.host))?;
        let first_packet = self.bare_pinger.ping(GATEWAY)?;
        let ((), detach) = timed(|| self.bare.detach(&mut self.host))?;
        measured.floor_attach.push(attach);
        measured.floor_packet.push(first_packet);
        measured.floor_detach.push(detach);
        thread::sleep(BREATH);
        Ok(())
    }
}

/// Makes the network, and a container that runs elsewhere.
pub(super) fn prepare(engine: &mut Engine) -> Result<(String, Pinger)> {
    engine.create_network(NETWORK, BRIDGE, SUBNET)?;
    engine.create_network(HOME, "br-home", "10.201.0.0/16")?;
    let container = engine.run(&Wanted::lasting(HOME))?;
    let pinger = Pinger::open(&engine.namespace(&container)?)?;
    Ok((container, pinger))
}

impl Measured {
    fn rows(self, endpoints: u16) -> Vec<Row> {
        let with = |what: &str| format!("{what}, {endpoints} endpoints");
        let row = |figure, ours, floor, target| {
            let (ours, floor) = (Reading::Times(ours), Reading::Times(floor));
            Row::against(with(figure), ours, "floor", floor, target)
        };
        vec![
            row(
                "connect",
                self.connect,
                self.floor_attach,
                Target::AtMostTimes(2.5),
            ),
            row(
                "disconnect",
                self.disconnect,
                self.floor_detach,
                Target::Told,
            ),
            row(
                "first packet",
                self.first_packet,
                self.floor_packet,
                Target::Under(1e-3),
            ),
        ]
    }
}
