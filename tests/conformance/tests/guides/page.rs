//! A guide as a list of commands.

/// What a guide asks for, and its commands in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Flags of the daemon at the beginning.
    pub(crate) flags: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// Where a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `# command`: on the host, as root.
    Host,
    /// `lan# command`: on another machine of its LAN.
    Lan,
}

/// One command, and what it should print.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its line in the file.
    pub(crate) line: usize,
    pub(crate) place: Place,
    pub(crate) command: String,
    pub(crate) expected: Vec<String>,
    /// The daemon is first started again, with these flags.
    pub(crate) restart_with: Option<Vec<String>>,
}

/// Commands that change nothing, and so may be asked until the answer is right.
const QUESTIONS: [&str; 18] = [
    "cat ",
    "conntrack -L",
    "curl ",
    "dig ",
    "docker exec ",
    "docker inspect ",
    "docker logs ",
    "docker network inspect ",
    "docker network ls",
    "docker port ",
    "docker ps",
    "grep ",
    "ip -",
    "ip addr",
    "ip link show",
    "ip route",
    "nft list ",
    "ping ",
];

impl Step {
    /// Whether it may be run again if the answer is not there yet.
    pub(crate) fn only_asks(&self) -> bool {
        let ours = ["doctor", "explain", "firewall", "info", "plan", "status"];
        QUESTIONS
            .iter()
            .any(|start| self.command.starts_with(start))
            || ours
                .iter()
                .any(|name| self.command.starts_with(&format!("sealane {name}")))
    }
}

impl Page {
    /// Reads a guide; the error names the line.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut page = Self::default();
        let mut restart_with = None;
        let mut fence: Option<&str> = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            match (line.trim_start().strip_prefix("```"), fence) {
                (Some(_), Some(_)) => fence = None,
                (Some(language), None) => fence = Some(language.trim()),
                (None, Some("console")) => page.console_line(number, line, &mut restart_with)?,
                (None, Some(_)) => {}
                (None, None) => {
                    if let Some(flags) = daemon_flags(line) {
                        if page.steps.is_empty() {
                            page.flags = flags;
                        } else {
                            restart_with = Some(flags);
                        }
                    }
                }
            }
        }
        if fence.is_some() {
            return Err("end: a block is not closed".into());
        }
        Ok(page)
    }

    fn console_line(
        &mut self,
        number: usize,
        line: &str,
        restart_with: &mut Option<Vec<String>>,
    ) -> Result<(), String> {
        if let Some((place, command)) = prompt(line) {
            self.steps.push(Step {
                line: number,
                place,
                command: command.to_owned(),
                expected: Vec::new(),
                restart_with: restart_with.take(),
            });
            return Ok(());
        }
        let step = self
            .steps
            .last_mut()
            .ok_or_else(|| format!("{number}: output before any command: {line}"))?;
        match line.strip_prefix("> ") {
            Some(more) if step.expected.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            Some(_) | None => step.expected.push(line.trim_end().to_owned()),
        }
        Ok(())
    }
}

fn prompt(line: &str) -> Option<(Place, &str)> {
    let on_host = line
        .strip_prefix("# ")
        .map(|command| (Place::Host, command));
    on_host.or_else(|| {
        line.strip_prefix("lan# ")
            .map(|command| (Place::Lan, command))
    })
}

/// `<!-- daemon: --flag --other=value -->`
fn daemon_flags(line: &str) -> Option<Vec<String>> {
    let flags = line
        .trim()
        .strip_prefix("<!-- daemon:")?
        .strip_suffix("-->")?;
    Some(flags.split_whitespace().map(str::to_owned).collect())
}

pub(crate) mod tests {
    use super::*;

    pub(crate) fn a_page_is_read_as_steps() {
        let page = Page::read(
            "Words.\n<!-- daemon: --mtu=1400 -->\n```sh\n# not run\n```\n```console\n# cat <<END\n> x\n> END\nx\n...\n\
             lan# true\n```\n<!-- daemon: -->\n```console\n# false\n```\n",
        )
        .expect("it is a page");
        assert_eq!(page.flags, ["--mtu=1400"]);
        let commands: Vec<_> = page
            .steps
            .iter()
            .map(|step| {
                (
                    step.line,
                    step.place,
                    step.command.as_str(),
                    step.expected.len(),
                )
            })
            .collect();
        assert_eq!(
            commands,
            [
                (7, Place::Host, "cat <<END\nx\nEND", 2),
                (12, Place::Lan, "true", 0),
                (16, Place::Host, "false", 0)
            ]
        );
        assert_eq!(page.steps[2].restart_with, Some(vec![]));
        assert!(Page::read("```console\nx\n```").is_err());
        assert!(Page::read("```console\n# x\n").is_err());
    }
}
