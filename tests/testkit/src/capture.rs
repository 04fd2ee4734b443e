//! Packets as a witness.

use crate::Host;
use crate::host::Background;
use std::thread;
use std::time::Duration;

/// A running `tcpdump`.
#[derive(Debug)]
pub struct Capture(Background);

impl Capture {
    /// Captures on an interface of a host, or `any`. Returns when it listens.
    #[track_caller]
    pub fn start(host: &Host, interface: &str, filter: &str) -> Self {
        Self::run(host, "", interface, filter)
    }

    /// Captures in the namespace of a process of the host.
    #[track_caller]
    pub fn start_in(host: &Host, process: u32, interface: &str, filter: &str) -> Self {
        Self::run(host, &format!("nsenter -t {process} -n"), interface, filter)
    }

    fn run(host: &Host, enter: &str, interface: &str, filter: &str) -> Self {
        let tcpdump = "tcpdump -nn -e -l -U --immediate-mode";
        let running = host.spawn(&format!("exec {enter} {tcpdump} -i {interface} '{filter}'"));
        running.wait_for("listening on");
        Self(running)
    }

    /// The lines for the packets so far.
    pub fn packets(&self) -> Vec<String> {
        let output = self.0.output();
        let is_packet = |line: &&str| line.starts_with(|first: char| first.is_ascii_digit());
        let without_totals =
            |line: &&str| !line.contains(" packets ") && !line.ends_with(" packet");
        output
            .lines()
            .filter(is_packet)
            .filter(without_totals)
            .map(str::to_owned)
            .collect()
    }

    /// Waits a moment for packets on their way, then returns the lines.
    pub fn stop(self) -> Vec<String> {
        thread::sleep(Duration::from_millis(50));
        self.packets()
    }
}
