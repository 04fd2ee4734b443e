//! `GET /images/json`

use crate::api::Api;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use crate::time;
use crate::version::ApiVersion;
use jiff::Timestamp;
use sealane_images::Image;
use serde::Serialize;
use std::collections::BTreeMap;

const ACCEPTED: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

/// An image as a list shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Summary {
    containers: i64,
    created: i64,
    id: String,
    labels: Option<BTreeMap<String, String>>,
    parent_id: &'static str,
    repo_digests: Vec<String>,
    repo_tags: Vec<String>,
    shared_size: i64,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_size: Option<u64>,
}

/// The checked filters of a list.
struct Chosen {
    filters: Filters,
    dangling: Option<bool>,
    /// Only those made before this one.
    before: Option<Timestamp>,
    /// Only those made after this one.
    since: Option<Timestamp>,
}

/// Lists the images that the filters choose.
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    let filters = Filters::of(&call.query, &ACCEPTED)?;
    let version = call.version;
    let list = call
        .blocking(move |api| summaries(api, filters, version))
        .await?;
    Ok(respond::ok(&list))
}

/// The images that filters choose, as a list shows them.
pub(crate) fn summaries(
    api: &Api,
    filters: Filters,
    version: ApiVersion,
) -> Result<Vec<Summary>, ApiError> {
    let chosen = Chosen::of(filters, api)?;
    let images = api
        .images
        .list()?
        .into_iter()
        .filter(|image| chosen.takes(image));
    let shown = images.map(|image| {
        let users = api.containers.image_users(&image.id).len();
        summary(image, users, version)
    });
    Ok(shown.collect())
}

fn summary(image: Image, users: usize, version: ApiVersion) -> Summary {
    let users = i64::try_from(users).unwrap_or(i64::MAX);
    Summary {
        // Before 1.51 they were not counted.
        containers: if version.at_least(51) { users } else { -1 },
        created: image.created.map_or(0, Timestamp::as_second),
        id: image.id.to_string(),
        labels: Some(image.config.labels).filter(|labels| !labels.is_empty()),
        parent_id: "",
        repo_digests: image.repo_digests,
        repo_tags: image.repo_tags,
        shared_size: -1,
        size: image.size,
        virtual_size: (!version.at_least(44)).then_some(image.size),
    }
}

impl Chosen {
    fn of(filters: Filters, api: &Api) -> Result<Self, ApiError> {
        let dangling = match filters.single("dangling")? {
            None => None,
            Some("1" | "true") => Some(true),
            Some("0" | "false") => Some(false),
            Some(other) => {
                let shown: String = other.chars().take(80).collect();
                let text = format!("invalid filter 'dangling=[{shown}]'");
                return Err(ApiError::invalid(text));
            }
        };
        let made = |reference: &str| -> Result<Timestamp, ApiError> {
            Ok(api
                .images
                .inspect(reference)?
                .created
                .unwrap_or(Timestamp::UNIX_EPOCH))
        };
        let mut before = filters.single("before")?.map(made).transpose()?;
        let since = filters.single("since")?.map(made).transpose()?;
        if let Some(text) = filters.single("until")? {
            let until = time::parse(text, Timestamp::now())?;
            before = Some(before.map_or(until, |before| before.min(until)));
        }
        Ok(Self {
            filters,
            dangling,
            before,
            since,
        })
    }

    fn takes(&self, image: &Image) -> bool {
        let made = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
        self.dangling
            .is_none_or(|dangling| dangling == image.repo_tags.is_empty())
            && self.before.is_none_or(|before| made < before)
            && self.since.is_none_or(|since| made > since)
            && self.filters.labels("label", &image.config.labels)
            && self.reference_matches(&image.repo_tags)
    }

    fn reference_matches(&self, tags: &[String]) -> bool {
        let patterns = self.filters.values("reference");
        patterns.is_empty()
            || patterns
                .iter()
                .any(|pattern| tags.iter().any(|tag| familiar(pattern, tag)))
    }
}

/// Whether a pattern with `*` and `?` fits a name with its tag, or without.
fn familiar(pattern: &str, tag: &str) -> bool {
    let name = match tag.rsplit_once(':') {
        Some((name, last)) if !last.contains('/') => name,
        _ => tag,
    };
    glob(pattern.as_bytes(), tag.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
}

/// A match as shells make it for file names: `*` and `?` stop at a slash.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // The last star and how far the text was when it took nothing: the place to try again from.
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(b'?') if text[from] != b'/' => (at, from) = (at + 1, from + 1),
            Some(&byte) if byte == text[from] => (at, from) = (at + 1, from + 1),
            Some(_) | None => match star {
                Some((star_at, taken)) if text[taken] != b'/' => {
                    star = Some((star_at, taken + 1));
                    (at, from) = (star_at + 1, taken + 1);
                }
                Some(_) | None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_matches_by_name_or_by_name_and_tag() {
        let hits = [
            ("busybox", "busybox:latest"),
            ("busybox:*", "busybox:1.36"),
            ("busy*:lat?st", "busybox:latest"),
            ("host:5000/a/*", "host:5000/a/b:1"),
            ("*", "busybox:latest"),
            ("*box*", "busybox:1"),
        ];
        for (pattern, tag) in hits {
            assert!(familiar(pattern, tag), "{pattern} {tag}");
        }
        let misses = [
            ("busy", "busybox:latest"),
            ("*", "a/b:1"),
            ("busybox:2", "busybox:1"),
        ];
        for (pattern, tag) in misses {
            assert!(!familiar(pattern, tag), "{pattern} {tag}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        let pattern = "*a".repeat(50);
        assert!(!glob(pattern.as_bytes(), "b".repeat(5_000).as_bytes()));
    }
}
