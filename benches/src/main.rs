//! The figures of Sealane: ratios to a floor or a peer, taken in one run and in turn.
//!
//! Everything happens on simulated hosts; no packet leaves. Times depend on the machine and its
//! load, ratios much less, so nothing is compared that was not measured in the same minute.
//! Start at [`figures`]. The floors are in [`floor`] and [`supervisor`], the peer in [`peer`].

mod api;
mod echo;
mod engine;
mod error;
mod figures;
mod floor;
mod load;
mod machine;
mod namespace;
mod netlink;
mod paired;
mod peer;
mod population;
mod report;
mod samples;
mod stage;
mod stream;
mod supervisor;
mod talk;
mod transactions;
mod wanted;
mod wire;

use clap::{Parser, Subcommand};
use figures::Extent;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs, io};

/// Measures Sealane against the floor and its peer, and prints a table.
#[derive(Debug, Parser)]
struct Arguments {
    /// A few rounds of everything, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Write the table to this file, too.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Take only these figures: attach, hang, start, life, ports, publish,
    /// crowd, names, paths, lab, footprint, restart, calls, beside, many.
    figures: Vec<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs containers without a daemon; for the bench itself.
    #[command(hide = true)]
    Supervise {
        /// The bundle.
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.part {
        Some(Part::Supervise { folder }) => supervisor::work(folder),
        None => with_daemon().unwrap_or_else(|| measure(&arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealane-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Begins anew with the daemon's path in `SEALANE`, if it is not there: the test kit looks for it
/// beside tests, which are a folder deeper than this program. Returns only what went wrong.
fn with_daemon() -> Option<io::Result<()>> {
    if env::var_os("SEALANE").is_some() {
        return None;
    }
    let begun = env::current_exe().map(|program| {
        let daemon = program.with_file_name("sealane");
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1)).env("SEALANE", daemon);
        command.exec()
    });
    Some(Err(begun.unwrap_or_else(|error| error)))
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    let begin = Instant::now();
    let load = machine::load();
    let extent = Extent {
        quick: arguments.quick,
    };
    let wanted = |name: &str| {
        arguments.figures.is_empty() || arguments.figures.iter().any(|figure| figure == name)
    };
    let elsewhere = figures::ELSEWHERE
        .into_iter()
        .filter(|figure| arguments.figures.iter().any(|asked| asked == figure.0));
    let mut rows = Vec::new();
    let all = figures::ALL.into_iter().filter(|figure| wanted(figure.0));
    for figure in all.chain(elsewhere) {
        eprintln!("{:>4} s  {}", begin.elapsed().as_secs(), figure.0);
        rows.extend(figures::take(figure, extent));
    }
    let mut facts = machine::facts();
    facts.push(format!(
        "load {load} before the run and {} after it, which took {} s",
        machine::load(),
        begin.elapsed().as_secs()
    ));
    let text = document(&facts, &report::table(&rows), extent);
    print!("{text}");
    arguments
        .write
        .as_ref()
        .map_or(Ok(()), |path| fs::write(path, text))
}

fn document(facts: &[String], table: &str, extent: Extent) -> String {
    let quick = if extent.quick {
        "\nThis was a quick run of a few rounds: it shows that the figures can be taken, not what they are.\n"
    } else {
        ""
    };
    let facts: String = facts.iter().map(|fact| format!("- {fact}\n")).collect();
    format!(
        "# Performance\n\n\
         Written by `make bench`. Each figure is a ratio to a floor or a peer that was measured in \
         the same run, in turn with ours, on simulated hosts. The floor is raw netlink that does \
         the same kernel work and nothing else; it writes no rules and no record. Ours is the \
         answer of the daemon's API on a connection that is kept, its commit to the disk \
         included. Names are asked, and \
         echoes echoed, with precedence over what else the machine does. Verdicts \
         are by the median, where not said otherwise. A ratio with numbers in brackets is the middle \
         one of the ratios of all turns, the numbers those between which half of them are: ours and \
         the other were measured in turn until another run would come to the same verdict, or for \
         two minutes.\n{quick}\n{facts}\n{table}"
    )
}
