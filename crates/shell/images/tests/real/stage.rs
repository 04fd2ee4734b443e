//! A place for one test, and tars to try on it.

use sealane_core::model::{Id, derive_id};
use sealane_images::{Backend, Images};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tar::{Builder, EntryType, Header};

const STAGE: &str = "SEALANE_TEST_STAGE";

/// Runs `test` in a mount namespace of its own. `path` is the path of the calling test.
pub(crate) fn on_stage(path: &str, test: impl FnOnce(Stage)) {
    if let Some(folder) = std::env::var_os(STAGE) {
        return test(Stage {
            folder: folder.into(),
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args([
            test_name(path),
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(STAGE, folder.path())
        .status()
        .expect("unshare is installed");
    assert!(status.success(), "{path} failed on its stage");
}

/// What the test runner calls the test with this path.
pub(crate) fn test_name(path: &str) -> &str {
    path.split_once("::").unwrap().1
}

/// Where a test plays.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
}

impl Stage {
    /// A data root on which overlayfs works.
    pub(crate) fn data_root(&self) -> PathBuf {
        let root = self.folder.join("data");
        fs::create_dir_all(&root).unwrap();
        root
    }

    pub(crate) fn images(&self) -> Images {
        let images = Images::open(&self.data_root()).unwrap();
        assert_eq!(images.backend(), Backend::Overlay);
        images
    }

    /// A store whose data root is on overlayfs itself, which refuses to be stacked upon.
    pub(crate) fn copying_images(&self) -> Images {
        let at = |name: &str| self.folder.join("below").join(name);
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let options = ["lower", "upper", "work"].map(|name| at(name).display().to_string());
        let [lower, upper, work] = options;
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "overlay", "none", "-o", &options])
            .arg(at("merged"));
        assert!(mount.status().unwrap().success());
        let images = Images::open(&at("merged")).unwrap();
        assert_eq!(images.backend(), Backend::Copy);
        images
    }

    /// What is in the store's folders: nothing is left over when the counts are as expected.
    pub(crate) fn counts(&self) -> [usize; 5] {
        ["tmp", "blobs", "layers", "records"]
            .map(|name| {
                fs::read_dir(self.data_root().join("images").join(name))
                    .unwrap()
                    .count()
            })
            .into_iter()
            .chain([fs::read_dir(self.data_root().join("rootfs"))
                .unwrap()
                .count()])
            .collect::<Vec<_>>()
            .try_into()
            .unwrap()
    }
}

pub(crate) fn id(name: &str) -> Id {
    derive_id(&[name.as_bytes()])
}

/// A tar in the making.
pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.entry(path, EntryType::Regular, content.as_bytes(), |header| {
            header.set_mode(0o644)
        })
    }

    pub(crate) fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(path, EntryType::Directory, b"", |header| {
            header.set_mode(mode)
        })
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Symlink, b"", |header| {
            set_target(header, target)
        })
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Link, b"", |header| {
            set_target(header, target)
        })
    }

    /// An entry whose path is taken as it is, however bad.
    pub(crate) fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        change(&mut header);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    /// An extended attribute of the next entry.
    pub(crate) fn attribute(mut self, name: &str, value: &[u8]) -> Self {
        let key = format!("SCHILY.xattr.{name}");
        self.0
            .append_pax_extensions([(key.as_str(), value)])
            .unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn set_target(header: &mut Header, target: &str) {
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The SHA-256 of bytes, by a witness that is not this project.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    String::from_utf8(output).unwrap()[..64].to_owned()
}

/// A docker-archive of one image with these layers, as engines wrote it for years.
pub(crate) fn docker_archive(tags: &[&str], layers: &[Vec<u8>], config: &str) -> Vec<u8> {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("\"sha256:{}\"", sha256(&plain(layer))))
        .collect();
    let configuration = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2026-01-02T03:04:05Z\",\
         \"config\":{config},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}},\
         \"history\":[{{\"created_by\":\"one\"}},{{\"created_by\":\"two\",\"empty_layer\":true}}]}}",
        diff_ids.join(",")
    );
    let paths: Vec<String> = (0..layers.len())
        .map(|place| format!("\"layer{place}/layer.tar\""))
        .collect();
    let tags: Vec<String> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    let manifest = format!(
        "[{{\"Config\":\"config.json\",\"RepoTags\":[{}],\"Layers\":[{}]}}]",
        tags.join(","),
        paths.join(",")
    );
    let mut tar = Tar::new()
        .file("config.json", &configuration)
        .file("manifest.json", &manifest);
    for (place, layer) in layers.iter().enumerate() {
        let path = format!("layer{place}/layer.tar");
        tar = tar.entry(&path, EntryType::Regular, layer, |_| {});
    }
    tar.bytes()
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] => {
            std::io::copy(&mut flate2::read::MultiGzDecoder::new(bytes), &mut plain).unwrap();
            plain
        }
        _ => bytes.to_vec(),
    }
}

/// Every path below a folder, with the content of files and the targets of links.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.push(format!("{name}/"));
            found.extend(
                tree(&path)
                    .into_iter()
                    .map(|below| format!("{name}/{below}")),
            );
        } else if kind.is_symlink() {
            found.push(format!(
                "{name} -> {}",
                fs::read_link(&path).unwrap().display()
            ));
        } else if kind.is_file() {
            found.push(format!("{name}: {}", fs::read_to_string(&path).unwrap()));
        } else {
            found.push(format!("{name} is special"));
        }
    }
    found.retain(|line| line != ".dockerenv: ");
    found
}
