//! What comments may not say: words that leave open which part of the system is meant.

use std::path::{Path, PathBuf};
use std::{fs, io};
use thiserror::Error;

/// Folders with sources of ours.
const FOLDERS: [&str; 5] = ["crates", "tests", "benches", "fuzz", "xtask"];
/// They leave open what is meant: a comment names the client, the endpoint, the process.
const VAGUE: [&str; 10] = [
    "whoever",
    "whomever",
    "somebody",
    "someone",
    "nobody",
    "anybody",
    "anyone",
    "everybody",
    "everyone",
    "no-one",
];
/// What is said of programs as if they were people: they are given, set, sent, reported.
const SPOKEN: [&str; 7] = [
    "is told",
    "are told",
    "was told",
    "were told",
    "be told",
    "been told",
    "being told",
];

/// Comments say more, or less, than they should.
#[derive(Debug, Error)]
pub(crate) enum WordsError {
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} comments do not name what they mean:\n{}", .0.len(), .0.join("\n"))]
    Vague(Vec<String>),
}

/// Fails when a comment has such a word.
pub(crate) fn check(root: &Path) -> Result<(), WordsError> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        look(&root.join(folder), &mut found)?;
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(WordsError::Vague(found))
    }
}

fn look(folder: &Path, found: &mut Vec<String>) -> Result<(), WordsError> {
    let unreadable = |source| WordsError::Unreadable {
        path: folder.to_path_buf(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            look(&path, found)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let source = fs::read_to_string(&path).map_err(unreadable)?;
            let vague = vague_lines(&source);
            found.extend(vague.map(|(line, text)| format!("  {}:{line}: {text}", path.display())));
        }
    }
    Ok(())
}

/// The lines of comments with such a word, by their number.
fn vague_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let comments = (1..).zip(source.lines().map(str::trim));
    comments.filter(|(_, line)| line.starts_with("//") && is_vague(line))
}

fn is_vague(comment: &str) -> bool {
    let lower = comment.to_lowercase();
    let mut words = lower.split(|character: char| !character.is_alphanumeric() && character != '-');
    words.any(|word| VAGUE.contains(&word)) || SPOKEN.iter().any(|spoken| lower.contains(spoken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_are_looked_at() {
        let source = "// Whoever asks.\nlet nobody = 1;\n/// It is told.\n//! Fine.\nfn x() {}\n";
        let lines: Vec<usize> = vague_lines(source).map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn a_word_is_a_whole_word() {
        assert!(is_vague("// Somebody's link.") && is_vague("// What the engine is told."));
        assert!(!is_vague("// The gateway and its neighbors.") && !is_vague("// Untold."));
    }

    #[test]
    fn comments_name_what_they_mean() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the workspace");
        if let Err(fault) = check(root) {
            panic!("{fault}");
        }
    }
}
