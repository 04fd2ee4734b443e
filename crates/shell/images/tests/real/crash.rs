//! A store that dies at every write, and is opened again.

use crate::stage::{Stage, Tar, gzip, id, on_stage, test_name, tree};
use std::fs;
use std::process::Command;

const WORKER: &str = "SEALANE_TEST_WORKER";

/// What is done, and dies somewhere on the way.
fn work(stage: &Stage) {
    let images = stage.images();
    // The order counts from when it changes: not before the store is open.
    fs::rename(stage.folder.join("next fault"), stage.folder.join("fault")).unwrap();
    let tar = gzip(&Tar::new().file("file", "1").bytes());
    let image = images.import(&*tar, Some("x"), &[], "").unwrap();
    images.tag("x", "y").unwrap();
    images.prepare(&image, &id("c")).unwrap();
    images.mount(&id("c")).unwrap();
    images.unmount(&id("c")).unwrap();
    images.remove_root(&id("c")).unwrap();
    images.remove("y", false, &|_| Vec::new()).unwrap();
    images.remove("x", false, &|_| Vec::new()).unwrap();
}

#[test]
fn whenever_it_dies_what_is_left_is_whole() {
    let path = concat!(module_path!(), "::whenever_it_dies_what_is_left_is_whole");
    on_stage(path, |stage| {
        if std::env::var_os(WORKER).is_some() {
            return work(&stage);
        }
        let order = stage.folder.join("fault");
        let mut deaths = 0;
        loop {
            fs::write(stage.folder.join("next fault"), (deaths + 1).to_string()).unwrap();
            let status = Command::new(std::env::current_exe().unwrap())
                .args([
                    test_name(path),
                    "--exact",
                    "--nocapture",
                    "--test-threads=1",
                ])
                .env(WORKER, "1")
                .env("SEALANE_FAULT_FILE", &order)
                .status()
                .unwrap();
            fs::remove_file(&order).unwrap();
            if status.success() {
                break;
            }
            deaths += 1;
            check(&stage, deaths);
        }
        let log = fs::read_to_string(stage.folder.join("fault.log")).unwrap();
        assert!(deaths >= 12, "{log}");
        assert_eq!(stage.counts(), [0; 5]);
    });
}

/// Every image that is listed can be used; nothing else is there.
fn check(stage: &Stage, deaths: usize) {
    let images = stage.images();
    let listed = images.list().unwrap();
    let whole = listed.len();
    let roots = images.roots().unwrap();
    assert_eq!(
        stage.counts(),
        [0, whole * 2, whole, whole, roots.len()],
        "after death {deaths}"
    );
    for image in &listed {
        images.prepare(&image.id, &id("check")).unwrap();
        assert_eq!(tree(&images.mount(&id("check")).unwrap()), ["file: 1"]);
        images.remove_root(&id("check")).unwrap();
    }
    for root in &roots {
        images.mount(root).unwrap();
        images.remove_root(root).unwrap();
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains("/merged"),
        "after death {deaths}: {mounts}"
    );
    for image in listed {
        images
            .remove(&image.id.to_string(), true, &|_| Vec::new())
            .unwrap();
    }
    drop(images);
    drop(stage.images());
    assert_eq!(stage.counts(), [0; 5], "after death {deaths}");
}
