//! Between rows and types: ids and names as text, times as milliseconds, scopes as text.

use std::fmt::Display;
use std::num::NonZeroU16;
use std::str::FromStr;

use postern_domain::{Port, Scope, Timestamp};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::Error;

/// Reads columns as our types; a value that does not parse is damage, not a refusal.
pub(crate) trait Columns {
    /// Reads a column by its text form: an id, a name, a host, an actor, a pin.
    fn parsed<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, Error>;
    /// Reads a column that may be absent.
    fn parsed_option<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Option<T>, Error>;
    /// Reads text.
    fn text(&self, column: &str) -> Result<String, Error>;
    /// Reads a number.
    fn number(&self, column: &str) -> Result<u64, Error>;
    /// Reads a port.
    fn port(&self, column: &str) -> Result<Port, Error>;
    /// Reads a time.
    fn time(&self, column: &str) -> Result<Timestamp, Error>;
    /// Reads a time that may be absent.
    fn time_option(&self, column: &str) -> Result<Option<Timestamp>, Error>;
    /// Reads a scope.
    fn scope(&self, column: &str) -> Result<Scope, Error>;
}

fn damaged(column: &str, why: impl Display) -> Error {
    Error::internal(format!(
        "the store holds a value that cannot be read in column {column}: {why}"
    ))
}

impl Columns for SqliteRow {
    fn parsed<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, Error> {
        let text: &str = self.try_get(column)?;
        text.parse().map_err(|e| damaged(column, e))
    }

    fn parsed_option<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Option<T>, Error> {
        let text: Option<&str> = self.try_get(column)?;
        text.map(|t| t.parse().map_err(|e| damaged(column, e)))
            .transpose()
    }

    fn text(&self, column: &str) -> Result<String, Error> {
        Ok(self.try_get(column)?)
    }

    fn number(&self, column: &str) -> Result<u64, Error> {
        let number: i64 = self.try_get(column)?;
        u64::try_from(number).map_err(|e| damaged(column, e))
    }

    fn port(&self, column: &str) -> Result<Port, Error> {
        let number: i64 = self.try_get(column)?;
        let number = u16::try_from(number).map_err(|e| damaged(column, e))?;
        NonZeroU16::new(number).ok_or_else(|| damaged(column, "a port is never zero"))
    }

    fn time(&self, column: &str) -> Result<Timestamp, Error> {
        self.number(column).map(Timestamp::from_millis)
    }

    fn time_option(&self, column: &str) -> Result<Option<Timestamp>, Error> {
        let number: Option<i64> = self.try_get(column)?;
        number
            .map(|n| {
                u64::try_from(n)
                    .map(Timestamp::from_millis)
                    .map_err(|e| damaged(column, e))
            })
            .transpose()
    }

    fn scope(&self, column: &str) -> Result<Scope, Error> {
        let text: &str = self.try_get(column)?;
        parse_scope(text)
    }
}

/// Returns a time as it is stored.
pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Returns a stored count; nothing that counts is negative.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Returns a scope as it is stored: `instance`, or the organization's id.
pub(crate) fn scope_text(scope: Scope) -> String {
    match scope {
        Scope::Instance => String::from("instance"),
        Scope::Organization(id) => id.to_string(),
    }
}

/// Reads a scope as it is stored.
fn parse_scope(text: &str) -> Result<Scope, Error> {
    if text == "instance" {
        return Ok(Scope::Instance);
    }
    text.parse()
        .map(Scope::Organization)
        .map_err(|e| damaged("scope", e))
}
