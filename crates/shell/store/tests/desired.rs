//! Desired state: what was committed is there, what was refused is not, and nothing is lost in
//! silence.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use redb::{Database, TableDefinition};
use sealane_store::{Batch, Store, StoreError, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(5);

const NETWORKS: Table = Table("networks");
const CONTAINERS: Table = Table("containers");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
    size: u32,
}

fn thing(name: &str, size: u32) -> Thing {
    Thing {
        name: name.into(),
        size,
    }
}

fn put(store: &Store, table: Table, key: &str, value: &Thing) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    batch.put(table, key, value).unwrap();
    store.commit(&batch)
}

fn all(store: &Store, table: Table) -> BTreeMap<String, Thing> {
    store.load_all(table).unwrap()
}

fn file(root: &Path) -> PathBuf {
    root.join("sealane.redb")
}

/// Opens a root that was open before. A program that another test starts holds the lock, too, from
/// its fork to its exec.
fn reopened(root: &Path) -> Result<Store, StoreError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match Store::open(root) {
            Err(StoreError::InUse { .. }) if Instant::now() < end => thread::yield_now(),
            opened => return opened,
        }
    }
}

/// A root with some things in it, and what they are.
fn filled(root: &Path) -> BTreeMap<String, Thing> {
    let store = Store::open(root).unwrap();
    let mut batch = Batch::default();
    for number in 0..200 {
        batch
            .put(NETWORKS, format!("key{number:03}"), &thing("blue", number))
            .unwrap();
    }
    store.commit(&batch).unwrap();
    all(&store, NETWORKS)
}

#[test]
fn what_is_committed_is_there_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let store = reopened(&root.path().join("not/yet/there")).unwrap();
    assert!(all(&store, NETWORKS).is_empty());
    let mut batch = Batch::default();
    batch.put(NETWORKS, "b", &thing("blue", 1)).unwrap();
    batch.put(NETWORKS, "a", &thing("amber", 2)).unwrap();
    batch.put(CONTAINERS, "a", &thing("web", 3)).unwrap();
    store.commit(&batch).unwrap();
    let mut batch = Batch::default();
    batch.delete(NETWORKS, "b");
    batch.delete(NETWORKS, "never there");
    batch.put(NETWORKS, "a", &thing("amber", 4)).unwrap();
    store.commit(&batch).unwrap();
    store.commit(&Batch::default()).unwrap();
    drop(store);

    let store = reopened(&root.path().join("not/yet/there")).unwrap();
    assert_eq!(
        all(&store, NETWORKS),
        [("a".to_owned(), thing("amber", 4))].into()
    );
    assert_eq!(
        all(&store, CONTAINERS),
        [("a".to_owned(), thing("web", 3))].into()
    );
}

#[test]
fn a_second_daemon_on_the_same_root_is_told_who_is_there() {
    let root = tempfile::tempdir().unwrap();
    let first = Store::open(root.path()).unwrap();
    let text = Store::open(root.path()).unwrap_err().to_string();
    let expected = format!(
        "another daemon (process {}) uses {}; stop it, or choose another --data-root",
        std::process::id(),
        root.path().display()
    );
    assert_eq!(text, expected);
    put(&first, NETWORKS, "a", &thing("blue", 1)).expect("the first one goes on");
    drop(first);
    reopened(root.path()).expect("it is free again");
}

#[test]
fn a_later_format_is_refused() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let root = tempfile::tempdir().unwrap();
    drop(reopened(root.path()).unwrap());
    let database = Database::open(file(root.path())).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(META)
        .unwrap()
        .insert("format", &b"2"[..])
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = reopened(root.path()).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_foreign_or_cut_file_is_refused_and_kept() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path());
    let whole = fs::read(file(root.path())).unwrap();
    let cuts = [0, 1, 100, 4096, whole.len() / 2, whole.len() - 4096];
    let mut contents: Vec<Vec<u8>> = cuts.iter().map(|cut| whole[..*cut].to_vec()).collect();
    contents.push(b"something else altogether".repeat(1000));
    contents.push(vec![0; whole.len()]);
    for content in contents {
        fs::write(file(root.path()), &content).unwrap();
        let error = reopened(root.path()).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{} bytes: {error:?}",
            content.len()
        );
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
        assert!(
            fs::read(file(root.path())).unwrap() == content,
            "{} bytes",
            content.len()
        );
    }
    fs::write(file(root.path()), &whole).unwrap();
    reopened(root.path()).unwrap();
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let root = tempfile::tempdir().unwrap();
    let present = filled(root.path());
    let whole = fs::read(file(root.path())).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut content = whole.clone();
        content[place] ^= 0x10;
        fs::write(file(root.path()), &content).unwrap();
        match reopened(root.path()) {
            Ok(store) => assert!(all(&store, NETWORKS) == present, "flipped at {place}"),
            Err(StoreError::Damaged { .. }) => {}
            Err(other) => panic!("flipped at {place}: {other:?}"),
        }
    }
}

#[test]
fn a_value_of_another_shape_is_named() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let mut batch = Batch::default();
    batch.put(NETWORKS, "a", &"only a text").unwrap();
    store.commit(&batch).unwrap();
    let error = store.load_all::<Thing>(NETWORKS).unwrap_err().to_string();
    assert!(error.starts_with("a in table networks of "), "{error}");
}

#[test]
fn a_root_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let error = Store::open(&root.path().join("file/below"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot use ") && error.contains("file/below"),
        "{error}"
    );
}

#[test]
fn a_full_disk_changes_nothing_and_is_got_over() {
    sealane_kernel::netns::isolated(|| {
        let mount = tempfile::tempdir().unwrap();
        let path = mount.path().to_owned();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "none"])
            .arg(&path)
            .status();
        assert!(mounted.unwrap().success());
        on_a_small_disk(&path);
        // Lazily, because a failed assertion leaves files open, too.
        assert!(
            Command::new("umount")
                .arg("-l")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
    })
    .unwrap();
}

fn on_a_small_disk(disk: &Path) {
    let root = disk.join("root");
    let store = reopened(&root).unwrap();
    put(&store, NETWORKS, "kept", &thing("blue", 1)).unwrap();
    let ballast = disk.join("ballast");
    for round in 0..3 {
        // Fills the disk to the last byte; the write ends with an error.
        assert!(fs::write(&ballast, vec![1; 8 << 20]).is_err());
        let before = all(&store, NETWORKS);
        let large = thing(&"x".repeat(1 << 20), round);
        let error = put(&store, NETWORKS, "large", &large).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("no space left on the disk of "),
            "{error}"
        );

        let small = put(&store, NETWORKS, "small", &thing("small", round));
        assert!(
            matches!(small, Ok(()) | Err(StoreError::Full { .. })),
            "{small:?}"
        );
        fs::remove_file(&ballast).unwrap();
        if small.is_err() {
            assert_eq!(all(&store, NETWORKS), before);
        }
        put(&store, NETWORKS, "after", &thing("after", round)).unwrap();
        assert_eq!(all(&store, NETWORKS)["after"], thing("after", round));
        assert_eq!(all(&store, NETWORKS)["kept"], thing("blue", 1));
    }
    drop(store);
    let store = reopened(&root).unwrap();
    assert_eq!(all(&store, NETWORKS)["after"], thing("after", 2));
    drop(store);
    assert!(fs::write(&ballast, vec![1; 8 << 20]).is_err());
    let opened = reopened(&root);
    assert!(
        matches!(opened, Ok(_) | Err(StoreError::Full { .. })),
        "{opened:?}"
    );
    drop(opened);
    fs::remove_file(&ballast).unwrap();
    let store = reopened(&root).unwrap();
    assert_eq!(all(&store, NETWORKS)["after"], thing("after", 2));
}
