//! `cargo xtask tidy`: the rules of form that no other tool keeps.
//!
//! | files | rules |
//! | --- | --- |
//! | `.rs` | opens with `//!` that says something; at most 400 lines without tests, `main.rs` at most 60 |
//! | `.rs` | no `mod.rs`; no module named after nothing: common, util, utils, helpers, core, shared |
//! | `.rs` | no ignored test, no unfinished code, no unbounded channel, no sleeping test |
//! | `.md` | links lead somewhere, and so do the paths of the project that are written as code |
//! | `Cargo.toml` of a crate | takes the lints of the workspace |
//! | every text | no notes of things to do, no paths of somebody's machine, no white space at the end |
//!
//! A rule is a function from a file to findings; its tests are beside it.

mod links;
mod manifest;
mod rust;
mod source;
mod text;
mod tree;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// Where something is wrong, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 stands for the whole file.
    line: usize,
    message: String,
    /// Said, but not held against anybody.
    warning: bool,
}

impl Finding {
    fn new(file: &tree::File, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            message: message.into(),
            warning: false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            message,
            warning,
        } = self;
        let warning = if *warning { "warning: " } else { "" };
        match line {
            0 => write!(f, "{path}: {warning}{message}"),
            _ => write!(f, "{path}:{line}: {warning}{message}"),
        }
    }
}

/// Reads every file of the project and prints what is wrong. Fails if something is.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let tree = tree::Tree::read(root)?;
    let findings = check(&tree);
    for finding in &findings {
        println!("tidy: {finding}");
    }
    let wrong = findings.iter().filter(|finding| !finding.warning).count();
    if wrong == 0 {
        println!("tidy: {} files hold", tree.files.len());
        Ok(ExitCode::SUCCESS)
    } else {
        println!("tidy: {wrong} findings");
        Ok(ExitCode::FAILURE)
    }
}

fn check(tree: &tree::Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        text::check(file, &mut findings);
        if file.path.ends_with(".rs") {
            rust::check(file, &mut findings);
        } else if file.path.ends_with(".md") {
            links::check(file, tree, &mut findings);
        } else if file.path.ends_with("Cargo.toml") {
            manifest::check(file, &mut findings);
        }
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_this_crate_hold() {
        let root = crate::root().unwrap();
        let mut tree = tree::Tree::read(&root).unwrap();
        tree.files.retain(|file| file.path.starts_with("crates/xtask/"));
        assert!(tree.files.len() > 10);
        let wrong: Vec<_> = check(&tree)
            .into_iter()
            .filter(|finding| !finding.warning)
            .collect();
        assert_eq!(wrong, []);
    }

    #[test]
    fn says_file_and_line() {
        let file = tree::File::new("docs/a.md", "text \n");
        let mut findings = Vec::new();
        text::check(&file, &mut findings);
        assert_eq!(
            findings[0].to_string(),
            "docs/a.md:1: white space at the end of the line"
        );
    }
}
