//! Workers side by side, and what is kept of one that fails.

use crate::{Target, corpus};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, io, thread};

/// What to run.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which targets.
    pub targets: Vec<Target>,
    /// How long each.
    pub time: Duration,
    /// How many at once.
    pub jobs: usize,
    /// What the dice begin with.
    pub seed: u64,
    /// Where inputs that fail are kept.
    pub folder: PathBuf,
}

/// Runs all targets, and returns the names of those that failed.
pub fn run(order: &Order) -> io::Result<Vec<&'static str>> {
    let waiting = Mutex::new(order.targets.iter());
    let failed = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap().next();
    thread::scope(|scope| {
        let work = || -> io::Result<()> {
            while let Some(target) = next() {
                if !one(order, target)? {
                    failed.lock().unwrap().push(target.name);
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..order.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join().unwrap());
        joined.collect::<io::Result<()>>()
    })?;
    Ok(failed.into_inner().unwrap())
}

/// Runs one target in a process of its own; whether all went well.
fn one(order: &Order, target: &Target) -> io::Result<bool> {
    let folder = order.folder.join(target.name);
    fs::create_dir_all(&folder)?;
    let current = folder.join(format!("current-{}", std::process::id()));
    let output = start(order, target, &current)?.wait_with_output()?;
    if output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        fs::remove_file(&current)?;
        return Ok(true);
    }
    let kept = keep(&folder, &current)?;
    let text = String::from_utf8_lossy(&output.stderr);
    eprintln!("{}", told(target, output.status, &kept, text.trim_end()));
    Ok(false)
}

fn start(order: &Order, target: &Target, current: &Path) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .arg("worker")
        .arg(target.name)
        .arg(order.time.as_secs().to_string())
        .arg(order.seed.to_string())
        .arg(current)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Keeps the input by which a worker ended, under a name that is free.
fn keep(folder: &Path, current: &Path) -> io::Result<PathBuf> {
    let names = (1..).map(|number| folder.join(format!("failed-{number}")));
    let kept = names
        .into_iter()
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.join("failed"));
    fs::rename(current, &kept)?;
    Ok(kept)
}

fn told(target: &Target, status: ExitStatus, kept: &Path, text: &str) -> String {
    let (name, kept) = (target.name, kept.display());
    let seeds = corpus::folder(target);
    format!(
        "{name}: FAILED ({status}) at the input in {kept}\n{text}\n\
         replay: cargo run -p sealane-fuzz -- replay {name} {kept}\n\
         mended: copy it to {}, where every test run meets it again",
        seeds.display()
    )
}
