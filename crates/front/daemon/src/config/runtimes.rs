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
    /// A sentence for each that no container can be run by.
    pub(crate) unready: Vec<String>,
}

/// Reads which runtimes there are. One that is not installed does no harm before it is asked for.
pub(crate) fn runtimes(settings: &Settings) -> Result<Runtimes> {
    let mut runtimes = Runtimes::default();
    let mut faults = BTreeMap::new();
    for (name, value) in settings.entries("runtimes").into_iter().flatten() {
        match path(name, value) {
            Ok(path) => {
                runtimes.named.insert(name.clone(), path);
            }
            Err(fault) => {
                faults.insert(name.as_str(), fault);
            }
        }
    }
    if let Some(wanted) = settings.text("default-runtime") {
        if let Some(fault) = faults.get(wanted) {
            return refuse(fault);
        }
        runtimes.default = Some((wanted.into(), default_path(wanted, &runtimes.named)?));
    }
    runtimes.unready = faults.into_values().map(unready).collect();
    Ok(runtimes)
}

fn unready(fault: String) -> String {
    format!("{fault}; a container that asks for it is refused")
}

fn default_path(wanted: &str, named: &BTreeMap<String, PathBuf>) -> Result<PathBuf> {
    match named.get(wanted).cloned().or_else(|| find(wanted)) {
        Some(path) => Ok(path),
        None => refuse(format!(
            "specified default runtime '{wanted}' does not exist; name it with --add-runtime \
             {wanted}=PATH"
        )),
    }
}

/// A path, or an object that has one; else what is wrong with it. What else dockerd takes there
/// belongs to containerd.
fn path(name: &str, value: &Value) -> std::result::Result<PathBuf, String> {
    let text = value.as_str().or_else(|| value.get("path")?.as_str());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(format!(
            "runtime {name}: only a path is supported, as {name}=/usr/bin/runc"
        ));
    };
    find(text)
        .filter(|path| path.is_file())
        .ok_or_else(|| format!("runtime {name}: there is no program \"{text}\""))
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
        let found = read("x", json!({"x": "/bin/sh", "y": {"path": "/bin/cat"}})).unwrap();
        assert_eq!(found.default, Some(("x".into(), "/bin/sh".into())));
        assert_eq!(found.named["y"], PathBuf::from("/bin/cat"));
        assert!(found.unready.is_empty());
        assert_eq!(read("", json!({})).unwrap().default, None);
        let direct = read("/opt/z", json!({})).unwrap();
        assert_eq!(direct.default, Some(("/opt/z".into(), "/opt/z".into())));
    }

    #[test]
    fn a_runtime_that_is_not_there_is_refused() {
        let error = read("no-such-runtime", json!({})).unwrap_err().to_string();
        assert!(error.starts_with("specified default runtime 'no-such-runtime' does not exist"));
        for absent in [
            json!({"x": "/nosuch/x"}),
            json!({"x": {"path": "no-such-runtime"}}),
            json!({"x": {"runtimeType": "io.containerd.x"}}),
        ] {
            assert!(read("x", absent.clone()).is_err(), "{absent}");
        }
    }

    #[test]
    fn one_that_is_not_used_may_be_absent() {
        let found = read(
            "",
            json!({"x": {"path": "/nosuch/x", "runtimeArgs": ["-v"]}}),
        )
        .unwrap();
        assert!(found.named.is_empty());
        assert_eq!(
            found.unready,
            [
                "runtime x: there is no program \"/nosuch/x\"; a container that asks for it is refused"
            ]
        );
    }
}
