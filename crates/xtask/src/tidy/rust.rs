//! Rules for Rust files: header, size, names, and what must not be in code or tests.

use super::Finding;
use super::source::Source;
use super::tree::File;

/// A file says one thing in at most so many lines, tests not counted.
const MOST_LINES: usize = 400;
/// From here on it is said that a file grows too long.
const MANY_LINES: usize = 350;
/// A `main.rs` only calls a library.
const MOST_MAIN_LINES: usize = 60;
/// Names of modules that say nothing of what is in them.
const EMPTY_NAMES: [&str; 6] = ["common", "util", "utils", "helpers", "core", "shared"];
/// The comment that lets a test sleep, followed by the reason.
const SLEEPS_BECAUSE: &str = "tidy: sleeps because ";

/// Code that must not be anywhere, tests included, and why.
const FORBIDDEN: [(&str, &str); 9] = [
    ("#[ignore", "a test is run or removed"),
    (", ignore)]", "a test is run or removed"),
    ("todo!", "unfinished code"),
    ("unimplemented!", "unfinished code"),
    ("unbounded_channel", "every queue is bounded"),
    ("UnboundedSender", "every queue is bounded"),
    ("mpsc::unbounded", "every queue is bounded"),
    ("::unbounded(", "every queue is bounded"),
    ("mpsc::channel()", "every queue is bounded; std's is sync_channel"),
];

/// Adds what is wrong in a Rust file.
pub(crate) fn check(file: &File, findings: &mut Vec<Finding>) {
    let source = Source::parse(&file.text);
    header(file, findings);
    size(file, &source, findings);
    names(file, &source, findings);
    forbidden(file, &source, findings);
    sleeps(file, &source, findings);
}

/// The first line opens a header, and the header is more than the crate's name.
fn header(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().map_while(|line| line.strip_prefix("//!"));
    let words: Vec<_> = lines.flat_map(str::split_whitespace).collect();
    match words.as_slice() {
        [] => findings.push(Finding::new(
            file,
            1,
            "opens without //!: say what it is, promises, never does",
        )),
        [name] if name.starts_with("postern") => {
            findings.push(Finding::new(file, 1, "the header says nothing"));
        }
        _ => {}
    }
}

/// A file of tests may be as long as its tests are many.
fn size(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    if is_test_file(&file.path) {
        return;
    }
    let lines = source.test.iter().filter(|test| !**test).count();
    let is_main = file.path.ends_with("/main.rs");
    let most = if is_main { MOST_MAIN_LINES } else { MOST_LINES };
    if lines > most {
        findings.push(Finding::new(
            file,
            0,
            format!("{lines} lines without tests; {most} are the most"),
        ));
    } else if lines > MANY_LINES {
        let mut finding = Finding::new(
            file,
            0,
            format!("{lines} lines without tests, {most} are the most"),
        );
        finding.warning = true;
        findings.push(finding);
    }
}

fn names(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let mut parts = file.path.split('/').rev();
    let name = parts.next().unwrap_or_default();
    if name == "mod.rs" {
        findings.push(Finding::new(
            file,
            0,
            "mod.rs: name the file after the module, beside its folder",
        ));
    }
    let stem = name.trim_end_matches(".rs");
    let folders = parts.take_while(|part| *part != "src" && *part != "crates");
    for empty in folders.chain([stem]).filter(|part| EMPTY_NAMES.contains(part)) {
        findings.push(Finding::new(
            file,
            0,
            format!("a module named {empty} says nothing of what is in it"),
        ));
    }
    for (number, line) in (1..).zip(&source.code) {
        let declared = line.split_once("mod ").and_then(|(before, after)| {
            let is_item = before.split_whitespace().all(|word| word.starts_with("pub"));
            is_item.then(|| after.split([';', ' ', '{']).next()).flatten()
        });
        if let Some(empty) = declared.filter(|name| EMPTY_NAMES.contains(name)) {
            let message = format!("a module named {empty} says nothing of what is in it");
            findings.push(Finding::new(file, number, message));
        }
    }
}

fn forbidden(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(&source.code) {
        if let Some((code, why)) = FORBIDDEN.iter().find(|(code, _)| line.contains(code)) {
            findings.push(Finding::new(file, number, format!("{code}: {why}")));
        }
    }
}

/// A test waits for an event, or sleeps on a clock that is paused, or says above the line why it can do
/// neither. The same holds for what tests are made of.
fn sleeps(file: &File, source: &Source, findings: &mut Vec<Finding>) {
    let whole = is_test_file(&file.path)
        || ["crates/testkit/", "crates/fixtures/"]
            .iter()
            .any(|support| file.path.starts_with(support));
    for (at, line) in source.code.iter().enumerate() {
        let test = whole || source.test.get(at).is_some_and(|test| *test);
        let sleeps = ["sleep(", "sleep_until(", "sleep_ms("]
            .iter()
            .any(|call| calls(line, call));
        if test && sleeps && !has_reason(source, at) && !clock_is_paused(source, at) {
            let message = format!(
                "a test that sleeps: wait for an event, pause the clock, or say `// {SLEEPS_BECAUSE}…` above it"
            );
            findings.push(Finding::new(file, at + 1, message));
        }
    }
}

/// Tells whether the line calls a function of that name, rather than defining it or one that ends in it.
fn calls(line: &str, call: &str) -> bool {
    line.match_indices(call).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let part_of_a_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !part_of_a_name && !before.trim_end().ends_with("fn")
    })
}

/// Tells whether the line, or the comment right above it, gives a reason of some words.
fn has_reason(source: &Source, at: usize) -> bool {
    let comment = |n: usize| source.comments.get(n).map_or("", |line| line.trim());
    let is_comment =
        |n: usize| !comment(n).is_empty() && source.code.get(n).is_some_and(|line| line.trim().is_empty());
    let first = (0..at).rev().take_while(|n| is_comment(*n)).last().unwrap_or(at);
    let said: Vec<_> = (first..=at).map(|n| comment(n).trim_start_matches('/')).collect();
    let said = said.join(" ");
    said.split_once(SLEEPS_BECAUSE)
        .is_some_and(|(_, reason)| reason.split_whitespace().count() >= 3)
}

/// Tells whether the function around the line runs on a paused clock: by its attribute, or by pausing it.
fn clock_is_paused(source: &Source, at: usize) -> bool {
    let line = |n: usize| source.code.get(n).map_or("", |line| line.trim());
    let head = (0..=at).rev().find(|n| {
        let words: Vec<_> = line(*n).split_whitespace().collect();
        words.iter().take(4).any(|word| *word == "fn")
    });
    let Some(head) = head else { return false };
    let attributes = (0..head)
        .rev()
        .take_while(|n| line(*n).starts_with("#[") || line(*n).is_empty());
    let by_attribute = attributes
        .into_iter()
        .any(|n| line(n).contains("start_paused = true"));
    by_attribute || (head..at).any(|n| line(n).contains("time::pause()"))
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("crates/tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests;
