//! The guides in `docs/guides` are true: every command they show is run, and prints what they say.
//!
//! One test for each file, run from top to bottom on one fresh host. The form of a guide is said
//! at the end of `docs/guides/README.md`; reading one is in [`page`], comparing in [`output`].

mod output;
mod page;

use libtest_mimic::{Arguments, Failed, Trial};
use page::{Page, Place, Step};
use sealane_conformance::*;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, thread};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let entries = fs::read_dir(&folder).expect("docs/guides is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .filter(|path| !path.ends_with("README.md"))
        .collect();
    files.sort();
    let guides = files.into_iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("guide_{}", name.replace('-', "_"));
        Trial::test(name.clone(), move || follow(&name, &path))
    });
    guides.chain(tests_of_our_own()).collect()
}

/// Who follows one guide to its end, under a kernel of its own where the guide needs one.
fn follow(name: &str, path: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    if text.contains("\n<!-- kernel-lab -->\n") && !is_kernel_lab() {
        return Ok(run_in_kernel_lab(name)?);
    }
    let file = format!(
        "docs/guides/{}",
        path.file_name().unwrap_or_default().to_string_lossy()
    );
    let page = Page::read(&text).map_err(|fault| format!("{file}:{fault}"))?;
    if page.steps.is_empty() {
        return Err(format!("{file}: no block is marked console, so nothing of it is run").into());
    }
    let mut stage = Stage::new(&page.flags);
    for step in &page.steps {
        stage
            .take(step)
            .map_err(|fault| format!("{file}:{}: # {}\n{fault}", step.line, step.command))?;
    }
    Ok(())
}

/// A host on its LAN, with a daemon and the image `busybox`.
struct Stage {
    world: World,
}

impl Stage {
    fn new(flags: &[String]) -> Self {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let world = World::with_flags(&flags);
        world.docker("tag img busybox").ok();
        world.docker("rmi img").ok();
        // On the PATH of the host, so that the commands read as they would on the reader's.
        let link = format!(
            "mkdir -p /run/bin && ln -sf {} /run/bin/sealane",
            binary().display()
        );
        world.host().sh(&link).ok();
        Self { world }
    }

    /// Runs a command, and compares.
    fn take(&mut self, step: &Step) -> Result<(), String> {
        if let Some(flags) = &step.restart_with {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            self.world.set_flags(&flags);
            // The page may have ended it.
            if self.world.runs() {
                self.world.kill9();
            }
            self.world.launch();
        }
        let end = std::time::Instant::now() + SOON;
        loop {
            let outcome = self.run(step);
            let Err(fault) = output::compare(step, &outcome) else {
                return Ok(());
            };
            // A server that was started the line before may not listen yet.
            if !step.only_asks() || std::time::Instant::now() > end {
                return Err(fault);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn run(&self, step: &Step) -> Outcome {
        let host = match step.place {
            Place::Host => self.world.host(),
            Place::Lan => self.world.peer(),
        };
        host.sh(&format!(
            "exec 2>&1; export PATH=/run/bin:$PATH; cd /run/tmp\n{}",
            step.command
        ))
    }
}

/// What would make every guide look true must not go unnoticed.
fn tests_of_our_own() -> Vec<Trial> {
    let test = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    vec![
        test(
            "a_page_is_read_as_steps",
            page::tests::a_page_is_read_as_steps,
        ),
        test(
            "dots_stand_for_anything",
            output::tests::dots_stand_for_anything,
        ),
    ]
}
