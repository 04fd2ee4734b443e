//! Names of images: given, found, taken away.

use crate::stage::{Tar, docker_archive, id, on_stage};
use sealane_core::model::ErrorClass;
use sealane_images::{Image, ImageUser, Images, Removed};

fn nobody(_: &sealane_images::ImageId) -> Vec<ImageUser> {
    Vec::new()
}

fn import(images: &Images, name: Option<&str>, content: &str) -> Image {
    let tar = Tar::new().file("file", content).bytes();
    let id = images
        .import(
            &*tar,
            name,
            &["CMD [\"sh\"]".into(), "ENV A=1".into()],
            "note",
        )
        .unwrap();
    images.inspect(&id.to_string()).unwrap()
}

fn texts(removed: Vec<Removed>) -> Vec<String> {
    let text = |removed| match removed {
        Removed::Untagged(name) => format!("-{name}"),
        Removed::Deleted(id) => format!("!{id}"),
    };
    removed.into_iter().map(text).collect()
}

#[test]
fn an_image_is_found_by_what_docker_finds_it_by() {
    on_stage(
        concat!(
            module_path!(),
            "::an_image_is_found_by_what_docker_finds_it_by"
        ),
        |stage| {
            let images = stage.images();
            let image = import(&images, Some("box"), "1");
            assert_eq!(image.repo_tags, ["box:latest"]);
            assert_eq!(image.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
            assert_eq!(image.config.env, ["A=1"]);
            assert_eq!(
                (image.size, image.os.as_str(), image.comment.as_str()),
                (1, "linux", "note")
            );
            assert!(image.created.is_some());
            let whole = image.id.to_string();
            let digits = &whole[7..];
            for text in [
                "box",
                "box:latest",
                "library/box",
                "docker.io/library/box",
                &whole,
                digits,
                &digits[..12],
                &whole[..15],
            ] {
                assert_eq!(images.inspect(text).unwrap(), image, "{text}");
            }
            let missing = |text: &str| {
                let error = images.inspect(text).unwrap_err();
                (error.class(), error.to_string())
            };
            let not_found = |text: &str| (ErrorClass::NotFound, format!("No such image: {text}"));
            assert_eq!(missing("bix"), not_found("bix:latest"));
            assert_eq!(missing("box:1"), not_found("box:1"));
            assert_eq!(
                missing(&"0".repeat(64)),
                not_found(&format!("sha256:{}", "0".repeat(64)))
            );
            assert_eq!(
                missing("a b"),
                (
                    ErrorClass::InvalidArgument,
                    "invalid reference format".into()
                )
            );

            images.tag("box", "other/name:2").unwrap();
            assert_eq!(
                images.inspect("box").unwrap().repo_tags,
                ["box:latest", "other/name:2"]
            );
            assert!(images.tag("nosuch", "x").is_err());
            assert!(images.tag("box", "X").is_err());
            let second = import(&images, Some("box"), "2");
            assert_eq!(
                images.inspect("box").unwrap().id,
                second.id,
                "the name moves"
            );
            assert_eq!(images.inspect(digits).unwrap().repo_tags, ["other/name:2"]);
            drop(images);
            let listed = stage.images().list().unwrap();
            assert_eq!(listed.len(), 2);
            assert!(listed[0].created >= listed[1].created);
        },
    );
}

#[test]
fn removing_follows_dockers_rules() {
    on_stage(
        concat!(module_path!(), "::removing_follows_dockers_rules"),
        |stage| {
            let images = stage.images();
            let image = import(&images, Some("a"), "1");
            images.tag("a", "a:2").unwrap();
            images.tag("a", "b").unwrap();
            let remove = |name: &str, force| images.remove(name, force, &nobody);
            assert_eq!(texts(remove("a:2", false).unwrap()), ["-a:2"]);
            let error = remove(&image.id.to_string(), false).unwrap_err();
            let wanted = format!(
                "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
                image.id.short()
            );
            assert_eq!(
                (error.class(), error.to_string()),
                (ErrorClass::Conflict, wanted)
            );
            assert_eq!(texts(remove("b", false).unwrap()), ["-b:latest"]);

            let user = |running| {
                move |_: &_| {
                    vec![ImageUser {
                        container: id("c"),
                        running,
                    }]
                }
            };
            let short = id("c").short(12);
            let error = images.remove("a", false, &user(true)).unwrap_err();
            let wanted = format!(
                "conflict: unable to remove repository reference \"a:latest\" (must force) - container \
             {short} is using its referenced image {}",
                image.id.short()
            );
            assert_eq!(error.to_string(), wanted);
            let error = images
                .remove(&image.id.short(), true, &user(true))
                .unwrap_err();
            let wanted = format!(
                "conflict: unable to delete {} (cannot be forced) - image is being used by running \
             container {short}",
                image.id.short()
            );
            assert_eq!(error.to_string(), wanted);
            let deleted = [
                "-a:latest".to_owned(),
                format!("!{}", image.id),
                format!("!{}", image.layers[0]),
            ];
            assert_eq!(
                texts(images.remove("a", true, &user(false)).unwrap()),
                deleted
            );
            assert_eq!(remove("a", true).unwrap_err().class(), ErrorClass::NotFound);
            assert_eq!(stage.counts(), [0, 0, 0, 0, 0]);
        },
    );
}

#[test]
fn layers_stay_as_long_as_someone_uses_them() {
    on_stage(
        concat!(module_path!(), "::layers_stay_as_long_as_someone_uses_them"),
        |stage| {
            let images = stage.images();
            let below = Tar::new().file("below", "1").bytes();
            let above = Tar::new().file("above", "1").bytes();
            images
                .load(&*docker_archive(
                    &["one:1"],
                    std::slice::from_ref(&below),
                    "{}",
                ))
                .unwrap();
            images
                .load(&*docker_archive(&["two:1"], &[below, above], "{}"))
                .unwrap();
            assert_eq!(stage.counts(), [0, 4, 2, 2, 0]);
            let two = images.inspect("two:1").unwrap();
            images.prepare(&two.id, &id("c")).unwrap();
            let removed = texts(images.remove("two:1", true, &nobody).unwrap());
            assert_eq!(removed, ["-two:1".to_owned(), format!("!{}", two.id)]);
            assert_eq!(
                stage.counts(),
                [0, 2, 2, 1, 1],
                "its layers are below a container"
            );
            drop(images);
            let images = stage.images();
            let root = images.mount(&id("c")).unwrap();
            assert!(root.join("above").exists() && root.join("below").exists());
            images.remove_root(&id("c")).unwrap();
            drop(images);
            let images = stage.images();
            assert_eq!(stage.counts(), [0, 2, 1, 1, 0], "what nobody uses is swept");
            assert_eq!(images.list().unwrap().len(), 1);
        },
    );
}

#[test]
fn history_is_told_from_the_newest_step() {
    on_stage(
        concat!(module_path!(), "::history_is_told_from_the_newest_step"),
        |stage| {
            let images = stage.images();
            let layer = Tar::new().file("file", "12345").bytes();
            images
                .load(&*docker_archive(&["x:1"], &[layer], "{}"))
                .unwrap();
            let history = images.history("x:1").unwrap();
            let told: Vec<_> = history
                .iter()
                .map(|step| (step.created_by.as_str(), step.size, step.tags.len()))
                .collect();
            assert_eq!(told, [("two", 0, 1), ("one", 5, 0)]);
            assert_eq!(history[0].id, Some(images.inspect("x:1").unwrap().id));
        },
    );
}
