//! Metrics, in the text format of Prometheus (version 0.0.4).

use crate::api::Api;
use crate::respond::{self, Response};
use hyper::StatusCode;
use sealane_containers::Counts;
use sealane_engine::{Durations, Measured};
use std::fmt::{self, Write};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/metrics`.
pub(super) fn tell(api: &Api, path: &str) -> Response {
    if path != "/metrics" {
        return respond::text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    let mut text = String::new();
    match write(&mut text, &api.engine.measured(), api.containers.counts()) {
        Ok(()) => respond::with_type(StatusCode::OK, CONTENT_TYPE, respond::full(text)),
        Err(error) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn write(text: &mut String, measured: &Measured, containers: Counts) -> fmt::Result {
    const ACTIONS: &str = "engine_daemon_network_actions_seconds";
    let help = "The number of seconds it takes to process each network action";
    head(text, ACTIONS, "histogram", help)?;
    for (action, durations) in &measured.actions {
        histogram(text, ACTIONS, action.as_str(), durations)?;
    }
    const STATES: &str = "engine_daemon_container_states_containers";
    head(
        text,
        STATES,
        "gauge",
        "The count of containers in various states",
    )?;
    for (state, count) in [
        ("paused", containers.paused),
        ("running", containers.running),
        ("stopped", containers.stopped),
    ] {
        writeln!(text, "{STATES}{{state=\"{state}\"}} {count}")?;
    }
    let gauges = [
        ("sealane_networks", measured.networks, "Networks"),
        (
            "sealane_sandboxes",
            measured.sandboxes,
            "Network stacks of containers",
        ),
        (
            "sealane_endpoints",
            measured.endpoints,
            "Endpoints of containers on networks",
        ),
        (
            "sealane_published_ports",
            measured.published_ports,
            "Published ports",
        ),
    ];
    for (name, value, help) in gauges {
        head(text, name, "gauge", help)?;
        writeln!(text, "{name} {value}")?;
    }
    let repairs = "Objects put back after something else had changed them";
    let queries = "Queries that containers asked the resolver";
    for (name, value, help) in [
        ("sealane_repairs_total", measured.repairs, repairs),
        ("sealane_dns_queries_total", measured.dns_queries, queries),
    ] {
        head(text, name, "counter", help)?;
        writeln!(text, "{name} {value}")?;
    }
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn histogram(text: &mut String, name: &str, action: &str, durations: &Durations) -> fmt::Result {
    let label = format!("action=\"{action}\"");
    for (bound, count) in Durations::BOUNDS.iter().zip(durations.within) {
        writeln!(text, "{name}_bucket{{{label},le=\"{bound}\"}} {count}")?;
    }
    let (count, sum) = (durations.count, durations.sum.as_secs_f64());
    writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {count}")?;
    writeln!(text, "{name}_sum{{{label}}} {sum}")?;
    writeln!(text, "{name}_count{{{label}}} {count}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use sealane_engine::Action;
    use std::time::Duration;

    #[test]
    fn what_is_measured_is_told() {
        let mut durations = Durations {
            count: 3,
            sum: Duration::from_millis(1500),
            ..Durations::default()
        };
        durations.within[10] = 2;
        let measured = Measured {
            actions: vec![(Action::Connect, durations)],
            networks: 4,
            sandboxes: 2,
            endpoints: 3,
            published_ports: 5,
            repairs: 1,
            dns_queries: 9,
        };
        let mut text = String::new();
        write(&mut text, &measured, Counts::default()).unwrap();
        let tail: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.contains("le=\"10\""))
            .filter(|line| !line.starts_with("# HELP"))
            .collect();
        expect![[r#"
            engine_daemon_network_actions_seconds_bucket{action="connect",le="10"} 2
            engine_daemon_network_actions_seconds_bucket{action="connect",le="+Inf"} 3
            engine_daemon_network_actions_seconds_sum{action="connect"} 1.5
            engine_daemon_network_actions_seconds_count{action="connect"} 3
            # TYPE engine_daemon_container_states_containers gauge
            engine_daemon_container_states_containers{state="paused"} 0
            engine_daemon_container_states_containers{state="running"} 0
            engine_daemon_container_states_containers{state="stopped"} 0
            # TYPE sealane_networks gauge
            sealane_networks 4
            # TYPE sealane_sandboxes gauge
            sealane_sandboxes 2
            # TYPE sealane_endpoints gauge
            sealane_endpoints 3
            # TYPE sealane_published_ports gauge
            sealane_published_ports 5
            # TYPE sealane_repairs_total counter
            sealane_repairs_total 1
            # TYPE sealane_dns_queries_total counter
            sealane_dns_queries_total 9"#]]
        .assert_eq(&tail.join("\n"));
    }
}
