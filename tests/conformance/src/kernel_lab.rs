//! Tests that need what this machine's kernel may lack: they run under a kernel of their own.
//!
//! Such a test is an ordinary one whose body is given to [`in_kernel_lab`]. Outside the lab, the first
//! of a binary's tests boots it once (`tools/kernel-lab`) and has the same binary run all of them
//! there; each then looks up what became of itself. Where the lab cannot run, they fail.

use sealane_testkit::repository;
use std::any::type_name;
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Seconds for all tests of a binary together. System calls are dear there.
const LIMIT: &str = "900";

/// What the lab printed, and what it said of each test.
#[derive(Debug)]
struct Run {
    passed: BTreeMap<String, bool>,
    output: String,
}

/// Runs the body of the calling test under the lab's kernel.
///
/// # Panics
/// When it fails there, or the lab cannot run.
#[track_caller]
pub fn in_kernel_lab<T: FnOnce()>(test: T) {
    if is_kernel_lab() {
        return test();
    }
    static RUN: OnceLock<Run> = OnceLock::new();
    let run = RUN.get_or_init(|| boot(filters()));
    // A closure is called after the function it stands in; a thread not always after its test.
    let path = type_name::<T>();
    let name = path.rsplit("::").nth(1).unwrap_or(path);
    run.verdict(name)
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// Runs one test of this binary under the lab's kernel, for harnesses of another make.
///
/// # Errors
/// When it fails there, or the lab cannot run.
pub fn run_in_kernel_lab(name: &str) -> Result<(), String> {
    boot(["--exact".to_owned(), name.to_owned()]).verdict(name)
}

/// Whether this is the lab.
pub fn is_kernel_lab() -> bool {
    env::var_os("LAB_NODE").is_some()
}

impl Run {
    fn verdict(&self, name: &str) -> Result<(), String> {
        match self.passed.get(name) {
            Some(true) => Ok(()),
            Some(false) | None => Err(format!(
                "{name} did not pass in the kernel lab, which printed:\n{}",
                self.output
            )),
        }
    }
}

/// Boots the lab, and there runs those tests of this binary that the arguments name.
fn boot(tests: impl IntoIterator<Item = String>) -> Run {
    let root = repository();
    let binary = env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(root.join("tools/kernel-lab/kernel-lab"));
    command
        .args(["run", "--timeout", LIMIT, "--"])
        .arg(binary)
        .args(tests)
        .args(["--test-threads=2", "--color=never"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut lab = command.spawn().expect("tools/kernel-lab starts");
    let printed = lab.stdout.take().expect("standard output is piped");
    let lines: Vec<String> = BufReader::new(printed)
        .lines()
        .map_while(Result::ok)
        .collect();
    let ended = lab.wait().expect("the lab ends");
    let verdict = |line: &String| {
        let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
        Some((name.to_owned(), result == "ok"))
    };
    Run {
        passed: lines.iter().filter_map(verdict).collect(),
        output: format!("{}\n{ended}", lines.join("\n")),
    }
}

/// The names that the caller asked for: only those need to run.
fn filters() -> impl Iterator<Item = String> {
    env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-') || argument == "--exact")
}
