//! Names of images: `[host[:port]/]path[:tag][@digest]`, and what people leave out of them.

use crate::{ImageError, ImageId, Result};
use std::fmt;

const DOCKER_HUB: &str = "docker.io";
const LIBRARY: &str = "library/";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A name with nothing left out but, perhaps, its tag and digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Reads a name as people write it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = || ImageError::InvalidReference(String::new());
        if text.len() == 64
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            let reason = format!(
                ": invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            );
            return Err(ImageError::InvalidReference(reason));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let (host, path) = split_host(name);
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let reason = format!(": repository name ({path}) must be lowercase");
            return Err(ImageError::InvalidReference(reason));
        }
        let whole = is_host(&host)
            && path.split('/').all(is_component)
            && tag.as_deref().is_none_or(is_tag)
            && digest.as_deref().is_none_or(is_digest);
        if !whole {
            return Err(invalid());
        }
        if path.len() > MAX_NAME {
            let reason = format!(": repository name must not be more than {MAX_NAME} characters");
            return Err(ImageError::InvalidReference(reason));
        }
        Ok(Self {
            host,
            path,
            tag,
            digest,
        })
    }

    /// The same name with the tag `latest`, if it has neither tag nor digest.
    pub(crate) fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Whether it has neither tag nor digest.
    pub(crate) fn is_bare(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// Whether it has a digest.
    pub(crate) fn has_digest(&self) -> bool {
        self.digest.is_some()
    }

    /// Its tag.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The repository, with nothing left out.
    pub(crate) fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The repository, as people write it.
    pub(crate) fn familiar_repository(&self) -> &str {
        self.path
            .strip_prefix(LIBRARY)
            .filter(|short| !short.contains('/'))
            .unwrap_or(&self.path)
    }

    /// As people write it.
    pub(crate) fn familiar(&self) -> String {
        let mut text = if self.host == DOCKER_HUB {
            self.familiar_repository().to_owned()
        } else {
            self.repository()
        };
        self.push_rest(&mut text);
        text
    }

    fn push_rest(&self, text: &mut String) {
        for (mark, part) in [(':', &self.tag), ('@', &self.digest)] {
            if let Some(part) = part {
                text.push(mark);
                text.push_str(part);
            }
        }
    }
}

/// With nothing left out.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.repository();
        self.push_rest(&mut text);
        f.write_str(&text)
    }
}

/// What people may mean: an id, or a name, which may also be the beginning of an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Id(ImageId),
    Name(Reference),
}

/// Reads what people write where an image is asked for.
pub(crate) fn meaning(text: &str) -> Result<Meaning> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    match ImageId::try_from(format!("sha256:{digits}")) {
        Ok(id) => Ok(Meaning::Id(id)),
        Err(_) => Reference::parse(text).map(Meaning::Name),
    }
}

/// The first part is a host if it looks like one: it has a dot or a port, or is `localhost`.
fn split_host(name: &str) -> (String, String) {
    let host = name.split_once('/').filter(|(first, _)| {
        first.contains(['.', ':']) || *first == "localhost" || first.to_lowercase() != **first
    });
    let (host, path) = host.unwrap_or((DOCKER_HUB, name));
    let host = if host == "index.docker.io" {
        DOCKER_HUB
    } else {
        host
    };
    let library = host == DOCKER_HUB && !path.contains('/');
    (
        host.to_owned(),
        if library {
            format!("{LIBRARY}{path}")
        } else {
            path.to_owned()
        },
    )
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let named = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(label),
    };
    named && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Letters and digits, with single separators between: `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let separators = component.split(|c: char| c.is_ascii_alphanumeric());
    alphanumeric(*first)
        && alphanumeric(*last)
        && separators.into_iter().all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    ImageId::try_from(digest).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> String {
        Reference::parse(text).unwrap().or_latest().to_string()
    }

    fn refused(text: &str) -> String {
        Reference::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        assert_eq!(whole("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(whole("me/box:1.2"), "docker.io/me/box:1.2");
        assert_eq!(whole("localhost/box"), "localhost/box:latest");
        assert_eq!(whole("host:5000/a/b_c--d:x"), "host:5000/a/b_c--d:x");
        assert_eq!(whole("[::1]:5000/a"), "[::1]:5000/a:latest");
        assert_eq!(whole("index.docker.io/x"), "docker.io/library/x:latest");
        let digest = format!("box@sha256:{}", "a".repeat(64));
        assert_eq!(whole(&digest), format!("docker.io/library/{digest}"));
    }

    #[test]
    fn people_see_what_they_write() {
        for text in [
            "busybox:latest",
            "me/box:1",
            "host:5000/library/x:1",
            "a.b/c:d",
        ] {
            assert_eq!(Reference::parse(text).unwrap().familiar(), text);
        }
        assert_eq!(
            Reference::parse("docker.io/library/a").unwrap().familiar(),
            "a"
        );
    }

    #[test]
    fn bad_names_are_refused_in_dockers_words() {
        for text in [
            "", ":x", "a:", "a b", "-a", "a..b", "a___b", "a/", "/a", "a:b:c", "a@b", "ä", "a//b",
            "x:-1",
        ] {
            assert_eq!(refused(text), "invalid reference format", "{text}");
        }
        let upper = "invalid reference format: repository name (library/Box) must be lowercase";
        assert_eq!(refused("Box"), upper);
        assert!(refused(&"ab".repeat(32)).ends_with("cannot specify 64-byte hexadecimal strings"));
        assert!(refused(&"a".repeat(300)).ends_with("more than 255 characters"));
    }
}
