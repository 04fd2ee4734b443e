//! What dependencies may be: licences and bans, from deny.toml.

use cargo_metadata::{Metadata, Package};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};
use std::path::PathBuf;
use std::{fs, io};
use thiserror::Error;

/// A dependency is not one we may have.
#[derive(Debug, Error)]
pub(crate) enum LicencesError {
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("deny.toml is not as it should be")]
    Malformed(#[source] toml::de::Error),
    #[error("deny.toml allows \"{licence}\", which is no SPDX licence")]
    UnknownLicence {
        licence: String,
        source: spdx::ParseError,
    },
    #[error("these dependencies are not allowed by deny.toml:\n{}", .0.join("\n"))]
    NotAllowed(Vec<String>),
}

#[derive(Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// Fails when a dependency is banned or has a licence that is not in the list.
pub(crate) fn check(metadata: &Metadata) -> Result<(), LicencesError> {
    let path = metadata
        .workspace_root
        .join("deny.toml")
        .into_std_path_buf();
    let text =
        fs::read_to_string(&path).map_err(|source| LicencesError::Unreadable { path, source })?;
    let rules: Rules = toml::from_str(&text).map_err(LicencesError::Malformed)?;
    let allowed = parse_allowed(&rules.licenses.allow)?;
    let foreign = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some());
    let faults: Vec<String> = foreign
        .filter_map(|package| banned(package, &rules.bans).or_else(|| refused(package, &allowed)))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(LicencesError::NotAllowed(faults))
    }
}

fn parse_allowed(allow: &[String]) -> Result<Vec<Licensee>, LicencesError> {
    let parse = |licence: &String| {
        Licensee::parse(licence).map_err(|source| LicencesError::UnknownLicence {
            licence: licence.clone(),
            source,
        })
    };
    allow.iter().map(parse).collect()
}

fn banned(package: &Package, bans: &Bans) -> Option<String> {
    let ban = bans
        .deny
        .iter()
        .find(|ban| ban.name == package.name.as_str())?;
    Some(format!(
        "  {} {}: banned, {}",
        package.name, package.version, ban.reason
    ))
}

fn refused(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let who = format!("  {} {}", package.name, package.version);
    let Some(licence) = &package.license else {
        return Some(format!("{who}: names no licence"));
    };
    // Lax: many crates still write "MIT/Apache-2.0".
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!("{who}: \"{licence}\" is no SPDX expression"));
    };
    let accepted = expression.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted)));
    (!accepted).then(|| format!("{who}: {licence}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dependency_is_allowed() {
        let metadata = crate::metadata().expect("cargo answers");
        if let Err(fault) = check(&metadata) {
            panic!("{fault}");
        }
    }

    #[test]
    fn an_alternative_is_enough_and_a_conjunction_needs_all() {
        let allowed = parse_allowed(&["MIT".into()]).expect("MIT is a licence");
        let accepts = |text: &str| {
            let expression = Expression::parse_mode(text, ParseMode::LAX).expect("it parses");
            expression.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted)))
        };
        assert!(accepts("MIT/Apache-2.0") && accepts("GPL-3.0-only OR MIT"));
        assert!(!accepts("MIT AND Apache-2.0") && !accepts("GPL-3.0-only"));
    }
}
