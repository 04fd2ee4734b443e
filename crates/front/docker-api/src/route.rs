//! The table of paths: what the API has. What this node has none of is in `absent`.

use crate::absent::{self, Absent};
use hyper::Method;

/// What a method and a path ask for. A text is the id or name in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `OPTIONS` on any path.
    Options,
    /// A request of what this node has none of.
    Absent(Absent),
    /// A request of the daemon as a whole.
    System(SystemRoute),
    /// A request of networks.
    Network(NetworkRoute),
    /// A request of containers.
    Container(ContainerRoute),
    /// A request of processes added to containers.
    Exec(ExecRoute),
    /// A request of images.
    Image(ImageRoute),
    /// Sealane's own.
    Own(OwnRoute),
}

/// Requests of the daemon as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemRoute {
    /// Whether the daemon answers. The flag says whether only the headers are wanted.
    Ping { head: bool },
    /// Versions.
    Version,
    /// Everything about the host.
    Info,
    /// What happens.
    Events,
    /// How much is stored.
    DiskUsage,
}

/// Requests of networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NetworkRoute {
    /// All of them.
    List,
    /// Make one.
    Create,
    /// Remove the unused ones.
    Prune,
    /// All about one.
    Inspect(String),
    /// Remove one.
    Remove(String),
    /// Join a container to one.
    Connect(String),
    /// Part a container from one.
    Disconnect(String),
    /// Change one in place.
    Update(String),
    /// What is reserved on one.
    Reservations(String),
    /// Reserve an address of one.
    Reserve(String),
    /// End a reservation.
    Release(String),
}

/// Requests of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContainerRoute {
    /// The running ones, or all.
    List,
    /// Make one.
    Create,
    /// Remove the stopped ones.
    Prune,
    /// All about one.
    Inspect(String),
    /// Its processes.
    Top(String),
    /// What it uses.
    Stats(String),
    /// What it wrote.
    Logs(String),
    /// Start it.
    Start(String),
    /// Stop it.
    Stop(String),
    /// Stop and start it.
    Restart(String),
    /// Send it a signal.
    Kill(String),
    /// Wait for its end.
    Wait(String),
    /// Take part in its streams.
    Attach(String),
    /// Tell its terminal a size.
    Resize(String),
    /// Give it another name.
    Rename(String),
    /// Change its settings.
    Update(String),
    /// Remove it.
    Remove(String),
    /// Prepare a further process in it.
    Exec(String),
}

/// Requests of processes added to containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExecRoute {
    /// Start one.
    Start(String),
    /// Tell its terminal a size.
    Resize(String),
    /// All about one.
    Inspect(String),
}

/// Requests of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageRoute {
    /// All of them.
    List,
    /// Make one from an archive of files.
    Import,
    /// Read images from an archive.
    Load,
    /// Write several to an archive.
    SaveMany,
    /// Remove the unused ones.
    Prune,
    /// All about one.
    Inspect(String),
    /// What it was made by.
    History(String),
    /// Write one to an archive.
    Save(String),
    /// Give it a further name.
    Tag(String),
    /// Remove it.
    Remove(String),
}

/// Sealane's own requests, for its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnRoute {
    /// Which daemon this is.
    Status,
    /// What an operation would change.
    Plan,
    /// The firewall as it is.
    Firewall,
    /// What the doctor has to know.
    Health,
    /// Whether a packet passes, and what decides it.
    Explain,
    /// Whether repair is paused.
    Repair,
    /// Pause or resume it.
    SetRepair,
}

/// Finds what a request asks for; `None` where the API has no such path or method.
pub(crate) fn find(method: &Method, path: &str) -> Option<Route> {
    if *method == Method::OPTIONS {
        return Some(Route::Options);
    }
    let path = path.strip_prefix('/')?;
    let segments: Vec<&str> = match path {
        // Docker has this path with and without the slash.
        "networks/" => vec!["networks"],
        // A name may be written with its leading slash, which leaves an empty segment.
        _ => path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect(),
    };
    if path.ends_with('/') && path != "networks/" {
        return None;
    }
    let method = method.as_str();
    system(method, &segments)
        .or_else(|| network(method, &segments))
        .or_else(|| container(method, &segments))
        .or_else(|| exec(method, &segments))
        .or_else(|| image(method, &segments))
        .or_else(|| own(method, &segments))
        .or_else(|| absent::find(method, &segments).map(Route::Absent))
}

fn system(method: &str, path: &[&str]) -> Option<Route> {
    Some(Route::System(match (method, path) {
        ("GET", ["_ping"]) => SystemRoute::Ping { head: false },
        ("HEAD", ["_ping"]) => SystemRoute::Ping { head: true },
        ("GET", ["version"]) => SystemRoute::Version,
        ("GET", ["info"]) => SystemRoute::Info,
        ("GET", ["events"]) => SystemRoute::Events,
        ("GET", ["system", "df"]) => SystemRoute::DiskUsage,
        _ => return None,
    }))
}

fn network(method: &str, path: &[&str]) -> Option<Route> {
    use NetworkRoute as R;
    Some(Route::Network(match (method, path) {
        ("GET", ["networks"]) => R::List,
        ("POST", ["networks", "create"]) => R::Create,
        ("POST", ["networks", "prune"]) => R::Prune,
        ("POST", ["networks", name @ .., "connect"]) => R::Connect(joined(name)?),
        ("POST", ["networks", name @ .., "disconnect"]) => R::Disconnect(joined(name)?),
        ("POST", ["networks", name @ .., "update"]) => R::Update(joined(name)?),
        ("POST", ["networks", name @ .., "reserve"]) => R::Reserve(joined(name)?),
        ("POST", ["networks", name @ .., "release"]) => R::Release(joined(name)?),
        ("GET", ["networks", name @ .., "reservations"]) if !name.is_empty() => {
            R::Reservations(joined(name)?)
        }
        ("GET", ["networks", name @ ..]) => R::Inspect(joined(name)?),
        ("DELETE", ["networks", name @ ..]) => R::Remove(joined(name)?),
        _ => return None,
    }))
}

fn container(method: &str, path: &[&str]) -> Option<Route> {
    use ContainerRoute as R;
    let ["containers", rest @ ..] = path else {
        return None;
    };
    Some(Route::Container(match (method, rest) {
        ("GET", ["json"]) => R::List,
        ("POST", ["create"]) => R::Create,
        ("POST", ["prune"]) => R::Prune,
        ("GET", [name @ .., "json"]) => R::Inspect(joined(name)?),
        ("GET", [name @ .., "top"]) => R::Top(joined(name)?),
        ("GET", [name @ .., "stats"]) => R::Stats(joined(name)?),
        ("GET", [name @ .., "logs"]) => R::Logs(joined(name)?),
        ("POST", [name @ .., "start"]) => R::Start(joined(name)?),
        ("POST", [name @ .., "stop"]) => R::Stop(joined(name)?),
        ("POST", [name @ .., "restart"]) => R::Restart(joined(name)?),
        ("POST", [name @ .., "kill"]) => R::Kill(joined(name)?),
        ("POST", [name @ .., "wait"]) => R::Wait(joined(name)?),
        ("POST", [name @ .., "attach"]) => R::Attach(joined(name)?),
        ("POST", [name @ .., "resize"]) => R::Resize(joined(name)?),
        ("POST", [name @ .., "rename"]) => R::Rename(joined(name)?),
        ("POST", [name @ .., "update"]) => R::Update(joined(name)?),
        ("POST", [name @ .., "exec"]) => R::Exec(joined(name)?),
        // `DELETE /containers/NAME/checkpoints/...` is another matter.
        ("DELETE", name) if !name.contains(&"checkpoints") => R::Remove(joined(name)?),
        _ => return None,
    }))
}

fn exec(method: &str, path: &[&str]) -> Option<Route> {
    Some(Route::Exec(match (method, path) {
        ("POST", ["exec", id, "start"]) => ExecRoute::Start((*id).into()),
        ("POST", ["exec", id, "resize"]) => ExecRoute::Resize((*id).into()),
        ("GET", ["exec", id, "json"]) => ExecRoute::Inspect((*id).into()),
        _ => return None,
    }))
}

fn image(method: &str, path: &[&str]) -> Option<Route> {
    use ImageRoute as R;
    let ["images", rest @ ..] = path else {
        return None;
    };
    Some(Route::Image(match (method, rest) {
        ("GET", ["json"]) => R::List,
        ("GET", ["get"]) => R::SaveMany,
        ("POST", ["create"]) => R::Import,
        ("POST", ["load"]) => R::Load,
        ("POST", ["prune"]) => R::Prune,
        ("GET", [name @ .., "json"]) => R::Inspect(joined(name)?),
        ("GET", [name @ .., "history"]) => R::History(joined(name)?),
        ("GET", [name @ .., "get"]) => R::Save(joined(name)?),
        ("POST", [name @ .., "tag"]) => R::Tag(joined(name)?),
        ("DELETE", name) => R::Remove(joined(name)?),
        _ => return None,
    }))
}

fn own(method: &str, path: &[&str]) -> Option<Route> {
    Some(Route::Own(match (method, path) {
        ("GET", ["sealane", "status"]) => OwnRoute::Status,
        ("POST", ["sealane", "plan"]) => OwnRoute::Plan,
        ("GET", ["sealane", "firewall"]) => OwnRoute::Firewall,
        ("GET", ["sealane", "health"]) => OwnRoute::Health,
        ("GET", ["sealane", "explain"]) => OwnRoute::Explain,
        ("GET", ["sealane", "repair"]) => OwnRoute::Repair,
        ("POST", ["sealane", "repair"]) => OwnRoute::SetRepair,
        _ => return None,
    }))
}

/// A name of one or more segments: image references and odd network names have slashes in them.
fn joined(segments: &[&str]) -> Option<String> {
    if segments.is_empty() {
        None
    } else {
        Some(segments.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn table(requests: &[&str]) -> String {
        let line = |request: &&str| {
            let (method, path) = request.split_once(' ').unwrap();
            let route = find(&method.parse().unwrap(), path);
            let shown = route.map_or("none".into(), |route| format!("{route:?}"));
            format!("{request} => {shown}\n")
        };
        requests.iter().map(line).collect()
    }

    #[test]
    fn names_may_have_slashes() {
        expect![[r#"
            GET /networks => Network(List)
            GET /networks/ => Network(List)
            GET /networks/a/b => Network(Inspect("a/b"))
            POST /networks/a/b/connect => Network(Connect("a/b"))
            GET /images/host:5000/a/b/json => Image(Inspect("host:5000/a/b"))
            GET /containers//web/json => Container(Inspect("web"))
            DELETE /networks/x => Network(Remove("x"))
        "#]]
        .assert_eq(&table(&[
            "GET /networks",
            "GET /networks/",
            "GET /networks/a/b",
            "POST /networks/a/b/connect",
            "GET /images/host:5000/a/b/json",
            "GET /containers//web/json",
            "DELETE /networks/x",
        ]));
    }

    #[test]
    fn an_unknown_path_and_a_wrong_method_are_not_found() {
        expect![[r#"
            GET / => none
            GET /nosuch => none
            PUT /networks => none
            POST /networks/x => none
            POST /networks/connect => none
            GET /containers/create => none
            POST /containers/json => none
            GET /containers/json/ => none
            GET /containers => none
            DELETE /containers => none
            HEAD /version => none
        "#]]
        .assert_eq(&table(&[
            "GET /",
            "GET /nosuch",
            "PUT /networks",
            "POST /networks/x",
            "POST /networks/connect",
            "GET /containers/create",
            "POST /containers/json",
            "GET /containers/json/",
            "GET /containers",
            "DELETE /containers",
            "HEAD /version",
        ]));
    }
}
