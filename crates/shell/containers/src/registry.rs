//! Which containers there are, by id and by name.

use crate::ContainerError;
use crate::container::{Container, no_such_container};
use crate::locks::{read, write};
use sealane_core::model::Id;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// All containers.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    /// By the id's text, so that a prefix is a range.
    containers: BTreeMap<String, Arc<Container>>,
    /// A name is here before its container is: it is reserved first.
    names: BTreeMap<String, Id>,
}

impl Index {
    fn check_free(&self, name: &str) -> Result<(), ContainerError> {
        match self.names.get(name) {
            Some(owner) => Err(ContainerError::Conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \
                 \"{owner}\". You have to remove (or rename) that container to be able to reuse \
                 that name."
            ))),
            None => Ok(()),
        }
    }

    /// The container that another knows by an alias: `parent/alias`.
    fn linked(&self, name: &str) -> Option<Arc<Container>> {
        let (parent, alias) = name.rsplit_once('/')?;
        let parent = self.containers.get(&self.names.get(parent)?.to_string())?;
        let record = parent.record();
        let link = record.links.iter().find(|link| link.alias == alias)?;
        self.containers.get(&link.target.to_string()).cloned()
    }
}

impl Registry {
    /// Reserves a name, without its slash, or says who has it.
    pub(crate) fn reserve(&self, name: &str, id: Id) -> Result<(), ContainerError> {
        let mut index = write(&self.0);
        index.check_free(name)?;
        index.names.insert(name.to_owned(), id);
        Ok(())
    }

    /// Says which container has a name, if one has.
    pub(crate) fn check_free(&self, name: &str) -> Result<(), ContainerError> {
        read(&self.0).check_free(name)
    }

    /// Gives a name back, if it is still this container's.
    pub(crate) fn release(&self, name: &str, id: Id) {
        let mut index = write(&self.0);
        if index.names.get(name) == Some(&id) {
            index.names.remove(name);
        }
    }

    /// Makes a container known, whose name is reserved.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        write(&self.0)
            .containers
            .insert(container.id.to_string(), container);
    }

    /// Forgets a container and its name.
    pub(crate) fn remove(&self, id: Id) {
        let mut index = write(&self.0);
        index.containers.remove(&id.to_string());
        index.names.retain(|_, owner| *owner != id);
    }

    /// A container by its id.
    pub(crate) fn get(&self, id: &Id) -> Option<Arc<Container>> {
        read(&self.0).containers.get(&id.to_string()).cloned()
    }

    /// A container by id, name, link (`parent/alias`) or unique prefix of an id, in this order.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>, ContainerError> {
        if reference.is_empty() {
            return Err(ContainerError::Invalid(
                "invalid name or ID supplied: \"\"".into(),
            ));
        }
        let index = read(&self.0);
        if let Some(container) = index.containers.get(reference) {
            return Ok(Arc::clone(container));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        let named = index
            .names
            .get(name)
            .and_then(|id| index.containers.get(&id.to_string()));
        if let Some(container) = named {
            return Ok(Arc::clone(container));
        }
        if let Some(container) = index.linked(name) {
            return Ok(container);
        }
        let from = index.containers.range(reference.to_owned()..);
        let mut matching = from.take_while(|(id, _)| id.starts_with(reference));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(ContainerError::Invalid(format!(
                "multiple IDs found with provided prefix: {reference}"
            ))),
            (None, _) => Err(no_such_container(reference)),
        }
    }

    /// All containers, newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        let mut all: Vec<_> = read(&self.0).containers.values().cloned().collect();
        all.sort_by_cached_key(|container| std::cmp::Reverse(container.record().created));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::record;

    fn id(digits: &str) -> Id {
        Id::try_from(format!("{digits:0<64}").as_str()).unwrap()
    }

    fn registry(containers: &[(&str, &str)]) -> Registry {
        let registry = Registry::default();
        for (digits, name) in containers {
            registry.reserve(name, id(digits)).unwrap();
            registry.insert(Arc::new(Container::new(record(id(digits), name))));
        }
        registry
    }

    fn found(registry: &Registry, reference: &str) -> String {
        match registry.find(reference) {
            Ok(container) => container.record().name.clone(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn ids_go_before_names_and_names_before_prefixes() {
        let registry = registry(&[("abc1", "web"), ("abc2", "abc1"), ("def", "db")]);
        assert_eq!(found(&registry, &id("abc1").to_string()), "web");
        assert_eq!(found(&registry, "abc1"), "abc1", "a name");
        assert_eq!(found(&registry, "/db"), "db");
        assert_eq!(found(&registry, "d"), "db");
        assert_eq!(
            found(&registry, "abc"),
            "multiple IDs found with provided prefix: abc"
        );
        assert_eq!(found(&registry, "x"), "No such container: x");
        assert_eq!(found(&registry, ""), "invalid name or ID supplied: \"\"");
    }

    #[test]
    fn a_name_belongs_to_one_container_until_it_is_given_back() {
        let registry = registry(&[("a", "web")]);
        let refusal = registry.reserve("web", id("b")).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!(
                "Conflict. The container name \"/web\" is already in use by container \"{}\". You \
                 have to remove (or rename) that container to be able to reuse that name.",
                id("a")
            )
        );
        registry.release("web", id("b"));
        assert!(
            registry.reserve("web", id("b")).is_err(),
            "it was not b's to give"
        );
        registry.remove(id("a"));
        registry.reserve("web", id("b")).unwrap();
        assert_eq!(
            found(&registry, "web"),
            "No such container: web",
            "only reserved"
        );
    }
}
