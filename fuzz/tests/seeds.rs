//! Every committed seed, those that once failed among them, is taken by its target.

use sealane_fuzz::{all, replay, seeds};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_seed_is_taken() {
    for target in all() {
        let seeds = seeds(&target).expect("the corpus is readable");
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for (name, seed) in seeds {
            println!("{} {name}: {:?}", target.name, replay(&target, &seed));
        }
    }
}

#[test]
fn every_folder_of_seeds_has_a_target() {
    let known: BTreeSet<&str> = all().iter().map(|target| target.name).collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(corpus).expect("the corpus is readable") {
        let name = entry.expect("the corpus is readable").file_name();
        let name = name.to_string_lossy();
        assert!(known.contains(&*name), "corpus/{name} is of no target");
    }
}
