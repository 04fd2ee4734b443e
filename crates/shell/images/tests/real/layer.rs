//! What becomes of a layer: its files, and what it removes from those below.

use crate::stage::{Stage, Tar, docker_archive, gzip, id, on_stage, tree};
use sealane_images::Images;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;
use tar::EntryType;

/// Runs on both kinds of store.
fn on_both(stage: &Stage, test: impl Fn(&Images)) {
    test(&stage.images());
    test(&stage.copying_images());
}

#[test]
fn an_imported_tar_is_a_root_file_system() {
    on_stage(
        concat!(module_path!(), "::an_imported_tar_is_a_root_file_system"),
        |stage| {
            let tar = Tar::new()
                .folder("./", 0o755)
                .folder("./etc/", 0o700)
                .file("./etc/motd", "hello")
                .symlink("./link", "etc/motd")
                .hard_link("hard", "./etc/motd")
                .file("deep/down/file", "x")
                .bytes();
            let wanted = [
                "deep/",
                "deep/down/",
                "deep/down/file: x",
                "etc/",
                "etc/motd: hello",
                "hard: hello",
                "link -> etc/motd",
            ];
            on_both(&stage, |images| {
                for (name, bytes) in [("plain", tar.clone()), ("gzip", gzip(&tar))] {
                    let image = images.import(&*bytes, Some(name), &[], "").unwrap();
                    let root = images.prepare(&image, &id(name)).unwrap();
                    assert_eq!(images.prepare(&image, &id(name)).unwrap(), root, "again");
                    let path = images.mount(&id(name)).unwrap();
                    assert_eq!(path, root.path);
                    assert_eq!(tree(&path), wanted);
                    let about = fs::metadata(path.join("etc/motd")).unwrap();
                    assert_eq!((about.nlink(), about.mtime()), (2, 1_000_000_000));
                    assert_eq!(
                        fs::metadata(path.join("etc")).unwrap().mode() & 0o7777,
                        0o700
                    );
                    assert_eq!(
                        fs::metadata(path.join("deep")).unwrap().mode() & 0o7777,
                        0o755
                    );
                    assert!(path.join(".dockerenv").exists());
                }
                let layers = |name| images.inspect(name).unwrap().layers;
                assert_eq!(layers("plain"), layers("gzip"));
            });
        },
    );
}

#[test]
fn owners_modes_devices_and_attributes_are_kept() {
    on_stage(
        concat!(
            module_path!(),
            "::owners_modes_devices_and_attributes_are_kept"
        ),
        |stage| {
            // A capability set of version 2: cap_net_raw, effective.
            let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            let tar = Tar::new()
                .entry("suid", EntryType::Regular, b"x", |header| {
                    header.set_mode(0o4755);
                    header.set_uid(7);
                    header.set_gid(8);
                })
                .entry("owned", EntryType::Symlink, b"", |header| {
                    header.set_link_name("nowhere").unwrap();
                    header.set_uid(9);
                })
                .entry("null", EntryType::Char, b"", |header| {
                    header.set_device_major(1).unwrap();
                    header.set_device_minor(3).unwrap();
                    header.set_mode(0o666);
                })
                .entry("pipe", EntryType::Fifo, b"", |header| {
                    header.set_mode(0o600)
                })
                .attribute("security.capability", capability)
                .file("ping", "x")
                .attribute("user.note", b"kept")
                .folder("noted", 0o1777)
                .bytes();
            on_both(&stage, |images| {
                let image = images.import(&*tar, None, &[], "").unwrap();
                images.prepare(&image, &id("c")).unwrap();
                let root = images.mount(&id("c")).unwrap();
                let about = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
                let suid = about("suid");
                assert_eq!(
                    (suid.mode() & 0o7777, suid.uid(), suid.gid()),
                    (0o4755, 7, 8)
                );
                assert_eq!(about("owned").uid(), 9);
                let null = about("null");
                assert!(null.file_type().is_char_device());
                assert_eq!(
                    (null.rdev(), null.mode() & 0o7777),
                    (rustix::fs::makedev(1, 3), 0o666)
                );
                assert!(about("pipe").file_type().is_fifo());
                assert_eq!(about("noted").mode() & 0o7777, 0o1777);
                let mut value = [0_u8; 64];
                let mut attribute = |file: &str, name: &str| {
                    let length = rustix::fs::lgetxattr(root.join(file), name, value.as_mut_slice());
                    value[..length.unwrap()].to_vec()
                };
                assert_eq!(attribute("ping", "security.capability"), capability);
                assert_eq!(attribute("noted", "user.note"), b"kept");
            });
        },
    );
}

#[test]
fn layers_hide_what_they_remove() {
    on_stage(
        concat!(module_path!(), "::layers_hide_what_they_remove"),
        |stage| {
            let below = Tar::new()
                .file("kept", "1")
                .file("removed", "1")
                .folder("opaque", 0o755)
                .file("opaque/old", "1")
                .folder("gone", 0o755)
                .file("gone/file", "1")
                .file("replaced", "1")
                .folder("became-file", 0o755)
                .file("became-file/x", "1")
                .folder("reborn", 0o755)
                .file("reborn/old", "1")
                .symlink("link", "/etc")
                .bytes();
            let above = Tar::new()
                .file(".wh.removed", "")
                .folder("opaque", 0o755)
                .file("opaque/.wh..wh..opq", "")
                .file("opaque/new", "2")
                .file(".wh.gone", "")
                .file("replaced", "2")
                .file("became-file", "2")
                .file(".wh.reborn", "")
                .folder("reborn", 0o755)
                .file("reborn/new", "2")
                .file(".wh..wh.plnk", "")
                .bytes();
            let archive = docker_archive(&["two:1"], &[below, gzip(&above)], "{}");
            on_both(&stage, |images| {
                assert_eq!(images.load(&*archive).unwrap(), ["Loaded image: two:1"]);
                let image = images.inspect("two:1").unwrap();
                images.prepare(&image.id, &id("c")).unwrap();
                let root = images.mount(&id("c")).unwrap();
                let wanted = [
                    "became-file: 2",
                    "kept: 1",
                    "link -> /etc",
                    "opaque/",
                    "opaque/new: 2",
                    "reborn/",
                    "reborn/new: 2",
                    "replaced: 2",
                ];
                assert_eq!(tree(&root), wanted);
            });
        },
    );
}

#[test]
fn containers_do_not_see_each_others_changes() {
    on_stage(
        concat!(
            module_path!(),
            "::containers_do_not_see_each_others_changes"
        ),
        |stage| {
            let tar = Tar::new().file("file", "1").bytes();
            on_both(&stage, |images| {
                let image = images.import(&*tar, Some("x"), &[], "").unwrap();
                for name in ["a", "b"] {
                    images.prepare(&image, &id(name)).unwrap();
                }
                let (a, b) = (
                    images.mount(&id("a")).unwrap(),
                    images.mount(&id("b")).unwrap(),
                );
                fs::write(a.join("file"), "2").unwrap();
                fs::write(a.join("new"), "2").unwrap();
                assert_eq!(tree(&b), ["file: 1"]);
                images.unmount(&id("a")).unwrap();
                images.unmount(&id("a")).unwrap();
                assert_eq!(images.mount(&id("a")).unwrap(), a);
                assert_eq!(tree(&a), ["file: 2", "new: 2"]);
                let mut roots = images.roots().unwrap();
                roots.sort_unstable();
                let mut wanted = [id("a"), id("b")];
                wanted.sort_unstable();
                assert_eq!(roots, wanted);
                images.remove_root(&id("a")).unwrap();
                images.remove_root(&id("a")).unwrap();
                assert!(!a.exists());
                assert!(images.mount(&id("a")).is_err());
                images.remove_root(&id("b")).unwrap();
            });
        },
    );
}

#[test]
fn a_mount_is_found_again_and_not_made_twice() {
    on_stage(
        concat!(
            module_path!(),
            "::a_mount_is_found_again_and_not_made_twice"
        ),
        |stage| {
            let tar = Tar::new().file("file", "1").bytes();
            let images = stage.images();
            let image = images.import(&*tar, None, &[], "").unwrap();
            images.prepare(&image, &id("c")).unwrap();
            let path = images.mount(&id("c")).unwrap();
            drop(images);
            let images = stage.images();
            assert_eq!(images.mount(&id("c")).unwrap(), path);
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let merged = path.to_str().unwrap();
            assert_eq!(
                mounts.lines().filter(|line| line.contains(merged)).count(),
                1
            );
            images.remove_root(&id("c")).unwrap();
            assert!(
                !fs::read_to_string("/proc/self/mountinfo")
                    .unwrap()
                    .contains(merged)
            );
            assert_eq!(stage.counts(), [0, 2, 1, 1, 0]);
        },
    );
}

#[test]
fn a_hundred_layers_are_stacked() {
    on_stage(
        concat!(module_path!(), "::a_hundred_layers_are_stacked"),
        |stage| {
            let layers = (0..100).map(|n| {
                Tar::new()
                    .file(&format!("f{n}"), "x")
                    .file("top", &n.to_string())
                    .bytes()
            });
            let layers: Vec<_> = layers.collect();
            let images = stage.images();
            images
                .load(&*docker_archive(&["many:1"], &layers, "{}"))
                .unwrap();
            let image = images.inspect("many:1").unwrap();
            images.prepare(&image.id, &id("c")).unwrap();
            let root = images.mount(&id("c")).unwrap();
            assert_eq!(fs::read_to_string(root.join("top")).unwrap(), "99");
            assert_eq!(fs::read_dir(&root).unwrap().count(), 102);
            images.remove_root(&id("c")).unwrap();
        },
    );
}

#[test]
fn a_busybox_runs_in_it() {
    on_stage(concat!(module_path!(), "::a_busybox_runs_in_it"), |stage| {
        let source = stage.folder.join("source");
        fs::create_dir_all(source.join("bin")).unwrap();
        fs::copy("/bin/busybox", source.join("bin/busybox")).expect("busybox-static is installed");
        std::os::unix::fs::symlink("busybox", source.join("bin/sh")).unwrap();
        let tar = Command::new("tar")
            .args(["-C"])
            .arg(&source)
            .args(["-cz", "."])
            .output()
            .unwrap();
        on_both(&stage, |images| {
            let image = images.import(&*tar.stdout, Some("box"), &[], "").unwrap();
            images.prepare(&image, &id("c")).unwrap();
            let root = images.mount(&id("c")).unwrap();
            let mut chroot = Command::new("/usr/sbin/chroot");
            chroot
                .arg(&root)
                .args(["/bin/sh", "-c", "echo $((6 * 7))"])
                .env_clear();
            assert_eq!(chroot.output().unwrap().stdout, b"42\n");
            images.remove_root(&id("c")).unwrap();
        });
    });
}
