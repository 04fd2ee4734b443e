//! The command line of the fuzz targets: `make fuzz` and `make test` call it.

use sealane_fuzz::{Order, Target, all, find, replay, run, work};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

const USAGE: &str = "\
usage: cargo run -p sealane-fuzz -- COMMAND
  list                                 the targets
  run [--seconds N] [--jobs N] [--seed N] [TARGET...]
                                       throw inputs at targets, all unless named, N seconds each
  replay TARGET FILE...                run a target on inputs that were kept";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[&str]) -> Result<bool> {
    match words {
        ["list"] => {
            for target in all() {
                println!("{}", target.name);
            }
            Ok(true)
        }
        ["run", rest @ ..] => fuzz(rest),
        ["replay", name, files @ ..] => {
            let target = known(name)?;
            for file in files {
                println!("{file}: {:?}", replay(&target, &fs::read(file)?));
            }
            Ok(true)
        }
        ["worker", name, seconds, seed, current] => {
            let target = known(name)?;
            let time = Duration::from_secs(seconds.parse()?);
            let done = work(&target, time, seed.parse()?, Path::new(current))?;
            println!(
                "{name}: {} inputs in {seconds} s, {} outcomes",
                done.thrown, done.outcomes
            );
            Ok(true)
        }
        _ => Err(USAGE.into()),
    }
}

fn fuzz(mut words: &[&str]) -> Result<bool> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut order = Order {
        targets: Vec::new(),
        time: Duration::from_secs(60),
        jobs: thread::available_parallelism().map_or(1, usize::from),
        seed: now.as_nanos() as u64,
        folder: folder(),
    };
    while let [word, rest @ ..] = words {
        words = match (*word, rest) {
            ("--seconds", [value, rest @ ..]) => {
                order.time = Duration::from_secs(value.parse()?);
                rest
            }
            ("--jobs", [value, rest @ ..]) => {
                order.jobs = value.parse()?;
                rest
            }
            ("--seed", [value, rest @ ..]) => {
                order.seed = value.parse()?;
                rest
            }
            (name, rest) => {
                order.targets.push(known(name)?);
                rest
            }
        };
    }
    if order.targets.is_empty() {
        order.targets = all();
    }
    println!("fuzz: the dice begin with --seed {}", order.seed);
    let failed = run(&order)?;
    if !failed.is_empty() {
        eprintln!("fuzz: failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn known(name: &str) -> Result<Target> {
    find(name).ok_or_else(|| format!("there is no target \"{name}\"; see `list`").into())
}

/// Beside what cargo builds, which is where this program is.
fn folder() -> PathBuf {
    let built = env::current_exe().ok();
    let target = built.as_deref().and_then(|path| path.ancestors().nth(2));
    target.unwrap_or(Path::new("target")).join("fuzz")
}
