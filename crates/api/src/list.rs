//! Lists: pages in the order of ids, which is the order of making.

use serde::{Deserialize, Serialize};

/// A page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// Pass it as `after` for the next page; absent on the last one.
    pub next: Option<String>,
}

/// What part of a list is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// At most so many, 1 to 500; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only what has this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
