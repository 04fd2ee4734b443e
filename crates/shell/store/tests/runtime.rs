//! Runtime state: records and claims of this boot, and nothing of another.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use sealane_core::model::{Id, InterfaceName};
use sealane_store::{BootId, Journal, JournalError, RecordError, Records};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

fn boot() -> BootId {
    BootId::named("this boot")
}

fn journal(path: &Path) -> (Journal<String>, BTreeSet<String>) {
    Journal::open(path, boot()).unwrap()
}

fn keys(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn append(path: &Path, text: &str) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

#[test]
fn the_kernel_names_the_boot() {
    let boot = BootId::current().unwrap();
    assert_eq!(boot, BootId::current().unwrap());
    assert_eq!(boot.as_str().len(), 36, "{boot:?}");
}

#[test]
fn records_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (records, loaded) = Records::<u32>::open(folder.path(), boot()).unwrap();
    assert!(loaded.records.is_empty());
    records.write("a", &1).unwrap();
    records.write("a", &2).unwrap();
    records.write("b", &3).unwrap();
    records.remove("b").unwrap();
    records.remove("never there").unwrap();
    let (_, loaded) = Records::<u32>::open(folder.path(), boot()).unwrap();
    assert_eq!(loaded.records, [("a".to_owned(), 2)].into());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn records_of_another_boot_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (records, _) = Records::<u32>::open(folder.path(), BootId::named("before")).unwrap();
    records.write("a", &1).unwrap();
    let (_, loaded) = Records::<u32>::open(folder.path(), boot()).unwrap();
    assert!(loaded.records.is_empty() && loaded.damaged.is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_record_is_told_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (records, _) = Records::<u32>::open(folder.path(), boot()).unwrap();
    records.write("good", &1).unwrap();
    fs::write(folder.path().join("torn.json"), "{\"boot\":\"this").unwrap();
    fs::write(
        folder.path().join("other.json"),
        "{\"boot\":\"this boot\",\"record\":[]}",
    )
    .unwrap();
    fs::write(folder.path().join("half.new"), "{").unwrap();
    fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
    let (_, loaded) = Records::<u32>::open(folder.path(), boot()).unwrap();
    assert_eq!(loaded.records, [("good".to_owned(), 1)].into());
    assert_eq!(loaded.damaged.len(), 2);
    let named = loaded
        .damaged
        .iter()
        .all(|error| matches!(error, RecordError::Damaged { .. }));
    assert!(named, "{:?}", loaded.damaged);
    assert!(!folder.path().join("half.new").exists());
    assert!(folder.path().join("notes.txt").exists());
}

#[test]
fn what_is_claimed_and_not_released_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    let (first, claimed) = journal(&path);
    assert!(claimed.is_empty());
    first.claim(&keys(&["a", "b", "c\nd"])).unwrap();
    first.release(&keys(&["a"])).unwrap();
    first.claim(&keys(&["b"])).unwrap();
    first.claim(&keys(&[])).unwrap();
    assert_eq!(first.load().unwrap(), keys(&["b", "c\nd"]));
    drop(first);
    let (second, claimed) = journal(&path);
    assert_eq!(claimed, keys(&["b", "c\nd"]));
    second.release(&keys(&["b", "never claimed"])).unwrap();
    assert_eq!(journal(&path).1, keys(&["c\nd"]));
}

#[test]
fn claims_of_another_boot_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    let (before, _) = Journal::open(&path, BootId::named("before")).unwrap();
    before.claim(&keys(&["a"])).unwrap();
    let (after, claimed) = journal(&path);
    assert!(claimed.is_empty());
    after.claim(&keys(&["b"])).unwrap();
    assert_eq!(journal(&path).1, keys(&["b"]));
}

#[test]
fn a_torn_last_line_is_as_if_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    journal(&path).0.claim(&keys(&["a"])).unwrap();
    let whole = fs::read(&path).unwrap();
    append(&path, "+\"bcd\"\n");
    let longer = fs::read(&path).unwrap();
    for length in whole.len()..longer.len() {
        fs::write(&path, &longer[..length]).unwrap();
        let (journal, claimed) = journal(&path);
        assert_eq!(claimed, keys(&["a"]), "cut at {length}");
        journal.claim(&keys(&["e"])).unwrap();
        assert_eq!(
            journal.load().unwrap(),
            keys(&["a", "e"]),
            "cut at {length}"
        );
    }
    for length in 0..whole.len() - "+\"a\"\n".len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(journal(&path).1.is_empty(), "cut at {length}");
    }
}

#[test]
fn a_damaged_line_is_told_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    journal(&path).0.claim(&keys(&["a"])).unwrap();
    for bad in ["?\"b\"\n", "+b\n", "\n", "+\"b\" \"c\"\n"] {
        let whole = fs::read(&path).unwrap();
        append(&path, bad);
        append(&path, "+\"z\"\n");
        let error = Journal::<String>::open(&path, boot()).unwrap_err();
        assert!(
            matches!(error, JournalError::Damaged { line: 3, .. }),
            "{bad:?}: {error}"
        );
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_compacted_journal_says_the_same_in_fewer_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    let (journal, _) = journal(&path);
    journal.claim(&keys(&["kept"])).unwrap();
    for number in 0..100 {
        let key = keys(&[&number.to_string()]);
        journal.claim(&key).unwrap();
        journal.release(&key).unwrap();
    }
    let long = fs::metadata(&path).unwrap().len();
    journal.compact().unwrap();
    assert!(fs::metadata(&path).unwrap().len() < long / 10);
    assert_eq!(journal.load().unwrap(), keys(&["kept"]));
    journal.claim(&keys(&["new"])).unwrap();
    assert_eq!(self::journal(&path).1, keys(&["kept", "new"]));
}

#[test]
fn a_journal_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    let (journal, _) = journal(&path);
    journal.claim(&keys(&["kept"])).unwrap();
    let many: Vec<String> = (0..1000).map(|number| format!("key{number}")).collect();
    for _ in 0..100 {
        journal.claim(&many).unwrap();
        journal.release(&many).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    }
    assert_eq!(self::journal(&path).1, keys(&["kept"]));
}

#[test]
fn keys_of_a_plan_survive() {
    use sealane_core::plan::{Key, Netns, RouteId};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    let id = Id::from_bytes([7; 32]);
    let name = InterfaceName::try_from("br-blue").unwrap();
    let claimed: BTreeSet<Key> = [
        Key::Namespace(id),
        Key::Link(Netns::Host, name.clone()),
        Key::Setting(Netns::Sandbox(id), "ipv4/ip_forward".into()),
        Key::Address(Netns::Host, name.clone(), "10.0.0.1/24".parse().unwrap()),
        Key::Neighbor(Netns::Host, name, "fd00::1".parse().unwrap()),
        Key::Route(
            Netns::Sandbox(id),
            RouteId {
                to: "0.0.0.0/0".parse().unwrap(),
                table: RouteId::MAIN,
                metric: 0,
            },
        ),
    ]
    .into();
    let (journal, _) = Journal::open(&path, boot()).unwrap();
    journal.claim(&claimed).unwrap();
    assert_eq!(journal.load().unwrap(), claimed);
}

#[test]
fn a_full_disk_refuses_a_claim_and_keeps_the_others() {
    sealane_kernel::netns::isolated(|| {
        let mount = tempfile::tempdir().unwrap();
        let disk = mount.path();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "none"])
            .arg(disk)
            .status();
        assert!(mounted.unwrap().success());
        let path = disk.join("claims");
        let (journal, _) = journal(&path);
        journal.claim(&keys(&["a"])).unwrap();
        let large: Vec<String> = (0..10_000).map(|number| format!("key{number}")).collect();
        assert!(matches!(
            journal.claim(&large),
            Err(JournalError::Io { .. })
        ));
        journal.claim(&keys(&["b"])).unwrap();
        assert_eq!(journal.load().unwrap(), keys(&["a", "b"]));

        let (records, _) = Records::<String>::open(&disk.join("records"), boot()).unwrap();
        records.write("a", &"small".into()).unwrap();
        assert!(records.write("a", &"x".repeat(100_000)).is_err());
        let half = disk.join("records/a.new");
        assert!(!half.exists(), "the little room there is would be taken up");
        drop((records, journal));
        let (_, loaded) = Records::<String>::open(&disk.join("records"), boot()).unwrap();
        assert_eq!(
            loaded.records,
            [("a".to_owned(), "small".to_owned())].into()
        );
        assert!(
            Command::new("umount")
                .arg("-l")
                .arg(disk)
                .status()
                .unwrap()
                .success()
        );
    })
    .unwrap();
}

#[test]
fn the_claims_of_another_owner_are_refused_and_those_of_before_there_were_owners_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims");
    fs::write(&path, "boot this boot\n+\"a\"\n").unwrap();
    assert_eq!(journal(&path).1, keys(&["a"]), "as it was written before");
    let other = |path: &Path| Journal::<String>::open_of(path, boot(), "other");
    let error = other(&path).unwrap_err();
    assert!(
        matches!(&error, JournalError::OtherOwner { owner, .. } if owner == "sealane"),
        "{error}"
    );
    let path = folder.path().join("others");
    let (others, _) = other(&path).unwrap();
    others.claim(&keys(&["b"])).unwrap();
    others.compact().unwrap();
    assert_eq!(others.load().unwrap(), keys(&["b"]));
    assert_eq!(other(&path).unwrap().1, keys(&["b"]));
    let error = Journal::<String>::open(&path, boot()).unwrap_err();
    assert!(error.to_string().contains("--owner other"), "{error}");
    let (_, claimed) = Journal::<String>::open(&path, BootId::named("the next")).unwrap();
    assert_eq!(claimed, keys(&[]), "its objects went with the machine");
}
