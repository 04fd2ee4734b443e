//! What images are made of: names, layers, archives, configurations.

use super::none;
use crate::{Seen, Shape, Target};
use sealane_images::{Images, outside};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tempfile::TempDir;

const TAR_WORDS: &[&str] = &[
    "..",
    "../victim",
    "../../victim",
    "/etc/passwd",
    "./",
    ".wh.a",
    ".wh..wh..opq",
    ".wh...",
    "a/b",
    "a/../../victim",
    "link/victim",
    "link",
    "/",
    "a",
    "manifest.json",
    "index.json",
];

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "image-reference",
        shape: Shape::Text,
        words: &[
            "docker.io/",
            "library/",
            "localhost",
            ":5000/",
            "[::1]",
            "@sha256:",
            "latest",
            "--",
            "__",
        ],
        made: none,
        run: |bytes| match outside::reference(&String::from_utf8_lossy(bytes)) {
            Ok(familiar) => {
                assert!(!familiar.is_empty());
                Seen::text(&familiar)
            }
            Err(error) => Seen::text(&error.to_string()),
        },
    },
    Target {
        name: "image-change",
        shape: Shape::Text,
        words: &[
            "CMD ",
            "ENV ",
            "EXPOSE ",
            "HEALTHCHECK --interval=",
            "LABEL ",
            "VOLUME ",
            "USER ",
            "SHELL ",
            "WORKDIR ",
            "[\"a\"]",
            "\\",
            "'",
            "=",
            "1h2m",
            "80-90/udp",
            "NONE",
        ],
        made: none,
        run: |bytes| match outside::change(&String::from_utf8_lossy(bytes)) {
            Ok(config) => Seen::debug(&config),
            Err(error) => Seen::text(&error.to_string()),
        },
    },
    Target {
        name: "image-configuration",
        shape: Shape::Json,
        words: &[
            "config",
            "rootfs",
            "diff_ids",
            "history",
            "ExposedPorts",
            "Healthcheck",
            "Env",
        ],
        made: none,
        run: |bytes| match outside::configuration(bytes) {
            Ok(config) => Seen::debug(&config),
            Err(error) => Seen::text(&error.to_string()),
        },
    },
    Target {
        name: "image-layer",
        shape: Shape::Tar,
        words: TAR_WORDS,
        made: layers,
        run: layer,
    },
    Target {
        name: "image-archive",
        shape: Shape::Tar,
        words: TAR_WORDS,
        made: archives,
        run: archive,
    },
];

/// Unpacks a layer beside a file that no layer may reach.
fn layer(bytes: &[u8]) -> Seen {
    let place = place();
    let victim = place.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let folder = place.path().join("layer");
    fs::create_dir(&folder).unwrap();
    let before = fs::metadata(&victim).unwrap();
    let seen = match outside::unpack(bytes, &folder) {
        Ok(unpacked) => Seen::text(&unpacked),
        Err(error) => Seen::debug(&error),
    };
    let after = fs::symlink_metadata(&victim).expect("the victim is there");
    let about = |file: &fs::Metadata| {
        (
            file.ino(),
            file.mode(),
            file.uid(),
            file.nlink(),
            file.ctime_nsec(),
        )
    };
    assert_eq!(about(&after), about(&before), "the victim was changed");
    let mut names: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["layer", "victim"], "something was made outside");
    seen
}

/// Loads an archive into a store of images; what came in goes out and comes in again as it was,
/// and when it is removed nothing is left.
fn archive(bytes: &[u8]) -> Seen {
    thread_local!(static STORE: OnceCell<(TempDir, Images)> = const { OnceCell::new() });
    STORE.with(|store| {
        let (folder, images) = store.get_or_init(|| {
            let folder = place();
            let images = Images::open(folder.path()).expect("a store");
            (folder, images)
        });
        let seen = match images.load(bytes) {
            Ok(lines) => {
                goes_out_and_in(images);
                Seen::debug(&lines)
            }
            Err(error) => Seen::debug(&error),
        };
        remove_all(images);
        nothing_is_left(&folder.path().join("images"));
        seen
    })
}

fn goes_out_and_in(images: &Images) {
    let listed = by_id(images);
    let ids: Vec<String> = listed.keys().cloned().collect();
    if ids.is_empty() {
        return;
    }
    let mut saved = Vec::new();
    images
        .save(&ids, &mut saved)
        .expect("what was loaded can be saved");
    remove_all(images);
    images
        .load(&saved[..])
        .expect("what was saved can be loaded");
    assert_eq!(
        by_id(images).keys().collect::<Vec<_>>(),
        listed.keys().collect::<Vec<_>>()
    );
}

fn by_id(images: &Images) -> BTreeMap<String, Vec<String>> {
    let listed = images.list().expect("a list");
    listed
        .into_iter()
        .map(|image| (image.id.to_string(), image.layers))
        .collect()
}

fn remove_all(images: &Images) {
    for id in by_id(images).keys() {
        images
            .remove(id, true, &|_| Vec::new())
            .expect("it can be removed");
    }
}

fn nothing_is_left(folder: &Path) {
    for inside in ["blobs", "layers", "records", "tmp"] {
        let left: Vec<_> = fs::read_dir(folder.join(inside)).unwrap().collect();
        assert!(left.is_empty(), "{inside} holds {left:?}");
    }
}

/// A folder in memory, where there is one: syncing costs nothing there.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// One layer with an entry of each kind.
fn layers() -> Vec<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let entries: [(&str, tar::EntryType, &str, &[u8]); 9] = [
        ("a", tar::EntryType::Directory, "", b""),
        ("a/file", tar::EntryType::Regular, "", b"content"),
        ("a/hard", tar::EntryType::Link, "a/file", b""),
        ("link", tar::EntryType::Symlink, "..", b""),
        ("fifo", tar::EntryType::Fifo, "", b""),
        ("device", tar::EntryType::Char, "", b""),
        ("a/.wh.gone", tar::EntryType::Regular, "", b""),
        ("a/.wh..wh..opq", tar::EntryType::Regular, "", b""),
        ("link/inside", tar::EntryType::Regular, "", b"x"),
    ];
    for (name, kind, target, content) in entries {
        append(&mut builder, name, kind, target, content);
    }
    let mut small = tar::Builder::new(Vec::new());
    append(&mut small, "a", tar::EntryType::Regular, "", b"x");
    vec![
        builder.into_inner().unwrap(),
        small.into_inner().unwrap(),
        Vec::new(),
    ]
}

fn append(
    builder: &mut tar::Builder<Vec<u8>>,
    name: &str,
    kind: tar::EntryType,
    target: &str,
    content: &[u8],
) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    if kind == tar::EntryType::Char {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    if target.is_empty() {
        builder.append_data(&mut header, name, content).unwrap();
    } else {
        builder.append_link(&mut header, name, target).unwrap();
    }
}

/// What `docker save` writes of an image of one layer, by way of the store.
fn archives() -> Vec<Vec<u8>> {
    let folder = place();
    let images = Images::open(folder.path()).expect("a store");
    let mut saved = Vec::new();
    for layer in layers() {
        let changes = ["CMD sh".to_owned(), "EXPOSE 80".to_owned()];
        images
            .import(&layer[..], Some("a/b:c"), &changes, "made")
            .expect("an image");
        let mut archive = Vec::new();
        images
            .save(&["a/b:c".into()], &mut archive)
            .expect("an archive");
        saved.push(archive);
    }
    saved
}
