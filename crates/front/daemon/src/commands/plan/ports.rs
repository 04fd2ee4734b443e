//! Ports as `docker run -p` takes them.

use serde_json::{Map, Value, json};

/// Exposed ports and port bindings, as the API takes them.
pub(super) type Published = (Map<String, Value>, Map<String, Value>);

/// Reads `[[ADDRESS:][HOST PORTS]:]PORTS[/PROTOCOL]`, each with one port or a range.
pub(in crate::commands) fn published(texts: &[&str]) -> Result<Published, String> {
    let (mut exposed, mut bindings) = (Map::new(), Map::new());
    for text in texts {
        let wrong = || format!("invalid port \"{text}\"; write it as docker run -p does: 8080:80");
        let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (address, host, container) = split(rest).ok_or_else(wrong)?;
        let container = range(container).ok_or_else(wrong)?;
        let host_range = if host.is_empty() {
            None
        } else {
            Some(range(host).ok_or_else(wrong)?)
        };
        for (offset, port) in (container.0..=container.1).enumerate() {
            let host_port = match host_range {
                None => String::new(),
                // As many host ports as container ports: one each. Else the first that is free.
                Some((first, last)) if last - first == container.1 - container.0 => {
                    (usize::from(first) + offset).to_string()
                }
                Some(_) if container.0 == container.1 => host.to_owned(),
                Some(_) => return Err(wrong()),
            };
            let key = format!("{port}/{protocol}");
            exposed.insert(key.clone(), json!({}));
            let entry = bindings.entry(key).or_insert_with(|| json!([]));
            if let Value::Array(entries) = entry {
                entries.push(json!({"HostIp": address, "HostPort": host_port}));
            }
        }
    }
    Ok((exposed, bindings))
}

/// Reads `PORTS[/PROTOCOL]`.
pub(in crate::commands) fn exposed(texts: &[&str]) -> Result<Map<String, Value>, String> {
    let mut exposed = Map::new();
    for text in texts {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let wrong = || format!("invalid port \"{text}\"; write 80, 80-90 or 53/udp");
        let (first, last) = range(ports).ok_or_else(wrong)?;
        exposed.extend((first..=last).map(|port| (format!("{port}/{protocol}"), json!({}))));
    }
    Ok(exposed)
}

/// Address, host ports and container ports; the first two may be empty.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (rest, container) = match text.rsplit_once(':') {
        Some(parts) => parts,
        None => return Some(("", "", text)),
    };
    if let Some(inner) = rest.strip_prefix('[') {
        let (address, host) = inner.split_once(']')?;
        return Some((address, host.strip_prefix(':')?, container));
    }
    match rest.rsplit_once(':') {
        Some((address, host)) => Some((address, host, container)),
        None => Some(("", rest, container)),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(text: &str) -> Option<String> {
        published(&[text])
            .ok()
            .map(|(_, bindings)| Value::Object(bindings).to_string())
    }

    #[test]
    fn all_forms_are_read() {
        let forms = [
            ("80", r#"{"80/tcp":[{"HostIp":"","HostPort":""}]}"#),
            (
                "8080:80/udp",
                r#"{"80/udp":[{"HostIp":"","HostPort":"8080"}]}"#,
            ),
            (
                "127.0.0.1::80",
                r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":""}]}"#,
            ),
            (
                "[::1]:8080:80",
                r#"{"80/tcp":[{"HostIp":"::1","HostPort":"8080"}]}"#,
            ),
            (
                "8000-8010:80",
                r#"{"80/tcp":[{"HostIp":"","HostPort":"8000-8010"}]}"#,
            ),
            (
                "7000-7001:8000-8001",
                r#"{"8000/tcp":[{"HostIp":"","HostPort":"7000"}],"8001/tcp":[{"HostIp":"","HostPort":"7001"}]}"#,
            ),
        ];
        for (text, expected) in forms {
            assert_eq!(bindings(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn impossible_ports_are_refused() {
        for text in [
            "",
            "0",
            "65536",
            "80-70",
            "a:80",
            "1-2:3-5",
            "[::1:80:80",
            "1:2:3:4:x",
        ] {
            assert_eq!(bindings(text), None, "{text}");
        }
        assert!(exposed(&["80-"]).is_err() && exposed(&["80-82/udp"]).unwrap().len() == 3);
    }
}
