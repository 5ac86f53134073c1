//! A Rust file taken apart, line by line: its code, its comments, and which lines are tests.
//!
//! This is a lexer, not a parser: enough to tell code from text and comments, and to find where an item ends.

use std::ops::Range;

/// What a piece of the file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// A file's lines, three times.
#[derive(Debug)]
pub(crate) struct Source {
    /// The code; comments and the insides of literals are blank.
    pub(crate) code: Vec<String>,
    /// The comments; everything else is blank.
    pub(crate) comments: Vec<String>,
    /// Whether the line belongs to an item that is built for tests only.
    pub(crate) test: Vec<bool>,
}

impl Source {
    /// Takes a file apart. What is not Rust gives something, but never fails.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut code, mut comments) = (String::new(), String::new());
        let mut rest = text;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let (kind, length) = next(rest, first, before);
            let (piece, tail) = rest.split_at(length);
            for c in piece.chars() {
                code.push(if c == '\n' || kind == Kind::Code { c } else { ' ' });
                comments.push(if c == '\n' || kind == Kind::Comment {
                    c
                } else {
                    ' '
                });
            }
            before = piece.chars().next_back().unwrap_or(' ');
            rest = tail;
        }
        let code: Vec<String> = code.lines().map(String::from).collect();
        let comments = comments.lines().map(String::from).collect();
        let test = tests(&code);
        Self { code, comments, test }
    }
}

/// Returns the kind and length of the piece that the text begins with.
fn next(text: &str, first: char, before: char) -> (Kind, usize) {
    let within_word = before.is_alphanumeric() || before == '_';
    match first {
        '/' if text.starts_with("//") => (Kind::Comment, text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => (Kind::Comment, block_comment(text)),
        '"' => (Kind::Literal, string(text, 1)),
        '\'' => character(text).map_or((Kind::Code, 1), |length| (Kind::Literal, length)),
        'r' | 'b' | 'c' if !within_word => match prefixed(text) {
            Some(length) => (Kind::Literal, length),
            None => (Kind::Code, 1),
        },
        _ => (Kind::Code, first.len_utf8()),
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Returns the length of a string whose inside begins at `start`.
fn string(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < start) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the length of a string or byte with a prefix, raw ones among them.
fn prefixed(text: &str) -> Option<usize> {
    if text.starts_with("b'") {
        return character(text.get(1..)?).map(|length| length + 1);
    }
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| {
        text.get(prefix.len()..)
            .is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
            && text.starts_with(prefix)
    })?;
    let rest = text.get(prefix.len()..)?;
    let hashes = rest.bytes().take_while(|b| *b == b'#').count();
    let start = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = text.get(start..)?;
        Some(inside.find(&end).map_or(text.len(), |at| start + at + end.len()))
    } else {
        (hashes == 0).then(|| string(text, start))
    }
}

/// Returns the length of a character; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?;
        chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
    } else {
        chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
    }
}

/// Marks the lines of every item under `#[cfg(test)]`, its attributes included.
fn tests(code: &[String]) -> Vec<bool> {
    let mut test = vec![false; code.len()];
    for (at, line) in code.iter().enumerate() {
        let whole = line.contains("#![cfg(test)]");
        if whole || line.contains("#[cfg(test)]") || line.contains("#[cfg(all(test") {
            let lines = if whole { 0..code.len() } else { item(code, at) };
            test.iter_mut()
                .enumerate()
                .filter(|(n, _)| lines.contains(n))
                .for_each(|(_, t)| *t = true);
        }
    }
    test
}

/// Returns the lines of the item whose attributes begin at a line: up to its semicolon or closing brace.
fn item(code: &[String], from: usize) -> Range<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, line) in code.iter().enumerate().skip(from) {
        for c in line.chars() {
            match c {
                '[' | '(' => brackets += 1,
                ']' | ')' => brackets -= 1,
                '{' => braces += 1,
                '}' => braces -= 1,
                _ => {}
            }
            let closed = c == '}' || c == ';';
            if closed && brackets == 0 && braces == 0 {
                return from..at + 1;
            }
        }
    }
    from..code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::parse(text).code.join("\n")
    }

    #[test]
    fn tells_code_from_comments_and_literals() {
        let text = "let a = \"x // y\"; // z \"q\"\nlet b = '\"'; let c: &'static str = r#\"a\"b\"#;";
        assert_eq!(code(text).replace(' ', ""), "leta=;\nletb=;letc:&'staticstr=;");
        let source = Source::parse(text);
        assert_eq!(source.comments[0].trim(), "// z \"q\"");
        assert_eq!(source.comments[1].trim(), "");
    }

    #[test]
    fn keeps_its_place_in_odd_literals() {
        for text in [
            "a('\\'');b",
            "a('\\u{1F600}');b",
            "a(b'\\'');b",
            "a(b\"\\\"\");b",
            "a(br##\"\"#\"##);b",
            "a(\"\\\\\");b",
            "a(/* /* */ \" */);b",
            "a(\"ä\nö\");b",
        ] {
            let code = code(text).replace([' ', '\n'], "");
            assert_eq!(code, "a();b", "{text}");
        }
        assert_eq!(code("for<'a> r#type 'b: loop"), "for<'a> r#type 'b: loop");
    }

    #[test]
    fn survives_what_is_not_rust() {
        for text in [
            "\"",
            "'",
            "r#\"",
            "/*",
            "b'",
            "'\\",
            "}}}}",
            "#[cfg(test)]",
            "ä'ä",
        ] {
            Source::parse(text);
        }
    }

    #[test]
    fn finds_the_lines_of_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nuse b::{c, d};\nfn e() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n\
                    fn f() { \"}\"; }\n}\nfn g() {}";
        let test = Source::parse(text).test;
        assert_eq!(
            test,
            [false, true, true, false, true, true, true, true, true, false]
        );
        assert!(
            Source::parse("//! A.\n#![cfg(test)]\nfn a() {}")
                .test
                .iter()
                .all(|test| *test)
        );
    }
}
