//! `sealane version`

use sealane_docker_api::ApiVersion;

/// Prints the versions of this program.
pub(crate) fn run() {
    println!("sealane {}", env!("CARGO_PKG_VERSION"));
    println!(
        "API {} to {} (minimum, maximum)",
        ApiVersion::DEFAULT_MIN,
        ApiVersion::MAX
    );
}
