//! The containers that are chosen, as a list shows them.

use crate::container::Container;
use crate::filter::{Filters, check_keys, labels_match, text_matches, values};
use crate::record::{Record, Status};
use crate::request::{Counts, ListOptions};
use crate::view::{ContainerSummary, PortView};
use crate::{ContainerError, Containers, mounts, ports};
use sealane_core::model::{Id, PortMapping, Sandbox};
use sealane_images::ImageId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The filters of `GET /containers/json`.
const KEYS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const STATES: [&str; 7] = [
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];

/// What one list asks for, read once.
struct Choice<'a> {
    filters: &'a Filters,
    all: bool,
    exit_codes: Vec<i64>,
    /// `None` where the image does not matter.
    images: Option<BTreeSet<ImageId>>,
    published: BTreeSet<String>,
    exposed: BTreeSet<String>,
    /// By container, the names that others know it by: `/parent/alias`.
    link_names: BTreeMap<Id, Vec<String>>,
}

impl Choice<'_> {
    /// All names of a container, its own and those of links, in order.
    fn names(&self, record: &Record) -> Vec<String> {
        let mut names = vec![format!("/{}", record.name)];
        names.extend(self.link_names.get(&record.id).cloned().unwrap_or_default());
        names.sort();
        names
    }
}

impl Containers {
    /// The containers that are chosen, newest first.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<ContainerSummary>, ContainerError> {
        let choice = self.read_choice(options)?;
        let chosen = self.span(&options.filters)?;
        let chosen = chosen.into_iter().map(|container| container.record());
        let chosen = chosen.filter(|record| self.fits(record, &choice));
        let mut images = BTreeMap::new();
        let summarize = |record: Arc<Record>| {
            let names = choice.names(&record);
            self.summarize(&record, names, &mut images)
        };
        Ok(chosen
            .take(options.limit.unwrap_or(usize::MAX))
            .map(summarize)
            .collect())
    }

    /// How many containers exist, run, and do not.
    pub fn counts(&self) -> Counts {
        let all = self.registry.all();
        let running = all
            .iter()
            .filter(|container| container.record().state.is_running());
        let running = running.count();
        Counts {
            total: all.len(),
            running,
            paused: 0,
            stopped: all.len() - running,
        }
    }

    fn read_choice<'a>(&self, options: &'a ListOptions) -> Result<Choice<'a>, ContainerError> {
        let filters = &options.filters;
        check_keys(filters, &KEYS)?;
        let statuses = values(filters, "status");
        if let Some(unknown) = statuses
            .iter()
            .find(|status| !STATES.contains(&status.as_str()))
        {
            return Err(invalid(format!(
                "invalid filter 'status={unknown}': invalid value for state ({unknown}): must be \
                 one of created, running, paused, restarting, removing, exited, dead"
            )));
        }
        let exit_code = |text: &String| {
            text.parse().map_err(|_| {
                invalid(format!(
                    "invalid filter 'exited={text}': {text:?} is not a number"
                ))
            })
        };
        let exit_codes: Result<Vec<i64>, _> =
            values(filters, "exited").iter().map(exit_code).collect();
        let image = |reference: &String| self.parts.files.inspect(reference).ok().map(|i| i.id);
        let ancestors = values(filters, "ancestor");
        let images = ancestors.iter().filter_map(image).collect();
        Ok(Choice {
            filters,
            all: options.all || options.limit.is_some() || !statuses.is_empty(),
            exit_codes: exit_codes?,
            images: (!ancestors.is_empty()).then_some(images),
            published: port_filter(filters, "publish")?,
            exposed: port_filter(filters, "expose")?,
            link_names: self.link_names(),
        })
    }

    fn link_names(&self) -> BTreeMap<Id, Vec<String>> {
        let mut names: BTreeMap<Id, Vec<String>> = BTreeMap::new();
        for container in self.registry.all() {
            let parent = container.record();
            for link in &parent.links {
                let name = format!("/{}/{}", parent.name, link.alias);
                names.entry(link.target).or_default().push(name);
            }
        }
        names
    }

    /// The containers made before one and after another, newest first.
    fn span(&self, filters: &Filters) -> Result<Vec<Arc<Container>>, ContainerError> {
        let mut all = self.registry.all();
        for (key, keep_before) in [("before", true), ("since", false)] {
            for reference in values(filters, key) {
                let edge = self.registry.find(reference)?.id;
                let Some(at) = all.iter().position(|container| container.id == edge) else {
                    continue;
                };
                if keep_before {
                    all.drain(..=at);
                } else {
                    all.truncate(at);
                }
            }
        }
        Ok(all)
    }

    fn fits(&self, record: &Record, choice: &Choice<'_>) -> bool {
        let filters = choice.filters;
        let state = &record.state;
        let ids = values(filters, "id");
        let id = record.id.to_string();
        let names = values(filters, "name");
        let ended = state.status == Status::Exited;
        let sandbox = self.parts.networks.sandbox(&record.id);
        (choice.all || state.is_running())
            && (ids.is_empty() || ids.iter().any(|wanted| id.starts_with(wanted.as_str())))
            && (text_matches(names, &record.name)
                || choice
                    .names(record)
                    .iter()
                    .any(|name| text_matches(names, name)))
            && labels_match(filters, record)
            && text_matches(values(filters, "status"), state.word())
            && (choice.exit_codes.is_empty()
                || ended && choice.exit_codes.contains(&state.exit_code))
            && choice.images.as_ref().is_none_or(|images| {
                record
                    .image
                    .as_ref()
                    .is_some_and(|image| images.contains(image))
            })
            && self.on_network(record, values(filters, "network"))
            && has_volume(record, values(filters, "volume"))
            && has_port(record, sandbox.as_deref(), choice)
            && has_neither_task_nor_health(filters)
    }

    fn on_network(&self, record: &Record, wanted: &[String]) -> bool {
        let on = |wanted: &String| {
            record.endpoints.contains_key(wanted)
                || record.endpoints.keys().any(|name| {
                    let network = self.parts.networks.find_network(name);
                    network.is_ok_and(|network| network.id.to_string().starts_with(wanted.as_str()))
                })
        };
        wanted.is_empty() || wanted.iter().any(on)
    }

    fn summarize(
        &self,
        record: &Record,
        names: Vec<String>,
        images: &mut BTreeMap<String, Option<ImageId>>,
    ) -> ContainerSummary {
        let running = record.state.status == Status::Running;
        let sandbox = self.parts.networks.sandbox(&record.id).filter(|_| running);
        let wanted = mounts::wanted(&record.host_config).unwrap_or_default();
        ContainerSummary {
            id: record.id,
            names,
            image: self.image_name(record, images),
            image_id: record.image,
            path: record.path.clone(),
            args: record.args.clone(),
            created: record.created,
            ports: self.port_list(record, sandbox.as_deref()),
            labels: record.config.labels.clone(),
            state: record.state.clone(),
            network_mode: record.host_config.network_mode.clone(),
            annotations: record.host_config.annotations.clone(),
            networks: self.shown_networks(record, sandbox.as_deref()),
            mounts: wanted.iter().filter_map(mounts::shown).collect(),
        }
    }

    /// The image as it was asked for, or its id if that now leads elsewhere.
    fn image_name(
        &self,
        record: &Record,
        images: &mut BTreeMap<String, Option<ImageId>>,
    ) -> String {
        let asked = record.config.image.clone().unwrap_or_default();
        let leads_to = *images
            .entry(asked.clone())
            .or_insert_with(|| self.parts.files.inspect(&asked).ok().map(|image| image.id));
        match &record.image {
            Some(image) if leads_to.as_ref() != Some(image) => image.to_string(),
            Some(_) | None => asked,
        }
    }

    fn port_list(&self, record: &Record, sandbox: Option<&Sandbox>) -> Vec<PortView> {
        let Some(sandbox) = sandbox else {
            return vec![];
        };
        let shown = self.shown_ports(record, Some(sandbox));
        let unpublished = shown.iter().filter(|(_, sides)| sides.is_none());
        let mut list: Vec<PortView> = unpublished
            .map(|((private, protocol), _)| PortView {
                address: None,
                private: *private,
                public: None,
                protocol: *protocol,
            })
            .collect();
        list.extend(sandbox.ports.iter().flat_map(published));
        let text = |address: Option<IpAddr>| address.map(|address| address.to_string());
        list.sort_by_key(|port| (port.private, port.public, text(port.address)));
        list.dedup();
        list
    }
}

fn published(mapping: &PortMapping) -> Vec<PortView> {
    let view = |address, public| PortView {
        address,
        private: mapping.container_port,
        public,
        protocol: mapping.protocol,
    };
    if !mapping.is_translated() {
        return vec![view(None, None)];
    }
    let addresses = ports::host_addresses(mapping).into_iter();
    addresses
        .map(|address| view(Some(address), Some(mapping.host_port)))
        .collect()
}

/// `80/tcp` or `80-90/tcp`, without a host side.
fn port_filter(filters: &Filters, key: &str) -> Result<BTreeSet<String>, ContainerError> {
    let mut ports = BTreeSet::new();
    for value in values(filters, key) {
        if value.contains(':') {
            return Err(invalid(format!(
                "filter for '{key}' should not contain ':': {value}"
            )));
        }
        let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
            return Err(invalid(format!(
                "error while looking up for {key} {value}: invalid port range"
            )));
        };
        ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(ports)
}

fn has_port(record: &Record, sandbox: Option<&Sandbox>, choice: &Choice<'_>) -> bool {
    if choice.published.is_empty() && choice.exposed.is_empty() {
        return true;
    }
    let mappings = sandbox.map_or(&[][..], |sandbox| &sandbox.ports);
    let published = mappings.iter().any(|mapping| {
        choice
            .published
            .contains(&format!("{}/{}", mapping.host_port, mapping.protocol))
    });
    let exposed = ports::exposed(&record.config, &record.host_config).unwrap_or_default();
    let mut exposed = exposed
        .iter()
        .map(|(port, protocol)| format!("{port}/{protocol}"));
    published || sandbox.is_some() && exposed.any(|port| choice.exposed.contains(&port))
}

fn has_volume(record: &Record, wanted: &[String]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let mounts = mounts::wanted(&record.host_config).unwrap_or_default();
    let mut shown = mounts.iter().filter_map(mounts::shown);
    shown.any(|mount| {
        wanted
            .iter()
            .any(|path| mount.source.as_os_str() == path.as_str() || mount.destination == *path)
    })
}

/// No container is a task of a service, and none has a health check.
fn has_neither_task_nor_health(filters: &Filters) -> bool {
    let is_task = values(filters, "is-task")
        .iter()
        .any(|value| matches!(&**value, "true" | "1"));
    let health = values(filters, "health");
    !is_task && (health.is_empty() || health.iter().any(|value| value == "none"))
}

fn invalid(text: String) -> ContainerError {
    ContainerError::Invalid(text)
}
