//! Rules for every text: white space, paths of a machine, notes of things to do.

use super::Finding;
use super::source::Source;
use super::tree::File;

/// Folders that exist on somebody's machine only. Written in two parts, or this file would break its own rule.
const MACHINE: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Marks that say that something is not done.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Adds what is wrong in a file of whatever kind.
pub(crate) fn check(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        let mut wrong = |message: &str| findings.push(Finding::new(file, number, message));
        if line.ends_with('\r') {
            wrong("a carriage return: lines end with a line feed alone");
        } else if line.ends_with([' ', '\t']) {
            wrong("white space at the end of the line");
        }
        if MACHINE.iter().any(|folder| names_folder(line, folder)) {
            wrong("an absolute path of somebody's machine");
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(
            file,
            0,
            "the last line does not end with a line feed",
        ));
    }
    notes(file, findings);
}

/// In Rust only comments are searched: a text may speak of a note, a comment is one.
fn notes(file: &File, findings: &mut Vec<Finding>) {
    let lines: Vec<String> = if file.path.ends_with(".rs") {
        Source::parse(&file.text).comments
    } else {
        file.lines().map(|(_, line)| line.to_owned()).collect()
    };
    for (number, line) in (1..).zip(&lines) {
        if NOTES.iter().any(|note| has_word(line, note)) {
            findings.push(Finding::new(
                file,
                number,
                "a note of something to do: do it, or open an issue",
            ));
        }
    }
}

/// Tells whether the line names the folder as the start of an absolute path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '}' | '>' | '~' | ')'))
    })
}

/// Tells whether the line has the word, not as a part of another.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&File::new(path, text), &mut findings);
        findings
            .into_iter()
            .map(|finding| format!("{}: {}", finding.line, finding.message))
            .collect()
    }

    #[test]
    fn accepts_a_plain_text() {
        assert_eq!(findings("a.md", "# One\n\nTwo.\n"), Vec::<String>::new());
        assert_eq!(findings("empty.toml", ""), Vec::<String>::new());
    }

    #[test]
    fn refuses_white_space_at_the_end() {
        for bad in ["a \n", "a\t\n", "a\r\n", "a"] {
            assert_eq!(findings("a.md", bad).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn refuses_paths_of_a_machine_even_in_texts_of_the_code() {
        for folder in MACHINE {
            assert_eq!(findings("a.md", &format!("see `{folder}x`\n")).len(), 1);
            assert_eq!(
                findings("a.rs", &format!("const A: &str = \"{folder}x\";\n")).len(),
                1
            );
            assert_eq!(findings("a.toml", &format!("{folder}x\n")).len(), 1);
            let within = format!("https://example.org{folder}x and var{folder}x\n");
            assert_eq!(findings("a.md", &within), Vec::<String>::new());
        }
    }

    #[test]
    fn refuses_notes_of_things_to_do() {
        for note in NOTES {
            assert_eq!(
                findings("a.rs", &format!("fn a() {{}} // {note}: later\n")).len(),
                1
            );
            assert_eq!(findings("a.rs", &format!("/* {note} */\n")).len(), 1);
            assert_eq!(findings("a.md", &format!("{note} later\n")).len(), 1);
            let text = format!("const A: &str = \"{note}\"; // MY{note}S\n");
            assert_eq!(findings("a.rs", &text), Vec::<String>::new());
        }
    }
}
