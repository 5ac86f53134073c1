//! Rules for documents: what they point to exists.
//!
//! A link is relative and leads to a file of the project, and to one of its headings if it names one. A path of
//! the project written as code, such as the name of a crate's file, exists too. Addresses on the web are not
//! followed.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{File, Tree};

/// A code span that begins so is a path of the project.
const ROOTS: [&str; 4] = ["crates/", "docs/", "examples/", ".ci/"];

/// Adds what is wrong in a document.
pub(crate) fn check(file: &File, tree: &Tree, findings: &mut Vec<Finding>) {
    for (number, line) in prose(&file.text) {
        for link in links(line) {
            if let Some(message) = follow(file, tree, link) {
                findings.push(Finding::new(file, number, message));
            }
        }
        for path in line.split('`').skip(1).step_by(2).filter(|span| is_path(span)) {
            if !tree.paths.contains(path.trim_end_matches('/')) {
                findings.push(Finding::new(file, number, format!("`{path}` does not exist")));
            }
        }
    }
}

/// Returns the numbered lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns what the line's links point to; what is written as code is none.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at);
        let as_code = line.get(..line.len() - rest.len() + before.len());
        let after = after.get(2..).unwrap_or_default();
        let end = after.find(')').unwrap_or(after.len());
        if as_code.is_some_and(|before| before.matches('`').count() % 2 == 0 || before.ends_with('`')) {
            found.extend(after.get(..end));
        }
        rest = after;
    }
    found
}

fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    ROOTS.iter().any(|root| span.starts_with(root)) && span.chars().all(plain)
}

/// Returns what is wrong with a link, if anything is.
fn follow(file: &File, tree: &Tree, link: &str) -> Option<String> {
    if ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
    {
        return None;
    }
    let (path, heading) = link
        .split_once('#')
        .map_or((link, None), |(path, heading)| (path, Some(heading)));
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let target = if path.is_empty() {
        Some(file.path.clone())
    } else {
        resolve(folder, path)
    };
    let Some(target) = target.filter(|target| tree.paths.contains(target)) else {
        return Some(format!("the link {link} leads nowhere"));
    };
    let heading = heading?;
    let found = tree.files.iter().find(|other| other.path == target);
    let exists = found.is_some_and(|other| headings(&other.text).contains(heading));
    (!exists).then(|| format!("the link {link} names a heading that {target} does not have"))
}

/// Joins a relative path to a folder. Returns `None` above the root, and for an absolute path.
fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Returns the anchors that a document's headings have where documents are read.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim())
    });
    let mut anchors = BTreeSet::new();
    for title in titles {
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept
            .flat_map(char::to_lowercase)
            .collect::<String>()
            .replace(' ', "-");
        let repeated = (1..).map(|n| format!("{anchor}-{n}"));
        let free = std::iter::once(anchor.clone())
            .chain(repeated)
            .find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("README.md", ""),
            ("docs/a.md", text),
            (
                "docs/b.md",
                "# One, *two*\n\n## A\n## A\n```\n# no heading\n```\n",
            ),
            ("crates/x/src/lib.rs", ""),
        ]);
        let mut findings = Vec::new();
        check(&tree.files[1], &tree, &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn follows_relative_links() {
        for good in [
            "[b](b.md)",
            "[r](../README.md) [b](./b.md)",
            "[x](../crates/x)",
            "[h](https://example.org/q)",
        ] {
            assert_eq!(findings(good), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "[b](c.md)",
            "[b](docs/b.md)",
            "[b](/docs/b.md)",
            "[b](../../b.md)",
            "![p](p.svg)",
            "[`c`](c.md)",
        ] {
            assert_eq!(findings(bad).len(), 1, "{bad}");
        }
        assert_eq!(findings("[b](b.md) and [c](c.md) and [d](d.md)").len(), 2);
    }

    #[test]
    fn follows_links_to_headings() {
        for good in [
            "[b](b.md#one-two)",
            "[b](b.md#a)",
            "[b](b.md#a-1)",
            "# Here\n[b](#here)",
        ] {
            assert_eq!(findings(good), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "[b](b.md#three)",
            "[b](b.md#a-2)",
            "[b](#here)",
            "[b](b.md#no-heading)",
        ] {
            assert_eq!(findings(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn refuses_paths_of_the_project_that_do_not_exist() {
        for good in [
            "`crates/x/src/lib.rs`",
            "`crates/x/`",
            "`docs/b.md`",
            "`crates/<name>`",
            "`cargo test`",
        ] {
            assert_eq!(findings(good), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "`crates/y`",
            "`docs/c.md`",
            "see `docs/b.md` and `examples/a.toml`",
        ] {
            assert_eq!(findings(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn leaves_code_alone() {
        assert_eq!(
            findings("```\n[b](c.md) `crates/y`\n```\nand `a[0](c)`"),
            Vec::<String>::new()
        );
    }
}
