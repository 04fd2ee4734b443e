//! Which OCI runtime containers are run by.

use super::error::{Result, refuse};
use super::settings::Settings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

/// Folders that programs are searched in besides `PATH`.
const USUAL: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// The runtimes that were named, and the one to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runtimes {
    /// Paths by name.
    pub(crate) named: BTreeMap<String, PathBuf>,
    /// The name and path of the default; `None` to take what works.
    pub(crate) default: Option<(String, PathBuf)>,
}

/// Reads which runtimes there are.
pub(crate) fn runtimes(settings: &Settings) -> Result<Runtimes> {
    let mut named = BTreeMap::new();
    for (name, value) in settings.entries("runtimes").into_iter().flatten() {
        named.insert(name.clone(), path(name, value)?);
    }
    let Some(wanted) = settings.text("default-runtime") else {
        return Ok(Runtimes {
            named,
            default: None,
        });
    };
    let path = named.get(wanted).cloned().or_else(|| find(wanted));
    match path {
        Some(path) => Ok(Runtimes {
            named,
            default: Some((wanted.into(), path)),
        }),
        None => refuse(format!(
            "specified default runtime '{wanted}' does not exist; name it with --add-runtime \
             {wanted}=PATH"
        )),
    }
}

/// A path, or an object that has one. What else dockerd takes there belongs to containerd.
fn path(name: &str, value: &Value) -> Result<PathBuf> {
    let text = value.as_str().or_else(|| value.get("path")?.as_str());
    match text.filter(|text| !text.is_empty()) {
        Some(text) if text.contains('/') => Ok(text.into()),
        Some(text) => match find(text) {
            Some(path) => Ok(path),
            None => refuse(format!("runtime {name}: there is no program \"{text}\"")),
        },
        None => refuse(format!(
            "runtime {name}: only a path is supported, as {name}=/usr/bin/runc"
        )),
    }
}

fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(program.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(USUAL.iter().map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::Values;
    use serde_json::json;

    fn read(default: &str, named: Value) -> Result<Runtimes> {
        runtimes(&Settings(Values::from([
            ("default-runtime", json!(default)),
            ("runtimes", named),
        ])))
    }

    #[test]
    fn a_runtime_is_named_by_flag_or_file() {
        let found = read("x", json!({"x": "/opt/x", "y": {"path": "/opt/y"}})).unwrap();
        assert_eq!(found.default, Some(("x".into(), "/opt/x".into())));
        assert_eq!(found.named["y"], PathBuf::from("/opt/y"));
        assert_eq!(read("", json!({})).unwrap().default, None);
        let direct = read("/opt/z", json!({})).unwrap();
        assert_eq!(direct.default, Some(("/opt/z".into(), "/opt/z".into())));
    }

    #[test]
    fn a_runtime_that_is_not_there_is_refused() {
        let error = read("no-such-runtime", json!({})).unwrap_err().to_string();
        assert!(error.starts_with("specified default runtime 'no-such-runtime' does not exist"));
        assert!(read("", json!({"x": {"runtimeType": "io.containerd.x"}})).is_err());
    }
}
