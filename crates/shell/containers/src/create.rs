//! To make a container: check the request, prepare its root file system, store its record.

use crate::container::Container;
use crate::network_mode::NetworkMode;
use crate::options::EndpointOptions;
use crate::record::{Link, Record, State};
use crate::request::{CreateRequest, Created};
use crate::{ContainerError, Containers, endpoint, merge, names, settings, versions};
use jiff::Timestamp;
use sealane_core::model::Id;
use sealane_images::Image;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many random names are tried; then the container is called by its id.
const NAME_ATTEMPTS: usize = 6;

impl Containers {
    /// Makes a container; starts nothing.
    pub fn create(&self, request: CreateRequest) -> Result<Created, ContainerError> {
        let mut warnings = Vec::new();
        let name = request.name.clone().filter(|name| !name.is_empty());
        name.as_deref().map(names::check).transpose()?;
        let record = self.draft(request, &mut warnings)?;
        let record = Record {
            name_given: name.is_some(),
            ..self.named(record, name.as_deref())?
        };
        let id = record.id;
        if let Err(error) = self.realize(record.clone()) {
            self.registry.release(&record.name, id);
            return Err(error);
        }
        self.expect_back(&record);
        self.tell(&record, "create", []);
        Ok(Created { id, warnings })
    }

    /// Has the addresses that a container asks for held against others until it is started.
    pub(crate) fn expect_back(&self, record: &Record) {
        for (network, settings) in &record.endpoints {
            let Ok((spec, _)) = endpoint::specify(settings) else {
                continue;
            };
            if (spec.ipv4, spec.ipv6) == (None, None) || record.auto_remove() {
                continue;
            }
            let networks = &self.parts.networks;
            // A network that does not exist yet holds nothing.
            if networks.find_network(network).is_ok()
                && let Err(error) = networks.expect(network, &record.name, spec.ipv4, spec.ipv6)
            {
                let error = crate::error::chain(&error);
                tracing::warn!(container = record.name, error, "its addresses are not held");
            }
        }
    }

    /// The record of a container that a request asks for, without a name. Nothing is reserved.
    pub(crate) fn draft(
        &self,
        mut request: CreateRequest,
        warnings: &mut Vec<String>,
    ) -> Result<Record, ContainerError> {
        settings::check_network_mode(&request.config, &request.host_config)?;
        let mut late_warnings = Vec::new();
        versions::modernize(&mut request, &mut late_warnings)?;
        settings::check(&request.config, &request.host_config, warnings)?;
        let reference = request.config.image.clone().unwrap_or_default();
        let image = self.image_of(&reference)?;
        if let Some(name) = request.name.as_deref().filter(|name| !name.is_empty()) {
            self.registry.check_free(names::check(name)?)?;
        }
        merge::with_image(&mut request.config, &image.config)?;
        self.check_endpoints(&request.endpoints)?;
        warnings.extend(self.unpublished(&request));
        merge::with_defaults(&mut request.host_config);
        self.pin_shared_stack(&mut request);
        let links = self.resolve_links(&request)?;
        if !links.is_empty() {
            warnings.push(
                "Links on the default bridge network are deprecated and will be removed in a \
                 future release. Use a custom network instead."
                    .into(),
            );
        }
        warnings.append(&mut late_warnings);
        self.record_of(request, &image, links)
    }

    fn image_of(&self, reference: &str) -> Result<Image, ContainerError> {
        if reference.is_empty() {
            return Err(ContainerError::Invalid("no image specified".into()));
        }
        Ok(self.parts.files.inspect(reference)?)
    }

    /// What to say of ports that are asked for on a network that publishes none.
    fn unpublished(&self, request: &CreateRequest) -> Option<String> {
        let bindings = request.host_config.port_bindings.as_ref();
        bindings.filter(|bindings| !bindings.is_empty())?;
        let NetworkMode::User(name) = NetworkMode::of(&request.host_config) else {
            return None;
        };
        // One that does not exist yet is reported when the container starts.
        let network = self.parts.networks.find_network(name).ok()?;
        let driver = network.driver();
        let text = || format!("{} driver does not support port mappings", driver.name());
        (!driver.publishes()).then(text)
    }

    /// Lists what is wrong with the endpoints, all of them.
    fn check_endpoints(
        &self,
        endpoints: &BTreeMap<String, EndpointOptions>,
    ) -> Result<(), ContainerError> {
        let mut refused = Vec::new();
        for (network, settings) in endpoints {
            if let Some(faults) = self.endpoint_faults(network, settings)? {
                refused.push(format!("invalid config for network {network}: {faults}"));
            }
        }
        match refused.is_empty() {
            true => Ok(()),
            false => Err(ContainerError::Invalid(endpoint::join_faults(&refused))),
        }
    }

    /// What is wrong with an endpoint, as Docker words it.
    pub(crate) fn endpoint_faults(
        &self,
        network: &str,
        settings: &EndpointOptions,
    ) -> Result<Option<String>, ContainerError> {
        let (spec, own) = endpoint::specify(settings)?;
        let mut faults = self.parts.networks.check_endpoint(network, &spec);
        faults.extend(own);
        faults.dedup();
        let text = || {
            format!(
                "invalid endpoint settings:\n{}",
                endpoint::join_faults(&faults)
            )
        };
        Ok((!faults.is_empty()).then(text))
    }

    /// A container that shares another's stack knows it by its id: it may be renamed.
    fn pin_shared_stack(&self, request: &mut CreateRequest) {
        let NetworkMode::Container(target) = NetworkMode::of(&request.host_config) else {
            return;
        };
        if let Ok(target) = self.registry.find(target) {
            request.host_config.network_mode = Some(format!("container:{}", target.id));
        }
    }

    /// Links on the default bridge, to containers that exist.
    fn resolve_links(&self, request: &CreateRequest) -> Result<Vec<Link>, ContainerError> {
        match NetworkMode::of(&request.host_config) {
            NetworkMode::User(_) => return Ok(vec![]),
            NetworkMode::Bridge
            | NetworkMode::Host
            | NetworkMode::None
            | NetworkMode::Container(_) => {}
        }
        let texts = request.host_config.links.iter().flatten();
        texts.map(|text| self.resolve_link(text)).collect()
    }

    fn resolve_link(&self, text: &str) -> Result<Link, ContainerError> {
        let (name, alias) = endpoint::parse_link(text)?;
        let target = self.registry.find(&name).map_err(|error| {
            ContainerError::Invalid(format!("could not get container for {name}: {error}"))
        })?;
        if target.record().network_mode() == NetworkMode::Host {
            return Err(ContainerError::Invalid(
                "conflicting options: host type networking can't be used with links. This would \
                 result in undefined behavior"
                    .into(),
            ));
        }
        Ok(Link {
            target: target.id,
            alias,
        })
    }

    fn record_of(
        &self,
        request: CreateRequest,
        image: &Image,
        links: Vec<Link>,
    ) -> Result<Record, ContainerError> {
        let CreateRequest {
            mut config,
            host_config,
            endpoints,
            ..
        } = request;
        let id = new_id()?;
        let mode = NetworkMode::of(&host_config);
        if config.hostname.as_ref().is_none_or(String::is_empty) {
            config.hostname = Some(match mode {
                NetworkMode::Host => host_name(),
                NetworkMode::Container(_)
                | NetworkMode::Bridge
                | NetworkMode::None
                | NetworkMode::User(_) => id.short(12),
            });
        }
        let endpoints = self.wanted_endpoints(mode, &endpoints);
        let (path, args) = merge::command(&config);
        Ok(Record {
            id,
            name: String::new(),
            name_given: false,
            created: Timestamp::now(),
            image: Some(image.id),
            path,
            args,
            config,
            host_config,
            endpoints,
            links,
            restart_count: 0,
            state: State::default(),
        })
    }

    /// The endpoints asked for, by the name of their network where it exists; without any, the one
    /// of the mode.
    fn wanted_endpoints(
        &self,
        mode: NetworkMode<'_>,
        asked: &BTreeMap<String, EndpointOptions>,
    ) -> BTreeMap<String, EndpointOptions> {
        let Some(main) = mode.network() else {
            return BTreeMap::new();
        };
        let wish = |(network, settings): (&String, &EndpointOptions)| {
            (self.network_name(network), endpoint::wish(settings))
        };
        match asked.is_empty() {
            true => [(self.network_name(main), EndpointOptions::default())].into(),
            false => asked.iter().map(wish).collect(),
        }
    }

    /// The name of a network, or what was given if it does not exist.
    pub(crate) fn network_name(&self, reference: &str) -> String {
        let found = self.parts.networks.find_network(reference);
        found.map_or_else(
            |_| reference.to_owned(),
            |network| network.spec.name.clone(),
        )
    }

    /// The record with its name, which is reserved for it: the one asked for or one made up.
    fn named(&self, record: Record, name: Option<&str>) -> Result<Record, ContainerError> {
        let id = record.id;
        if let Some(name) = name {
            let name = names::check(name)?;
            self.registry.reserve(name, id)?;
            return Ok(Record {
                name: name.into(),
                ..record
            });
        }
        for _ in 0..NAME_ATTEMPTS {
            let name = names::generate(random()?);
            if self.registry.reserve(&name, id).is_ok() {
                return Ok(Record { name, ..record });
            }
        }
        let name = id.short(12);
        self.registry.reserve(&name, id)?;
        Ok(Record { name, ..record })
    }

    /// Makes what a record says. The record is stored last: what is stored is complete, and what a
    /// crash leaves half made is swept.
    fn realize(&self, record: Record) -> Result<(), ContainerError> {
        let id = record.id;
        if let Some(image) = &record.image {
            self.parts.files.prepare(image, &id)?;
        }
        if let Err(error) = self.parts.records.put(&record) {
            if let Err(left) = self.parts.files.remove_root(&id) {
                let left = crate::error::chain(&left);
                tracing::warn!(
                    container = record.name,
                    left,
                    "a root file system is left behind"
                );
            }
            return Err(error);
        }
        self.registry.insert(Arc::new(Container::new(record)));
        Ok(())
    }
}

/// An id whose short form no tool takes for a number.
pub(crate) fn new_id() -> Result<Id, ContainerError> {
    loop {
        let id = Id::from_bytes(random()?);
        if id.short(12).bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Ok(id);
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], ContainerError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        ContainerError::failed(
            "the kernel gave no random bytes",
            std::io::Error::other(error),
        )
    })?;
    Ok(bytes)
}

/// The host's own name.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
