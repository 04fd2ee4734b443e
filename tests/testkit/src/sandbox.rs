//! A container's network stack, seen from inside by the host's own tools.

use crate::host::in_netns;
use crate::{Capture, Host, Outcome};
use serde_json::Value;

/// The network namespace of a process on a host: the image need not hold any tool.
#[derive(Clone, Debug)]
pub struct Sandbox {
    host: Host,
    pid: u32,
}

impl Sandbox {
    pub(crate) fn new(host: &Host, pid: u32) -> Self {
        Self {
            host: host.clone(),
            pid,
        }
    }

    /// The process by which it is entered, as the host sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Runs a line of bash in it. The files are the host's.
    pub fn sh(&self, script: &str) -> Outcome {
        let quoted = script.replace('\'', r"'\''");
        let mut outcome = self
            .host
            .sh(&format!("nsenter -t {} -n bash -c '{quoted}'", self.pid));
        outcome.command = script.to_owned();
        outcome
    }

    /// What `ip -json` says in it.
    #[track_caller]
    pub fn ip_json(&self, arguments: &str) -> Value {
        let outcome = self.sh(&format!("ip -json {arguments}"));
        if outcome.ok().is_empty() {
            Value::Array(vec![])
        } else {
            outcome.json()
        }
    }

    /// The lines of a routing table, without who made them: `routes("-6 route")`.
    #[track_caller]
    pub fn routes(&self, arguments: &str) -> Vec<String> {
        let listed = self.sh(&format!("ip {arguments}")).ok();
        listed
            .lines()
            .map(|line| without_protocol(line.trim()))
            .collect()
    }

    /// The names of its interfaces, in order.
    #[track_caller]
    pub fn interfaces(&self) -> Vec<String> {
        let links = self.ip_json("link");
        let names = links.as_array().into_iter().flatten();
        names
            .filter_map(|link| link["ifname"].as_str().map(str::to_owned))
            .collect()
    }

    /// Whether one packet to `address` and its answer get through.
    pub fn pings(&self, address: &str) -> bool {
        self.sh(&format!("ping -n -c 1 -W 1 {address}")).succeeded()
    }

    /// Fetches `http://AUTHORITY/` from there and returns the page, if it answers.
    pub fn fetch(&self, authority: &str) -> Option<String> {
        fetched(&self.sh(&curl(authority)))
    }

    /// Asks a name server there: `dig("+short web")`. The default server is the sandbox's own.
    pub fn dig(&self, arguments: &str) -> Outcome {
        self.sh(&format!("dig @127.0.0.11 +tries=1 +time=3 {arguments}"))
    }

    /// Captures packets in it.
    #[track_caller]
    pub fn capture(&self, interface: &str, filter: &str) -> Capture {
        Capture::start_in(&self.host, self.pid, interface, filter)
    }

    /// Runs code on a thread in it, for sockets.
    pub fn in_netns<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        in_netns(&self.host.path(format!("/proc/{}/ns/net", self.pid)), code)
    }

    /// The number by which the kernel tells network namespaces apart.
    #[track_caller]
    pub fn netns_inode(&self) -> String {
        self.host
            .sh(&format!("readlink /proc/{}/ns/net", self.pid))
            .ok()
    }
}

impl Host {
    /// Whether one packet to `address` and its answer get through.
    pub fn pings(&self, address: &str) -> bool {
        self.sh(&format!("ping -n -c 1 -W 1 {address}")).succeeded()
    }

    /// Fetches `http://AUTHORITY/` from there and returns the page, if it answers.
    pub fn fetch(&self, authority: &str) -> Option<String> {
        fetched(&self.sh(&curl(authority)))
    }

    /// The number by which the kernel tells network namespaces apart.
    #[track_caller]
    pub fn netns_inode(&self) -> String {
        self.sh("readlink /proc/self/ns/net").ok()
    }
}

fn curl(authority: &str) -> String {
    format!("curl -sS -g --noproxy '*' --max-time 2 'http://{authority}/'")
}

fn fetched(outcome: &Outcome) -> Option<String> {
    outcome
        .succeeded()
        .then(|| outcome.stdout.trim_end().to_owned())
}

/// A route without its `proto N`, which says who made it and not where it leads.
fn without_protocol(route: &str) -> String {
    let mut words = Vec::new();
    let mut rest = route.split(' ');
    while let Some(word) = rest.next() {
        if word == "proto" {
            rest.next();
        } else {
            words.push(word);
        }
    }
    words.join(" ")
}
