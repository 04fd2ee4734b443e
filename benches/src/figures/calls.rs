//! A call that lasts one process, beside 100 networks and 100 sandboxes: what it costs more than the
//! same change in a daemon that runs.

use super::Extent;
use crate::error::{BenchError, Result};
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::Stage;
use sealane_core::model::{EndpointSpec, Owner};
use sealane_engine::SandboxSpec;
use sealane_session::{Call, Roots, sandbox_id};
use sealane_testkit::{Host, binary};
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(30);
/// What a process of its own may add, from its start to its end.
const MORE: f64 = 0.010;
const CREATE: &str = "sandbox create --netns measured --network n1 measured";
const REMOVE: &str = "sandbox rm measured";

/// Makes and removes a sandbox in the daemon, then without one.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut ours = stage.start(0)?;
    let others = extent.size(100, 5);
    for number in 1..=others {
        let (bridge, subnet) = (format!("br-{number}"), format!("10.{number}.0.0/24"));
        ours.engine
            .create_network(&format!("n{number}"), &bridge, &subnet)?;
    }
    let host = stage.host(0);
    run(host, "ip netns add measured")?;
    run(
        host,
        &format!(
            "for i in $(seq {others}); do ip netns add s$i; {} sandbox create --netns s$i --network n$i s$i; done",
            binary().display()
        ),
    )?;
    let (mut floor, mut floor_gone) = (Samples::default(), Samples::default());
    for _ in extent.rounds(100, SPAN) {
        floor.push(in_daemon(host, &create())?);
        floor_gone.push(in_daemon(host, &Call::RemoveSandbox("measured".into()))?);
    }
    ours.stop();
    let (mut alone, mut alone_gone) = (Samples::default(), Samples::default());
    for _ in extent.rounds(100, SPAN) {
        alone.push(process(host, CREATE)?);
        alone_gone.push(process(host, REMOVE)?);
    }
    let row = |what: &str, ours, theirs| {
        Row::against(
            format!("{what} by a process of its own, {others} networks and sandboxes"),
            Reading::Times(ours),
            "in the daemon",
            Reading::Times(theirs),
            Target::AtMostMore(MORE),
        )
    };
    Ok(vec![
        row("sandbox create", alone, floor),
        row("sandbox rm", alone_gone, floor_gone),
    ])
}

/// What the command asks for.
fn create() -> Call {
    let endpoint = ("n1".to_owned(), EndpointSpec::default());
    let mut spec = SandboxSpec::named("measured", sandbox_id("measured"));
    spec.given = Some("/run/netns/measured".into());
    spec.endpoints.push(endpoint);
    Call::CreateSandbox(spec)
}

/// How long a daemon takes for a call, asked from here.
fn in_daemon(host: &Host, call: &Call) -> Result<Duration> {
    let roots = Roots {
        data_root: host.path("/var/lib/sealane"),
        exec_root: host.path("/run/sealane"),
        owner: Owner::default(),
        patience: Duration::ZERO,
    };
    let ask = || {
        let answer = sealane_session::call(&roots, call);
        answer.map_err(|error| BenchError::Unexpected(error.to_string()))
    };
    timed(ask).map(|(_, took)| took)
}

/// How long a process takes from its start to its end.
fn process(host: &Host, arguments: &str) -> Result<Duration> {
    let binary = binary();
    let script = format!(
        "begin=$EPOCHREALTIME; {} {arguments} >/dev/null; end=$EPOCHREALTIME; \
         echo $(( ${{end/./}} - ${{begin/./}} ))",
        binary.display()
    );
    let micros = run(host, &script)?;
    let micros = micros.trim().parse();
    let micros = micros.map_err(|_| BenchError::Unexpected(format!("{arguments}: no time")))?;
    Ok(Duration::from_micros(micros))
}

fn run(host: &Host, script: &str) -> Result<String> {
    let outcome = host.sh(script);
    match outcome.succeeded() {
        true => Ok(outcome.stdout),
        false => Err(BenchError::Unexpected(outcome.stderr)),
    }
}
