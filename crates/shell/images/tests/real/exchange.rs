//! Images that come from other engines, and go there.

use crate::stage::{Tar, docker_archive, gzip, id, on_stage, sha256, tree};
use sealane_images::Images;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

fn files_of(tar: &[u8]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if entry.header().entry_type().is_file() {
            files.insert(path, bytes);
        }
    }
    files
}

fn save(images: &Images, names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut saved = Vec::new();
    images.save(&names, &mut saved).unwrap();
    saved
}

#[test]
fn a_saved_image_is_loaded_as_the_same() {
    on_stage(
        concat!(module_path!(), "::a_saved_image_is_loaded_as_the_same"),
        |stage| {
            let images = stage.images();
            let layers = [
                Tar::new().file("a", "1").bytes(),
                gzip(&Tar::new().file("b", "2").bytes()),
            ];
            let config =
                r#"{"Env":["A=1"],"Cmd":["sh"],"Volumes":null,"Labels":{"k":"v"},"New":{"x":1}}"#;
            images
                .load(&*docker_archive(&["me/box:1"], &layers, config))
                .unwrap();
            images.tag("me/box:1", "me/box:2").unwrap();
            images.tag("me/box:1", "host:5000/box").unwrap();
            let before = images.inspect("me/box:1").unwrap();
            let saved = save(&images, &["me/box", "host:5000/box:latest"]);

            let files = files_of(&saved);
            let mut blobs = 0;
            for (path, bytes) in &files {
                if let Ok(digest) = path.strip_prefix("blobs/sha256") {
                    assert_eq!(digest.to_str().unwrap(), sha256(bytes));
                    blobs += 1;
                }
            }
            assert_eq!(blobs, 4, "two layers, a configuration, a manifest");
            let json = |path: &str| -> serde_json::Value {
                serde_json::from_slice(&files[&PathBuf::from(path)]).unwrap()
            };
            let manifest = &json("manifest.json")[0];
            assert_eq!(manifest["RepoTags"].as_array().unwrap().len(), 3);
            assert_eq!(
                manifest["Config"],
                format!("blobs/sha256/{}", before.id.digest())
            );
            assert_eq!(json("index.json")["manifests"].as_array().unwrap().len(), 3);
            assert!(json("repositories")["me/box"]["1"].is_string());

            let other = Images::open(&stage.folder.join("other")).unwrap();
            let mut lines = other.load(&*saved).unwrap();
            lines.sort();
            let wanted = ["host:5000/box:latest", "me/box:1", "me/box:2"];
            assert_eq!(lines, wanted.map(|name| format!("Loaded image: {name}")));
            assert_eq!(other.inspect("me/box:1").unwrap(), before);
            assert_eq!(
                other.raw_configuration(&before.id).unwrap(),
                images.raw_configuration(&before.id).unwrap()
            );

            // Without the file of Docker's it is an OCI layout.
            let mut layout = Tar::new();
            for (path, bytes) in &files {
                if path.to_str() != Some("manifest.json") && path.to_str() != Some("repositories") {
                    layout = layout.entry(
                        path.to_str().unwrap(),
                        tar::EntryType::Regular,
                        bytes,
                        |_| {},
                    );
                }
            }
            let third = Images::open(&stage.folder.join("third")).unwrap();
            let mut lines = third.load(&*gzip(&layout.bytes())).unwrap();
            lines.sort();
            assert_eq!(lines, wanted.map(|name| format!("Loaded image: {name}")));
            assert_eq!(third.inspect("me/box:1").unwrap(), before);
        },
    );
}

#[test]
fn an_image_without_a_name_is_saved_and_loaded_by_id() {
    on_stage(
        concat!(
            module_path!(),
            "::an_image_without_a_name_is_saved_and_loaded_by_id"
        ),
        |stage| {
            let images = stage.images();
            let tar = Tar::new().file("a", "1").bytes();
            let image = images.import(&*tar, None, &[], "").unwrap();
            let saved = save(&images, &[&image.short()]);
            let other = Images::open(&stage.folder.join("other")).unwrap();
            assert_eq!(
                other.load(&*saved).unwrap(),
                [format!("Loaded image ID: {image}")]
            );
            let error = images.save(&["nosuch".into()], Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "No such image: nosuch:latest");
        },
    );
}

#[test]
fn an_image_for_several_platforms_is_loaded_for_this_one() {
    on_stage(
        concat!(
            module_path!(),
            "::an_image_for_several_platforms_is_loaded_for_this_one"
        ),
        |stage| {
            let images = stage.images();
            let tar = Tar::new().file("a", "1").bytes();
            images.import(&*tar, Some("x"), &[], "").unwrap();
            let files = files_of(&save(&images, &["x"]));
            let mut index: serde_json::Value =
                serde_json::from_slice(&files[&PathBuf::from("index.json")]).unwrap();
            let mut inner = index.clone();
            let architecture = images.inspect("x").unwrap().architecture;
            inner["manifests"][0]["platform"] =
                serde_json::json!({"architecture": architecture, "os": "linux"});
            let mut foreign = inner["manifests"][0].clone();
            foreign["platform"]["architecture"] = "sparc".into();
            foreign["digest"] = format!("sha256:{}", "0".repeat(64)).into();
            inner["manifests"]
                .as_array_mut()
                .unwrap()
                .insert(0, foreign);
            let inner = inner.to_string();
            let digest = sha256(inner.as_bytes());
            index["manifests"] = serde_json::json!([{
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "digest": format!("sha256:{digest}"),
                "size": inner.len(),
                "annotations": {"org.opencontainers.image.ref.name": "y:3"},
            }]);
            let mut layout = Tar::new().file("index.json", &index.to_string());
            for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("blobs")) {
                layout = layout.entry(
                    path.to_str().unwrap(),
                    tar::EntryType::Regular,
                    bytes,
                    |_| {},
                );
            }
            layout = layout.file(&format!("blobs/sha256/{digest}"), &inner);
            let other = Images::open(&stage.folder.join("other")).unwrap();
            assert_eq!(other.load(&*layout.bytes()).unwrap(), ["Loaded image: y:3"]);
            assert_eq!(
                other.inspect("y:3").unwrap().id,
                images.inspect("x").unwrap().id
            );
        },
    );
}

#[test]
fn links_between_layers_of_old_archives_are_followed() {
    on_stage(
        concat!(
            module_path!(),
            "::links_between_layers_of_old_archives_are_followed"
        ),
        |stage| {
            let images = stage.images();
            let layer = Tar::new().file("a", "1").bytes();
            let archive = docker_archive(&["x:1"], &[layer.clone(), layer], "{}");
            let files = files_of(&archive);
            let mut old = Tar::new();
            for (path, bytes) in &files {
                let path = path.to_str().unwrap();
                old = match path {
                    "layer1/layer.tar" => old.symlink(path, "../layer0/layer.tar"),
                    _ => old.entry(path, tar::EntryType::Regular, bytes, |_| {}),
                };
            }
            assert_eq!(images.load(&*old.bytes()).unwrap(), ["Loaded image: x:1"]);
            let image = images.inspect("x:1").unwrap();
            assert_eq!(image.layers[0], image.layers[1]);
            images.prepare(&image.id, &id("c")).unwrap();
            assert_eq!(tree(&images.mount(&id("c")).unwrap()), ["a: 1"]);
            images.remove_root(&id("c")).unwrap();
            fs::remove_dir_all(stage.data_root()).unwrap();
        },
    );
}
