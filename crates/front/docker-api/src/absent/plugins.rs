//! Managed plugins: none is installed, and none can be.

use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use serde_json::json;

/// Requests of managed plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PluginRoute {
    /// All of them.
    List,
    /// Bring one here: what it may do, pull it, make it.
    Obtain,
    /// Enable one.
    Enable(String),
    /// Raise one to another version.
    Upgrade(String),
    /// Anything else of one.
    One(String),
}

pub(super) fn find(method: &str, path: &[&str]) -> Option<PluginRoute> {
    use PluginRoute as R;
    let ["plugins", rest @ ..] = path else {
        return None;
    };
    let named = |name: &[&str]| Some(name.join("/")).filter(|name| !name.is_empty());
    Some(match (method, rest) {
        ("GET", []) => R::List,
        ("GET", ["privileges"]) | ("POST", ["pull" | "create"]) => R::Obtain,
        ("GET", [name @ .., "json"]) => R::One(named(name)?),
        ("POST", [name @ .., "enable"]) => R::Enable(named(name)?),
        ("POST", [name @ .., "upgrade"]) => R::Upgrade(named(name)?),
        ("POST", [name @ .., "disable" | "push" | "set"]) => R::One(named(name)?),
        ("DELETE", name) => R::One(named(name)?),
        _ => return None,
    })
}

pub(super) fn answer(route: PluginRoute, call: &Call) -> Result<Response, ApiError> {
    match route {
        PluginRoute::List => {
            let filters = Filters::of(&call.query, &["capability", "enabled"])?;
            filters.boolean("enabled")?;
            Ok(respond::ok(&json!([])))
        }
        PluginRoute::Obtain => Err(ApiError::not_implemented(
            "managed plugins are not supported",
        )),
        PluginRoute::Enable(name) => {
            check_timeout(call.query.text("timeout").unwrap_or_default())?;
            Err(not_found(&name))
        }
        PluginRoute::Upgrade(name) => {
            call.requires(26, "POST /plugins/{name:.*}/upgrade")?;
            Err(not_found(&name))
        }
        PluginRoute::One(name) => Err(not_found(&name)),
    }
}

fn not_found(name: &str) -> ApiError {
    ApiError::not_found(format!("plugin {name:?} not found"))
}

/// Docker reads this number before it looks for the plugin.
fn check_timeout(text: &str) -> Result<(), ApiError> {
    let shown: String = text.chars().take(80).collect();
    match text.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(ApiError::invalid(format!(
            "strconv.Atoi: parsing {shown:?}: invalid syntax"
        ))),
    }
}
