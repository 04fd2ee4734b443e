//! Default routes that a container made itself: they are its own, and no change of its networks takes
//! them away.

use crate::{Engine, EngineError};
use sealane_core::model::{IpFamily, Sandbox};
use sealane_core::plan::{Key, Netns, Object, Plan, Route};
use sealane_executor::ApplyError;

impl Engine {
    /// The plan that a sandbox is taken to, so that no route of its own is replaced: one that gains a
    /// network is refused, as Docker does, and one that loses a network keeps its route.
    pub(crate) fn sparing_own_routes(
        &self,
        sandbox: &Sandbox,
        shrinks: bool,
        from: &Plan,
        to: Plan,
    ) -> Result<Plan, EngineError> {
        let mut spared = to.clone();
        for (key, route) in new_default_routes(from, &to) {
            let Some(own) = self.own_route(sandbox, key, from)? else {
                continue;
            };
            if own == *route {
                continue;
            }
            if !shrinks {
                return Err(in_the_way(sandbox, key, &own));
            }
            tracing::warn!(
                sandbox = sandbox.name,
                "the container keeps its own default route {}",
                words(&own)
            );
            spared = spared.without(key);
        }
        Ok(spared)
    }

    /// A default route in the place of `key` that is not ours.
    fn own_route(
        &self,
        sandbox: &Sandbox,
        key: &Key,
        from: &Plan,
    ) -> Result<Option<Route>, EngineError> {
        let Key::Route(netns, id) = key else {
            return Ok(None);
        };
        let found = self.executor.kernel().default_route(*netns, id.family());
        let found = found.map_err(|error| {
            let text = format!("cannot read the routes of container {}", sandbox.name);
            EngineError::failed(text, error)
        })?;
        let ours = from.objects().get(key);
        Ok(found.filter(|found| ours != Some(&Object::Route(found.clone()))))
    }

    /// Applies what a sandbox is left with when it loses a network. That its next gateway cannot be
    /// set, as the container has changed its addresses, does not keep it on the network.
    pub(crate) fn apply_leaving(
        &self,
        sandbox: &Sandbox,
        from: &Plan,
        to: &Plan,
    ) -> Result<(), EngineError> {
        let Err(error) = self.apply(from, to) else {
            return Ok(());
        };
        let Some(key) = refused_route(&error) else {
            return Err(error);
        };
        tracing::warn!(
            sandbox = sandbox.name,
            error = %reason(&error),
            "failed to set gateway: the container is left without a default route ({key})"
        );
        let without = to.clone().without(&key);
        self.apply_leaving(sandbox, from, &without)
    }
}

/// The default routes that a change makes or alters.
fn new_default_routes<'a>(from: &'a Plan, to: &'a Plan) -> Vec<(&'a Key, &'a Route)> {
    let wanted = to
        .objects()
        .iter()
        .filter_map(|(key, object)| match (key, object) {
            (Key::Route(Netns::Sandbox(_), id), Object::Route(route))
                if id.to.prefix_len() == 0 =>
            {
                Some((key, route))
            }
            _ => None,
        });
    wanted
        .filter(|(key, route)| from.objects().get(*key) != Some(&Object::Route((*route).clone())))
        .collect()
}

/// The default route that the kernel refused.
fn refused_route(error: &EngineError) -> Option<Key> {
    let EngineError::Failed {
        source: Some(source),
        ..
    } = error
    else {
        return None;
    };
    match source.downcast_ref::<ApplyError>()? {
        ApplyError::Refused { key, .. } if is_default_route(key) => Some(key.clone()),
        ApplyError::Refused { .. }
        | ApplyError::Journal(_)
        | ApplyError::Remaining(_)
        | ApplyError::Observe(_) => None,
    }
}

fn is_default_route(key: &Key) -> bool {
    matches!(key, Key::Route(Netns::Sandbox(_), id) if id.to.prefix_len() == 0)
}

/// The last of the causes: what the kernel said.
fn reason(error: &EngineError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn in_the_way(sandbox: &Sandbox, key: &Key, own: &Route) -> EngineError {
    let ipv6 = matches!(key, Key::Route(_, id) if id.family() == IpFamily::V6);
    let family = if ipv6 { "IPv6 " } else { "" };
    EngineError::Failed {
        message: format!(
            "failed to set {family}gateway while updating gateway: file exists: container {} has a \
             default route of its own {}; remove it, or give the network a lower --gw-priority",
            sandbox.name,
            words(own)
        ),
        source: None,
    }
}

fn words(route: &Route) -> String {
    match route {
        Route::Unicast {
            interface,
            via: Some(via),
            ..
        } => format!("via {via} on {interface}"),
        Route::Unicast { interface, .. } => format!("on {interface}"),
        Route::Blackhole | Route::Unreachable | Route::Prohibit => "to nowhere".into(),
    }
}
