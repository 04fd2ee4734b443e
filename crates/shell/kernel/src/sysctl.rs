//! Settings under /proc/sys/net, which show the namespace of the thread that opens them.

use std::io;
use std::path::{Path, PathBuf};

const ROOT: &str = "/proc/sys/net";

/// The file of a setting. `setting` comes from a plan; one that would lead out of the folder is
/// refused.
pub(crate) fn file(setting: &str) -> io::Result<PathBuf> {
    let outside = setting
        .split('/')
        .any(|part| matches!(part, "" | "." | ".."));
    if outside {
        let why = format!("the setting \"{setting}\" is not a path below {ROOT}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(Path::new(ROOT).join(setting))
}

/// Reads a setting, with single spaces between several values; `None` where there is none such.
pub(crate) fn read(setting: &str) -> io::Result<Option<String>> {
    match std::fs::read_to_string(file(setting)?) {
        Ok(text) => Ok(Some(
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_stays_below_its_folder() {
        for outside in [
            "",
            "/etc/passwd",
            "../vm/swappiness",
            "ipv4/../../kernel/x",
            "ipv4//x",
        ] {
            assert!(file(outside).is_err(), "{outside}");
        }
        let vlan = file("ipv6/conf/eth0.100/disable_ipv6").unwrap();
        assert_eq!(
            vlan,
            Path::new("/proc/sys/net/ipv6/conf/eth0.100/disable_ipv6")
        );
    }
}
