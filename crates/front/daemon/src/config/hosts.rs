//! Where the daemon listens.

use super::error::{Result, refuse};
use super::settings::Settings;
use sealane_docker_api::TlsFiles;
use std::env;
use std::path::PathBuf;

const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// `unix://PATH`
    Unix(PathBuf),
    /// `fd://`, `fd://*` (all sockets that systemd passed) or `fd://NAME`.
    Passed(Option<String>),
    /// `tcp://ADDRESS:PORT`; only with TLS.
    Tcp(String),
}

/// Reads where to listen.
pub(crate) fn hosts(settings: &Settings) -> Result<Vec<Host>> {
    let mut hosts: Vec<Host> = Vec::new();
    for text in settings.texts("hosts") {
        let host = host(text)?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        hosts.push(Host::Unix(USUAL_SOCKET.into()));
    }
    let over_tcp = hosts.iter().any(|host| matches!(host, Host::Tcp(_)));
    if over_tcp && !verifies(settings) && settings.switch("tls", false) {
        return refuse("--tls alone lets in everybody; use --tlsverify");
    }
    if over_tcp && !verifies(settings) {
        return refuse(
            "a tcp:// socket is served to clients with a certificate only, since whoever may use \
             it is root on this host; add --tlsverify with --tlscacert, --tlscert and --tlskey, \
             or use a unix:// socket",
        );
    }
    Ok(hosts)
}

/// The files of TLS, where it is asked for. They are read once a socket needs them.
pub(crate) fn tls(settings: &Settings) -> Option<TlsFiles> {
    if !verifies(settings) {
        return None;
    }
    let folder = env::var_os("DOCKER_CERT_PATH").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    let folder = folder.unwrap_or_else(|| "/etc/docker".into());
    let file = |name, usual: &str| {
        settings
            .text(name)
            .map_or_else(|| folder.join(usual), PathBuf::from)
    };
    Some(TlsFiles {
        ca: file("tlscacert", "ca.pem"),
        certificate: file("tlscert", "cert.pem"),
        key: file("tlskey", "key.pem"),
    })
}

/// What the operator should know of TLS that no socket uses.
pub(crate) fn unused_tls(settings: &Settings, hosts: &[Host]) -> Option<String> {
    let asked = settings.switch("tls", false) || settings.switch("tlsverify", false);
    let used = hosts
        .iter()
        .any(|host| matches!(host, Host::Tcp(_) | Host::Passed(_)));
    (asked && !used).then(|| "TLS is asked for, and no tcp:// socket is served by it".into())
}

fn verifies(settings: &Settings) -> bool {
    let usual = env::var_os("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
    settings.switch("tlsverify", usual)
}

fn host(text: &str) -> Result<Host> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return match text.starts_with('/') {
            true => Ok(Host::Unix(text.into())),
            false => tcp(text),
        };
    };
    match scheme {
        "unix" if rest.is_empty() => Ok(Host::Unix(USUAL_SOCKET.into())),
        "unix" if rest.starts_with('/') => Ok(Host::Unix(rest.into())),
        "unix" => refuse(format!("-H {text}: the path must begin with a slash")),
        "fd" if matches!(rest, "" | "*") => Ok(Host::Passed(None)),
        "fd" => Ok(Host::Passed(Some(rest.into()))),
        "tcp" => tcp(rest),
        _ => refuse(format!(
            "-H {text}: use unix://PATH, fd:// or tcp://ADDRESS:PORT"
        )),
    }
}

/// An address with a port; what is left out is all addresses, and Docker's port for TLS.
fn tcp(text: &str) -> Result<Host> {
    let has_port = text.rsplit_once(':').is_some_and(|(address, _)| {
        !address.contains(':') || (address.starts_with('[') && address.ends_with(']'))
    });
    let (address, port) = match text.rsplit_once(':').filter(|_| has_port) {
        Some((address, port)) => (address, port),
        None => (text, ""),
    };
    let port: u16 = match port {
        "" => 2376,
        digits => super::settings::parse("host", digits, "a port")?,
    };
    let address = if address.is_empty() {
        "0.0.0.0"
    } else {
        address
    };
    Ok(Host::Tcp(format!("{address}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::Values;
    use serde_json::json;

    fn read(texts: &[&str], verify: bool) -> Result<Vec<Host>> {
        hosts(&Settings(Values::from([
            ("hosts", json!(texts)),
            ("tlsverify", json!(verify)),
        ])))
    }

    #[test]
    fn all_spellings_are_read() {
        let hosts = read(
            &[
                "unix://",
                "unix:///a",
                "/b",
                "fd://",
                "fd://api",
                "unix:///a",
            ],
            false,
        )
        .unwrap();
        assert_eq!(
            hosts,
            [
                Host::Unix("/var/run/docker.sock".into()),
                Host::Unix("/a".into()),
                Host::Unix("/b".into()),
                Host::Passed(None),
                Host::Passed(Some("api".into())),
            ]
        );
        let tcp = read(
            &[
                "tcp://",
                "tcp://:1",
                "tcp://h:2",
                "tcp://[::1]:3",
                "tcp://[::1]",
            ],
            true,
        );
        let addresses = ["0.0.0.0:2376", "0.0.0.0:1", "h:2", "[::1]:3", "[::1]:2376"];
        assert_eq!(tcp.unwrap(), addresses.map(|text| Host::Tcp(text.into())));
    }

    #[test]
    fn tcp_without_certificates_is_refused_with_a_way_out() {
        let error = read(&["tcp://127.0.0.1:2375"], false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--tlsverify"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "unix://relative",
            "http://x",
            "npipe:////./x",
            "tcp://h:99999",
        ] {
            assert!(read(&[text], true).is_err(), "{text}");
        }
    }
}
