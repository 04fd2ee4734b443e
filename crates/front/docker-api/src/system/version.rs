//! `GET /version`

use crate::api::DaemonFacts;
use crate::call::Call;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use serde_json::{Value, json};

/// Tells the versions of the daemon and of what it runs on.
pub(crate) fn version(call: &Call) -> Response {
    respond::ok(&wire(&call.api.facts(), call.api.oldest_version()))
}

fn wire(facts: &DaemonFacts, oldest: ApiVersion) -> Value {
    let arch = go_architecture(&facts.machine);
    let newest = ApiVersion::MAX.to_string();
    json!({
        "Platform": {"Name": "Sealane"},
        "Version": facts.version,
        "ApiVersion": newest,
        "MinAPIVersion": oldest.to_string(),
        "Os": "linux",
        "Arch": arch,
        "KernelVersion": facts.kernel,
        "Components": [
            {
                "Name": "Engine",
                "Version": facts.version,
                "Details": {
                    "ApiVersion": newest,
                    "Arch": arch,
                    "BuildTime": facts.build_time,
                    "Experimental": "false",
                    "GitCommit": facts.commit,
                    "GoVersion": "",
                    "KernelVersion": facts.kernel,
                    "MinAPIVersion": oldest.to_string(),
                    "Os": "linux",
                },
            },
            {
                "Name": facts.default_runtime,
                "Version": facts.runtime_version,
                "Details": {"GitCommit": ""},
            },
        ],
        "GitCommit": facts.commit,
        "GoVersion": "",
        "BuildTime": facts.build_time,
    })
}

/// The name that Go, and so every client, has for an architecture.
pub(crate) fn go_architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i686" => "386",
        "armv6l" | "armv7l" => "arm",
        other => other,
    }
}
