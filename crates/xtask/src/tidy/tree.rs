//! The project's files: everything below the root that is not built, fetched or git's own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "corpus", "artifacts"];

/// A text file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Returns the lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(
            self.text
                .split_inclusive('\n')
                .map(|line| line.strip_suffix('\n').unwrap_or(line)),
        )
    }
}

/// The project.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Every file whose bytes are UTF-8.
    pub(crate) files: Vec<File>,
    /// Every path, of files and of folders.
    pub(crate) paths: BTreeSet<String>,
}

impl Tree {
    /// Reads everything below the root.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.folder(root, "")?;
        Ok(tree)
    }

    fn folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if kind.is_symlink() || (kind.is_dir() && SKIPPED.contains(&name.as_str())) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                self.folder(&entry.path(), &format!("{path}/"))?;
            } else if name != "Cargo.lock" {
                let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.push(File {
                        path: path.clone(),
                        text,
                    });
                }
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.files.push(File::new(path, text));
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            tree.paths.extend(ends.map(|end| path[..end].to_owned()));
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lines_from_one_and_keeps_what_ends_them() {
        let file = File::new("a", "one\r\ntwo\n\nfour");
        assert_eq!(
            file.lines().collect::<Vec<_>>(),
            [(1, "one\r"), (2, "two"), (3, ""), (4, "four")]
        );
    }

    #[test]
    fn finds_this_file_and_nothing_that_was_built() {
        let tree = Tree::read(&crate::root().unwrap()).unwrap();
        assert!(tree.paths.contains("crates/xtask/src/tidy/tree.rs"));
        assert!(tree.paths.contains("crates/xtask"));
        assert!(
            !tree
                .paths
                .iter()
                .any(|path| path.starts_with("target") || path.starts_with(".git/"))
        );
    }
}
