//! What people and programs read: tables and single things, or JSON.
//!
//! Text that came from elsewhere is escaped before it reaches a terminal. JSON is the API's own form, one value
//! for each command.

use std::fmt::Write as _;
use std::io::Write as _;

use postern_domain::printable;
use serde::Serialize;

/// Where results go: standard output, as text or JSON. Progress and errors go to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Whether a program reads it.
    pub json: bool,
}

/// Something that people read as a row of a table, or as lines of its own.
pub trait Show: Serialize {
    /// The heads of the columns.
    const HEADS: &'static [&'static str];

    /// The cells, one for each head.
    fn cells(&self) -> Vec<String>;
}

impl Output {
    /// Prints a list.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn list<T: Show>(self, items: &[T]) -> anyhow::Result<()> {
        if self.json {
            return self.value(&items);
        }
        let rows: Vec<Vec<String>> = items.iter().map(Show::cells).collect();
        print(&table(T::HEADS, &rows))
    }

    /// Prints one thing.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn one<T: Show>(self, item: &T) -> anyhow::Result<()> {
        if self.json {
            return self.value(item);
        }
        let cells = item.cells();
        let pairs: Vec<(&str, String)> = T::HEADS.iter().copied().zip(cells).collect();
        print(&lines(&pairs))
    }

    /// Prints a value as JSON, on one line.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn value<T: Serialize>(self, value: &T) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        print(&text)
    }

    /// Prints a sentence for people, or a value for programs.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn say<T: Serialize>(self, value: &T, sentence: &str) -> anyhow::Result<()> {
        if self.json {
            self.value(value)
        } else {
            print(&format!("{sentence}\n"))
        }
    }
}

/// Writes to standard output. That its reader went away is not this program's failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Lays out a table: columns as wide as their widest cell, two spaces between, the last one ragged.
#[must_use]
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|head| head.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads)
        .chain(rows.iter().map(|row| row.iter().map(|c| printable(c)).collect()))
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|r| r.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _infallible = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Lays out names and values, one pair a line. A value of several lines begins on a line of its own.
#[must_use]
pub fn lines(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        let _infallible = if value.contains('\n') {
            let value: Vec<String> = value.lines().map(printable).collect();
            writeln!(text, "{name}\n{}", value.join("\n"))
        } else {
            writeln!(text, "{name:<width$}  {}", printable(value))
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [
            vec!["a".into(), "long value".into()],
            vec!["bbbb".into(), "c".into()],
        ];
        assert_eq!(
            table(&["id", "name"], &rows),
            "ID    NAME\na     long value\nbbbb  c\n"
        );
    }

    #[test]
    fn foreign_text_never_commands_the_terminal() {
        assert!(!table(&["name"], &[vec!["\x1b[2J".into()]]).contains('\x1b'));
        assert!(!lines(&[("name", "a\n\x1b[2J".into())]).contains('\x1b'));
    }
}
