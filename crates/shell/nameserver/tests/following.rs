//! The host's resolv.conf, changed in all the ways that it is.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use sealane_core::dns::ResolvConf;
use sealane_nameserver::watch_host;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What comes, in order. A watch that sees nothing would wait for ever, so it ends here.
fn next(changes: &Receiver<ResolvConf>) -> String {
    let conf = changes
        .recv_timeout(Duration::from_secs(60))
        .expect("the change is noticed");
    conf.servers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn write(path: &Path, server: &str) {
    fs::write(path, format!("nameserver {server}\n")).unwrap();
}

#[test]
fn a_file_is_followed_through_rewrites_renames_and_removal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    write(&path, "10.0.0.1");
    let (sender, changes) = channel();
    let watch = watch_host(&path, move |conf| sender.send(conf).unwrap()).unwrap();
    assert_eq!(next(&changes), "10.0.0.1");
    write(&path, "10.0.0.2");
    assert_eq!(next(&changes), "10.0.0.2");
    let new = folder.path().join("resolv.conf.new");
    write(&new, "10.0.0.3");
    fs::rename(&new, &path).unwrap();
    assert_eq!(next(&changes), "10.0.0.3");
    fs::remove_file(&path).unwrap();
    write(&path, "10.0.0.4");
    assert_eq!(next(&changes), "10.0.0.4");
    write(&folder.path().join("other"), "10.9.9.9");
    write(&path, "10.0.0.5");
    assert_eq!(next(&changes), "10.0.0.5");
    drop(watch);
    assert!(changes.try_recv().is_err(), "nothing was told twice");
}

#[test]
fn a_link_is_followed_to_where_it_leads_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    let run = folder.path().join("run");
    symlink("run/stub.conf", &path).unwrap();
    let (sender, changes) = channel();
    let _watch = watch_host(&path, move |conf| sender.send(conf).unwrap()).unwrap();
    fs::create_dir(&run).unwrap();
    // The folder must be seen before what is in it can be.
    std::thread::sleep(Duration::from_millis(300));
    write(&run.join("stub.conf"), "10.0.0.1");
    assert_eq!(next(&changes), "10.0.0.1");
    write(&run.join("stub.conf"), "10.0.0.2");
    assert_eq!(next(&changes), "10.0.0.2");
    write(&run.join("real.conf"), "10.0.0.3");
    let new = folder.path().join("new");
    symlink("run/real.conf", &new).unwrap();
    fs::rename(&new, &path).unwrap();
    assert_eq!(next(&changes), "10.0.0.3");
    write(&run.join("real.conf"), "10.0.0.4");
    assert_eq!(next(&changes), "10.0.0.4");
}
