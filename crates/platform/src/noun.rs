//! What the API speaks of: one noun per file, each with its services.
//!
//! A service takes the store, the request's context and the decision that allows it; what it reads and writes
//! belongs to the decision's scope, and what belongs to another answers as what does not exist. A change and
//! its audit record are one transaction.

pub(crate) mod authority;
pub(crate) mod client_secret;
pub(crate) mod gateway;
pub(crate) mod identity;
mod live;
pub(crate) mod mapping;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod project;
pub(crate) mod relay;
pub(crate) mod resource;
pub(crate) mod session;

use std::fmt::Display;

use postern_api::List;
use postern_audit::{Event, Recorded};
use postern_domain::{Actor, Name};

use crate::access::{AccessDecision, Reach};
use crate::store::Write;
use crate::{Error, RequestContext, record};

/// What part of a list is asked for; `T` is the kind of its ids.
#[derive(Debug, Clone)]
pub(crate) struct Page<T> {
    /// At most so many.
    pub(crate) limit: u32,
    /// Only what comes after this.
    pub(crate) after: Option<T>,
    /// Only what has this name.
    pub(crate) name: Option<Name>,
}

impl<T: Display> Page<T> {
    /// Returns the id to come after; every id is greater than the empty text.
    fn after_text(&self) -> String {
        self.after.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Returns the name to have; empty for any.
    fn name_text(&self) -> String {
        self.name.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Returns how many rows to fetch: one more than asked for, which tells whether there is another page.
    fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// Makes a page of what was fetched.
fn next<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> String) -> List<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(id) } else { None };
    List { items, next }
}

/// Returns the identity whose memberships bound what is seen; empty where nothing does.
fn member_filter(access: &AccessDecision) -> Result<String, Error> {
    match (access.reach(), access.actor()) {
        (Reach::Membership, Actor::MachineIdentity(id)) => Ok(id.to_string()),
        (Reach::Scope | Reach::ScopeAndInstance, _) => Ok(String::new()),
        (Reach::Membership | Reach::Own | Reach::Never, _) => Err(Error::forbidden()),
    }
}

/// Begins the record of a change.
fn change(context: &RequestContext, access: &AccessDecision) -> Event {
    record::allowed(context, access.action())
}

/// Commits a change together with its record.
async fn commit(write: Write, event: Event) -> Result<(), Error> {
    record::commit_recorded(write, (), event)
        .await
        .map(Recorded::into_inner)
}

/// Refuses while the query yields names of what uses the thing.
async fn in_use(
    write: &mut Write,
    what: &str,
    user: &str,
    sql: &'static str,
    keys: &[&str],
) -> Result<(), Error> {
    const SHOWN: usize = 5;
    let mut query = sqlx::query_scalar(sql);
    for key in keys {
        query = query.bind((*key).to_owned());
    }
    let names: Vec<String> = query.fetch_all(&mut **write).await?;
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = if names.len() > SHOWN { ", and more" } else { "" };
    let plural = if names.len() == 1 { "" } else { "s" };
    Err(Error::conflict(format!(
        "the {what} is still in use by the {user}{plural} {}{more}",
        shown.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_begins_only_if_there_is_one() {
        let all = |items: Vec<u32>, limit| next(items, limit, ToString::to_string);
        assert_eq!(all(vec![1, 2, 3], 2).next.as_deref(), Some("2"));
        assert_eq!(all(vec![1, 2], 2).next, None);
        assert_eq!(all(vec![], 2).next, None);
    }
}
