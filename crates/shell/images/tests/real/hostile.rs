//! Archives that were made to do harm.

use crate::stage::{Stage, Tar, docker_archive, gzip, id, on_stage, tree};
use sealane_core::model::ErrorClass;
use sealane_images::{Backend, Images};
use std::fs;
use tar::EntryType;

/// Imports a tar that may or may not be refused; the file outside must be as it was.
fn try_import(stage: &Stage, images: &Images, tar: &[u8]) -> Option<Vec<String>> {
    let outside = stage.folder.join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("file"), "untouched").unwrap();
    let unpacked = images.import(tar, None, &[], "").ok().map(|image| {
        images.prepare(&image, &id("c")).unwrap();
        let tree = tree(&images.mount(&id("c")).unwrap());
        images.remove_root(&id("c")).unwrap();
        tree
    });
    assert_eq!(tree(&outside), ["file: untouched"]);
    unpacked
}

#[test]
fn nothing_is_written_outside() {
    on_stage(
        concat!(module_path!(), "::nothing_is_written_outside"),
        |stage| {
            let outside = stage.folder.join("outside");
            let (folder, file) = (outside.to_str().unwrap(), outside.join("file"));
            let up = format!("../../../../../../../../../..{folder}/file");
            for images in [stage.images(), stage.copying_images()] {
                let try_import = |tar: Tar| try_import(&stage, &images, &tar.bytes());
                assert_eq!(try_import(Tar::new().file(&up, "bad")), None);
                // An absolute path is one inside.
                let absolute = try_import(Tar::new().file(file.to_str().unwrap(), "in")).unwrap();
                assert!(
                    absolute.last().unwrap().ends_with("/outside/file: in"),
                    "{absolute:?}"
                );
                // Links lead inside, wherever they point.
                try_import(Tar::new().symlink("a", folder).file("a/file", "bad"));
                try_import(Tar::new().symlink("a", &up).file("a", "bad").file("b", "x"));
                try_import(
                    Tar::new()
                        .symlink("a", "..")
                        .symlink("a/b", folder)
                        .file("a/b/file", "bad"),
                );
                try_import(
                    Tar::new()
                        .folder("a", 0o755)
                        .symlink("a", folder)
                        .file("a/file", "bad"),
                );
                assert_eq!(
                    try_import(Tar::new().hard_link("a", file.to_str().unwrap())),
                    None
                );
                assert_eq!(try_import(Tar::new().hard_link("a", &up)), None);
                try_import(
                    Tar::new()
                        .symlink("a", folder)
                        .hard_link("b", "a/file")
                        .file("b", "bad"),
                );
                try_import(
                    Tar::new()
                        .symlink("a", folder)
                        .folder("a", 0o777)
                        .file("a/file", "bad"),
                );
                try_import(Tar::new().symlink("a", folder).file("a/.wh.file", ""));
                try_import(Tar::new().symlink("a", folder).file("a/.wh..wh..opq", ""));
            }
        },
    );
}

#[test]
fn removals_do_not_follow_links_of_lower_layers() {
    on_stage(
        concat!(
            module_path!(),
            "::removals_do_not_follow_links_of_lower_layers"
        ),
        |stage| {
            let outside = stage.folder.join("outside");
            fs::create_dir_all(&outside).unwrap();
            fs::write(outside.join("file"), "untouched").unwrap();
            let below = Tar::new().symlink("a", outside.to_str().unwrap()).bytes();
            let above = Tar::new()
                .file("a/.wh.file", "")
                .file("a/.wh..wh..opq", "")
                .bytes();
            for images in [stage.images(), stage.copying_images()] {
                images
                    .load(&*docker_archive(
                        &["x:1"],
                        &[below.clone(), above.clone()],
                        "{}",
                    ))
                    .unwrap();
                let image = images.inspect("x:1").unwrap();
                images.prepare(&image.id, &id("c")).unwrap();
                images.mount(&id("c")).unwrap();
                assert_eq!(tree(&outside), ["file: untouched"]);
            }
        },
    );
}

#[test]
fn nonsense_is_refused_and_leaves_nothing() {
    on_stage(
        concat!(module_path!(), "::nonsense_is_refused_and_leaves_nothing"),
        |stage| {
            let images = stage.images();
            let empty = stage.counts();
            let good = Tar::new().file("file", &"x".repeat(5000)).bytes();
            let archive = docker_archive(&["x:1"], std::slice::from_ref(&good), "{}");
            let other_layer = String::from_utf8_lossy(&archive)
                .replace("xxxx", "yyyy")
                .into_bytes();
            let bad: Vec<Vec<u8>> = vec![
                b"this is not a tar".repeat(100),
                good[..1500].to_vec(),
                gzip(&good)[..40].to_vec(),
                b"\x28\xb5\x2f\xfdzstd".to_vec(),
                Tar::new().file(".wh...", "").bytes(),
                Tar::new().file(".wh.", "").bytes(),
                Tar::new()
                    .entry("x", EntryType::new(b'Z'), b"", |_| {})
                    .bytes(),
                Tar::new().entry("x", EntryType::Char, b"", |_| {}).bytes(),
                Tar::new().file("file", "x").file("file/below", "x").bytes(),
            ];
            for (place, bytes) in bad.iter().enumerate() {
                images.import(&**bytes, Some("x"), &[], "").unwrap_err();
                assert_eq!(stage.counts(), empty, "after import of number {place}");
            }
            for bytes in [&good, &other_layer, &bad[0], &archive[..3000].to_vec()] {
                images.load(&**bytes).unwrap_err();
                drop(stage.images());
                assert_eq!(stage.counts(), empty);
            }
            let error = images.load(&*other_layer).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("invalid diffID for layer 0: expected"),
                "{error}"
            );
            assert_eq!(error.class(), ErrorClass::InvalidArgument);
            let error = images
                .import(&*good, Some("Bad Name"), &[], "")
                .unwrap_err();
            assert_eq!(error.class(), ErrorClass::InvalidArgument);
            assert_eq!(stage.counts(), empty);
        },
    );
}

#[test]
fn a_layer_cannot_give_orders_to_overlayfs() {
    on_stage(
        concat!(module_path!(), "::a_layer_cannot_give_orders_to_overlayfs"),
        |stage| {
            let images = stage.images();
            assert_eq!(images.backend(), Backend::Overlay);
            let below = Tar::new().folder("a", 0o755).file("a/secret", "1").bytes();
            let above = Tar::new()
                .attribute("trusted.overlay.opaque", b"y")
                .folder("a", 0o755)
                .attribute("trusted.overlay.redirect", b"/etc")
                .folder("b", 0o755)
                .bytes();
            images
                .load(&*docker_archive(&["x:1"], &[below, above], "{}"))
                .unwrap();
            images
                .prepare(&images.inspect("x:1").unwrap().id, &id("c"))
                .unwrap();
            let root = images.mount(&id("c")).unwrap();
            assert_eq!(tree(&root), ["a/", "a/secret: 1", "b/"]);
            images.remove_root(&id("c")).unwrap();
        },
    );
}
