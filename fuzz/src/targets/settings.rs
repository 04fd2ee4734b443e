//! `daemon.json`.

use super::none;
use crate::{Seen, Shape, Target};
use sealane_daemon::outside;

/// A refusal is a sentence, not the file again.
const LONGEST: usize = 70_000;

pub(super) const TARGETS: &[Target] = &[Target {
    name: "daemon-json",
    shape: Shape::Json,
    words: &[
        "10.0.0.0/8",
        "fd00::/8",
        "0.0.0.0/0",
        "unix:///x",
        "tcp://[::1]:1",
        "fd://",
        "bip",
        "default-address-pools",
        "base",
        "size",
        "host-gateway",
        "1.24",
        "runtimes",
        "path",
        "default-network-opts",
        "dns",
        "fixed-cidr",
        "fixed-cidr-v6",
        "mtu",
        "labels",
        "a=b",
    ],
    made: none,
    run: daemon_json,
}];

fn daemon_json(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    match outside::settings(&text) {
        Ok(settings) => Seen::text(&settings),
        Err(refusal) => {
            assert!(refusal.len() < LONGEST, "{} bytes", refusal.len());
            Seen::text(&refusal)
        }
    }
}
