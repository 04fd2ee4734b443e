//! What `ps` says about the processes of a container.

use crate::{ProcessTable, Result, RuntimeError, programs};
use std::path::Path;
use std::process::Command;

/// Runs `ps` and keeps the rows of these pids.
pub(crate) fn table(pids: &[i32], ps_args: &[String]) -> Result<ProcessTable> {
    let default = ["-ef".to_owned()];
    let arguments = if ps_args.is_empty() {
        &default
    } else {
        ps_args
    };
    let list = pids
        .iter()
        .map(i32::to_string)
        .collect::<Vec<_>>()
        .join(",");
    // Not every ps can be asked for some pids only.
    let narrow = ps(&[arguments, &[format!("-q{list}")]].concat())?;
    let output = match narrow {
        Ok(output) => output,
        Err(_) => {
            ps(arguments)?.map_err(|words| RuntimeError::InvalidSpec(format!("ps: {words}")))?
        }
    };
    parse(&output, pids)
}

fn ps(arguments: &[String]) -> Result<Result<String, String>> {
    let output = programs::run(
        Command::new("ps").args(arguments),
        "exec ps",
        Path::new("ps"),
    )?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    })
}

pub(crate) fn parse(output: &str, pids: &[i32]) -> Result<ProcessTable> {
    let mut lines = output.lines();
    let titles: Vec<String> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let place = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| RuntimeError::InvalidSpec("Couldn't find PID field in ps output".into()))?;
    let row = |line: &str| {
        let row = fields(line, titles.len());
        let pid = row.get(place)?.parse::<i32>().ok()?;
        pids.contains(&pid).then_some(row)
    };
    let processes = lines.filter_map(row).collect();
    Ok(ProcessTable { titles, processes })
}

/// Cuts a line into fields; the last one, the command, keeps its spaces.
fn fields(line: &str, count: usize) -> Vec<String> {
    let mut fields = Vec::with_capacity(count);
    let mut rest = line.trim();
    while fields.len() + 1 < count {
        let Some((field, after)) = rest.split_once(char::is_whitespace) else {
            break;
        };
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    fields.push(rest.to_owned());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_rows_are_kept_and_the_command_whole() {
        let output = "UID  PID PPID CMD\nroot   1    0 init\nroot  42    1 sh -c  sleep 5\n";
        let table = parse(output, &[42]).unwrap();
        assert_eq!(table.titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(table.processes, [["root", "42", "1", "sh -c  sleep 5"]]);
    }

    #[test]
    fn a_table_without_pids_is_refused() {
        let error = parse("CMD\nsh\n", &[1]).unwrap_err();
        assert_eq!(error.to_string(), "Couldn't find PID field in ps output");
    }
}
