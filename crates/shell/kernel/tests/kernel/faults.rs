//! Dying at a point, as the crash tests ask for.

use sealane_kernel::fault;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[test]
fn points_are_passed_unless_a_test_asks_otherwise() {
    for what in ["one", "two", "three", "four"] {
        fault::point(what);
    }
}

#[test]
fn a_process_dies_before_what_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let order = folder.path().join("fault");
    std::fs::write(&order, "3").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "faults::points_are_passed_unless_a_test_asks_otherwise",
        ])
        .env("SEALANE_FAULT_FILE", &order)
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    let log = std::fs::read_to_string(folder.path().join("fault.log")).unwrap();
    assert_eq!(log, "1 one\n2 two\n3 three\n");
}
