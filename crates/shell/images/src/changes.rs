//! Instructions that change an image's configuration, as `docker import --change` takes them.

use crate::config::Empty;
use crate::{HealthConfig, ImageConfig, ImageError, Result};

/// Applies one instruction, such as `ENV A=1` or `CMD ["sh"]`.
pub(crate) fn apply(config: &mut ImageConfig, change: &str) -> Result<()> {
    let change = change.trim();
    let (name, rest) = change
        .split_once(char::is_whitespace)
        .unwrap_or((change, ""));
    let (upper, rest) = (name.to_ascii_uppercase(), rest.trim());
    if rest.is_empty() {
        return Err(invalid(format!("{upper} requires at least one argument")));
    }
    match upper.as_str() {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(config, rest)),
        "ENV" => {
            for (name, value) in pairs("ENV", rest)? {
                set_env(&mut config.env, &name, &value);
            }
        }
        "LABEL" => config.labels.extend(pairs("LABEL", rest)?),
        "EXPOSE" => {
            for port in words(rest) {
                expose(config, &port)?;
            }
        }
        "VOLUME" => {
            let paths = array(rest).unwrap_or_else(|| words(rest));
            config
                .volumes
                .extend(paths.into_iter().map(|path| (path, Empty {})));
        }
        "WORKDIR" => config.working_dir = joined(&config.working_dir, rest),
        "USER" => config.user = rest.to_owned(),
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "ONBUILD" => config.on_build.push(rest.to_owned()),
        "SHELL" => {
            let shell = array(rest).ok_or_else(|| {
                invalid(format!(
                    "SHELL requires the arguments to be in JSON form: {rest}"
                ))
            })?;
            config.shell = Some(shell);
        }
        "HEALTHCHECK" => config.healthcheck = Some(health(rest)?),
        _ => return Err(invalid(format!("{upper} is not a valid change command"))),
    }
    Ok(())
}

fn invalid(text: String) -> ImageError {
    ImageError::InvalidChange(text)
}

/// A command in JSON form as it is, one in shell form by way of the shell.
fn command(config: &ImageConfig, text: &str) -> Vec<String> {
    array(text).unwrap_or_else(|| {
        let usual = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
        let mut command = config.shell.clone().unwrap_or_else(usual);
        command.push(text.to_owned());
        command
    })
}

fn array(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// `NAME=value …`, or the old form `NAME value`.
fn pairs(instruction: &str, text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text);
    if !words.first().is_some_and(|word| word.contains('=')) {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| invalid(format!("{instruction} must have two arguments")))?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(invalid(format!(
            "Syntax error - can't find = in \"{word}\". Must be of the form: name=value"
        ))),
    };
    words.into_iter().map(pair).collect()
}

fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let variable = format!("{name}={value}");
    let same = |old: &&mut String| old.split('=').next() == Some(name);
    match env.iter_mut().find(same) {
        Some(old) => *old = variable,
        None => env.push(variable),
    }
}

fn expose(config: &mut ImageConfig, text: &str) -> Result<()> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    let known = matches!(protocol.as_str(), "tcp" | "udp" | "sctp");
    let Some((first, last)) = range.filter(|(first, last)| known && first <= last) else {
        return Err(invalid(format!("invalid containerPort: {text}")));
    };
    let named = (first..=last).map(|port| (format!("{port}/{protocol}"), Empty {}));
    config.exposed_ports.extend(named);
    Ok(())
}

fn joined(old: &str, new: &str) -> String {
    if new.starts_with('/') || old.is_empty() {
        return format!("/{}", new.trim_start_matches('/'));
    }
    format!("{}/{new}", old.trim_end_matches('/'))
}

fn health(text: &str) -> Result<HealthConfig> {
    let mut health = HealthConfig::default();
    let mut rest = text;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option
            .split_once(char::is_whitespace)
            .unwrap_or((option, ""));
        set_health_option(&mut health, option)?;
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    health.test = match (kind.to_ascii_uppercase().as_str(), array(command.trim())) {
        ("NONE", _) => vec!["NONE".to_owned()],
        ("CMD", Some(command)) => [vec!["CMD".to_owned()], command].concat(),
        ("CMD", None) if !command.trim().is_empty() => {
            vec!["CMD-SHELL".to_owned(), command.trim().to_owned()]
        }
        ("CMD", None) => return Err(invalid("Missing command after HEALTHCHECK CMD".into())),
        _ => {
            let text = format!("Unknown type \"{kind}\" in HEALTHCHECK (try CMD)");
            return Err(invalid(text));
        }
    };
    Ok(health)
}

fn set_health_option(health: &mut HealthConfig, option: &str) -> Result<()> {
    let unknown = || invalid(format!("invalid HEALTHCHECK option --{option}"));
    let (name, value) = option.split_once('=').ok_or_else(unknown)?;
    let number = match name {
        "retries" => value.parse().ok(),
        _ => nanoseconds(value),
    };
    let number = number.ok_or_else(unknown)?;
    match name {
        "interval" => health.interval = number,
        "timeout" => health.timeout = number,
        "start-period" => health.start_period = number,
        "retries" => health.retries = number,
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Reads a duration such as `1m30s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit());
        let end = unit_end.map_or(rest.len(), |end| digits + end);
        let unit = match &rest[digits..end] {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(rest[..digits].parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    Some(total)
}

/// Words, as a shell would see them: quotes keep spaces, a backslash the next character.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => {
                word.get_or_insert_default().extend(characters.next());
            }
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == character => quote = None,
            (_, None) if character.is_whitespace() => words.extend(word.take()),
            (_, None | Some(_)) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> ImageConfig {
        let mut config = ImageConfig::default();
        for change in changes {
            apply(&mut config, change).unwrap();
        }
        config
    }

    fn refused(change: &str) -> String {
        apply(&mut ImageConfig::default(), change)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn commands_come_in_two_forms() {
        let config = changed(&["CMD echo a  b", "entrypoint [\"/init\", \"-x\"]"]);
        assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "echo a  b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/init", "-x"]);
    }

    #[test]
    fn variables_and_labels_are_set_and_set_again() {
        let config = changed(&[
            "ENV A=1 B=\"x y\" C=a\\ b",
            "ENV A two words",
            "LABEL k='v w'",
        ]);
        assert_eq!(config.env, ["A=two words", "B=x y", "C=a b"]);
        assert_eq!(config.labels["k"], "v w");
    }

    #[test]
    fn the_rest_is_understood() {
        let config = changed(&[
            "EXPOSE 80 53/udp 9000-9001",
            "VOLUME [\"/a b\", \"/c\"]",
            "VOLUME /d",
            "WORKDIR /srv",
            "WORKDIR www",
            "USER me:us",
            "STOPSIGNAL SIGINT",
            "ONBUILD RUN x",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl x",
        ]);
        let ports: Vec<_> = config.exposed_ports.keys().collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "9000/tcp", "9001/tcp"]);
        assert_eq!(
            config.volumes.keys().collect::<Vec<_>>(),
            ["/a b", "/c", "/d"]
        );
        assert_eq!(
            (config.working_dir.as_str(), config.user.as_str()),
            ("/srv/www", "me:us")
        );
        assert_eq!(config.stop_signal.unwrap(), "SIGINT");
        assert_eq!(config.on_build, ["RUN x"]);
        let health = config.healthcheck.unwrap();
        assert_eq!((health.interval, health.retries), (90_000_000_000, 3));
        assert_eq!(health.test, ["CMD-SHELL", "curl x"]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(refused("RUN x"), "RUN is not a valid change command");
        assert_eq!(refused("CMD"), "CMD requires at least one argument");
        assert_eq!(refused("EXPOSE 70000"), "invalid containerPort: 70000");
        assert_eq!(refused("ENV A"), "ENV must have two arguments");
    }
}
