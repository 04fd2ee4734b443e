//! Many containers on a host, made by several clients at once.

use crate::engine::Engine;
use crate::error::{BenchError, Result};
use crate::stage::{SOCKET, Stage, connect};
use crate::wanted::{Port, Wanted};
use std::thread;

/// So many clients make containers at once.
const CLIENTS: u16 = 4;
/// So many containers are on one network.
const PER_NETWORK: u16 = 250;

/// Runs so many containers on the daemon of a host, each with the ports for its number.
pub(crate) fn populate(
    stage: &Stage,
    index: usize,
    containers: u16,
    ports: impl Fn(u16) -> Vec<Port> + Sync,
) -> Result<()> {
    let mut engine = connect(stage.host(index), SOCKET)?;
    for number in 0..containers.div_ceil(PER_NETWORK) {
        let subnet = format!("10.{}.0.0/16", 210 + number);
        engine.create_network(&network(number), &format!("br-part{number}"), &subnet)?;
    }
    let ports = &ports;
    thread::scope(|scope| {
        let client = |first: u16| {
            let engine = connect(stage.host(index), SOCKET);
            scope.spawn(move || run_some(&mut engine?, first, containers, ports))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let lost = |_| Err(BenchError::Unexpected("a client panicked".into()));
        let joined = clients.into_iter().map(|client| client.join());
        joined
            .into_iter()
            .try_for_each(|end| end.unwrap_or_else(lost))
    })
}

/// The share of one client.
fn run_some(
    engine: &mut Engine,
    first: u16,
    containers: u16,
    ports: &(impl Fn(u16) -> Vec<Port> + Sync),
) -> Result<()> {
    for number in (first..containers).step_by(usize::from(CLIENTS)) {
        let wanted = Wanted::lasting(&network(number / PER_NETWORK)).publishing(ports(number));
        engine.run(&wanted)?;
    }
    Ok(())
}

fn network(number: u16) -> String {
    format!("part{number}")
}
