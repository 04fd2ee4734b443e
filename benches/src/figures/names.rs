//! Names of siblings, asked inside a sandbox, against a bare UDP echo in the same place.

use super::Extent;
use crate::error::{BenchError, Result};
use crate::load::{Client, Echo, SERVER};
use crate::namespace::Namespace;
use crate::report::{Reading, Row, Target};
use crate::samples::median;
use crate::stage::{Ours, Stage};
use crate::wanted::Wanted;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

const NETWORK: &str = "named";
const RESOLVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 11), 53);
/// Of the echo's rate.
const RATIO: f64 = 0.6;
const SPAN: Duration = Duration::from_secs(30);
const P99: f64 = 0.002;

/// A sandbox, its clients, and what they found.
struct Scene {
    ours: Ours,
    namespace: Namespace,
    echo: Client,
    _server: Echo,
}

/// What some number of names gave, of the echo and of the resolver.
struct Measured {
    rates: [f64; 2],
    /// The p99 at half the resolver's rate, in seconds.
    tails: [f64; 2],
}

/// Measures with one name and with 10,000.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut scene = Scene::set(&stage)?;
    let mut rows = Vec::new();
    for names in extent.size([1, 10_000], [1, 100]) {
        let measured = scene.measure(names, extent)?;
        rows.extend(measured.rows(names));
    }
    Ok(rows)
}

impl Scene {
    fn set(stage: &Stage) -> Result<Self> {
        let mut ours = stage.start(0)?;
        ours.engine
            .create_network(NETWORK, "br-named", "10.220.0.0/16")?;
        let id = ours.engine.run(&Wanted::lasting(NETWORK))?;
        let namespace = ours.engine.namespace(&id)?;
        favor(stage, ours.pid());
        let server = namespace.visit(Echo::start)?;
        let echo = client(&namespace, server.address(), &names(1))?;
        Ok(Self {
            ours,
            namespace,
            echo,
            _server: server,
        })
    }

    /// Gives a sibling this many names, and asks for all of them.
    fn measure(&mut self, count: usize, extent: Extent) -> Result<Measured> {
        let names = names(count);
        let sibling = Wanted::lasting(NETWORK).called(&names);
        let sibling = self.ours.engine.run(&sibling)?;
        let mut client = client(&self.namespace, RESOLVER.into(), &names)?;
        check(&client.ask()?)?;
        let block = Duration::from_millis(extent.size(500, 100));
        let mut clients = [&mut self.echo, &mut client];
        let rates = in_turn(&mut clients, extent, |client| client.saturate(block))?;
        let half = rates[1] / 2.0;
        let tails = in_turn(&mut clients, extent, |client| {
            let answers = client.pace(half, block)?;
            Ok(answers.quantile(0.99).as_secs_f64())
        })?;
        self.ours.engine.remove(&sibling)?;
        Ok(Measured { rates, tails })
    }
}

/// Gives the daemon the echo's core, all its threads, so that whichever answers has it; and the
/// same precedence as the echo, if the kernel has one to give.
fn favor(stage: &Stage, daemon: u64) {
    let core = format!("taskset --all-tasks --cpu-list --pid {SERVER} {daemon}");
    stage.host(0).sh(&core).ok();
    let precedence = format!("chrt --all-tasks --reset-on-fork --rr --pid 1 {daemon} || true");
    stage.host(0).sh(&precedence).ok();
}

/// Measures the clients in turn, in several blocks, and returns the median of each. What others
/// do on the machine falls on some of the blocks; what we do falls on all.
fn in_turn(
    clients: &mut [&mut Client; 2],
    extent: Extent,
    mut measure: impl FnMut(&mut Client) -> Result<f64>,
) -> Result<[f64; 2]> {
    let mut readings = [vec![], vec![]];
    for _ in extent.rounds(8, SPAN) {
        for (client, readings) in clients.iter_mut().zip(&mut readings) {
            readings.push(measure(client)?);
        }
    }
    Ok(readings.map(median))
}

impl Measured {
    fn rows(self, names: usize) -> Vec<Row> {
        let of = match names {
            1 => "one name".to_owned(),
            many => format!("{many} names"),
        };
        let [echo, ours] = self.rates.map(Reading::Rate);
        let tails = self.tails.map(Duration::from_secs_f64);
        let [echo_tail, tail] = tails.map(Reading::Time);
        let against = |figure: &str, ours, echo, target| {
            Row::against(format!("{figure}, of {of}"), ours, "UDP echo", echo, target)
        };
        vec![
            against("a sibling's name", ours, echo, Target::AtLeastTimes(RATIO)),
            against(
                "p99 of a name at half that load",
                tail,
                echo_tail,
                Target::Under(P99),
            ),
        ]
    }
}

/// Names as people give them.
fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("service-{number}"))
        .collect()
}

/// A client in a namespace that asks for the addresses of names.
fn client(namespace: &Namespace, server: SocketAddr, names: &[String]) -> Result<Client> {
    let socket = namespace.visit(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(server)?;
        Ok(socket)
    })?;
    let queries = names.iter().map(|name| query(name)).collect();
    Ok(Client::new(socket, queries))
}

/// A question for the IPv4 address of a name of one label (RFC 1035, 4.1).
fn query(name: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.push(name.len() as u8);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

/// Whether an answer has an address: refusals may be faster.
fn check(answer: &[u8]) -> Result<()> {
    match answer {
        [_, _, 0x80..=0xff, code, _, _, 0, 1..=255, ..] if code & 15 == 0 => Ok(()),
        _ => Err(BenchError::Unexpected(format!(
            "the resolver gave no address: {answer:02x?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_an_address_is_refused() {
        let mut answer = query("web");
        check(&answer).unwrap_err();
        (answer[2], answer[7]) = (0x81, 1);
        check(&answer).unwrap();
        answer[3] = 3;
        check(&answer).unwrap_err();
    }
}
