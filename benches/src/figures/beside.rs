//! Ours beside the incumbent, Debian's docker.io, where it can be unpacked and started.

use super::Extent;
use super::attach::{BREATH, GATEWAY, NETWORK, prepare};
use super::life::whole_life;
use super::start::{kinds, start_once};
use crate::echo::Pinger;
use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::peer::{NAME, Peer};
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::Stage;
use std::thread;
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(100);
/// What is measured of each, in the order of the rows.
const FIGURES: [&str; 9] = [
    "connect to an empty bridge",
    "first packet after it",
    "disconnect",
    "start on none",
    "start on a bridge",
    "start with 50 published ports",
    "removal from a bridge",
    "removal with 50 published ports",
    "create, start, wait, remove (`run --rm`)",
];

/// A daemon and what was measured of it.
struct Side<'a> {
    engine: &'a mut Engine,
    container: String,
    pinger: Pinger,
    samples: [Samples; FIGURES.len()],
}

/// Measures both in turn.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(2)?;
    let mut peer = match Peer::start(&stage, 1) {
        Ok(peer) => peer,
        Err(error) => return Ok(vec![Row::missing(format!("beside {NAME}"), chain(&error))]),
    };
    let mut ours = stage.start(0)?;
    let mut sides = [Side::new(&mut ours.engine)?, Side::new(&mut peer.engine)?];
    for _ in extent.rounds(10, SPAN) {
        for side in &mut sides {
            side.round()?;
        }
    }
    let [ours, theirs] = sides.map(|side| side.samples.map(Reading::Times));
    let pairs = FIGURES.iter().zip(ours).zip(theirs);
    let rows = pairs.map(|((figure, ours), theirs)| {
        let figure = format!("beside {NAME}: {figure}");
        Row::against(figure, ours, NAME, theirs, Target::Told)
    });
    Ok(rows.collect())
}

impl<'a> Side<'a> {
    fn new(engine: &'a mut Engine) -> Result<Self> {
        let (container, pinger) = prepare(engine)?;
        Ok(Self {
            engine,
            container,
            pinger,
            samples: [(); FIGURES.len()].map(|()| Samples::default()),
        })
    }

    fn round(&mut self) -> Result<()> {
        let [
            connect,
            packet,
            disconnect,
            none,
            bridge,
            ports,
            plain_end,
            ports_end,
            life,
        ] = &mut self.samples;
        let (engine, container) = (&mut *self.engine, &self.container);
        connect.push(timed(|| engine.connect(NETWORK, container))?.1);
        packet.push(self.pinger.ping(GATEWAY)?);
        disconnect.push(timed(|| engine.disconnect(NETWORK, container))?.1);
        thread::sleep(BREATH);
        let mut unasked = Samples::default();
        let ends = [&mut unasked, plain_end, ports_end];
        for ((wanted, start), end) in kinds().iter().zip([none, bridge, ports]).zip(ends) {
            let once = start_once(engine, wanted)?;
            start.push(once.start);
            end.push(once.removal);
        }
        life.push(whole_life(engine)?);
        Ok(())
    }
}
