//! The nouns, one file for each: its verbs, what they send, what they show.

pub mod authority;
pub mod gateway;
pub mod identity;
pub mod organization;
pub mod project;
pub mod relay;
pub mod resource;
pub mod session;

use std::str::FromStr;

use anyhow::{Context as _, anyhow, bail};
use postern_agent::ApiError;
use postern_api::{List, ListQuery};

use crate::args::Reference;

/// Finds the id of something by its name or id, among what the platform lists under that name.
pub(crate) async fn id<T, I: FromStr>(
    noun: &str,
    what: &Reference,
    id_of: impl Fn(&T) -> I,
    page: impl AsyncFn(&ListQuery) -> Result<List<T>, ApiError>,
) -> anyhow::Result<I> {
    let name = match what {
        Reference::Id(id) => return id.parse().map_err(|_| anyhow!("{id} is not the id of a {noun}")),
        Reference::Name(name) => name,
    };
    let query = ListQuery {
        name: Some(name.to_string()),
        ..ListQuery::default()
    };
    match page(&query).await?.items.as_slice() {
        [one] => Ok(id_of(one)),
        [] => Err(crate::exit::NotFound).with_context(|| format!("there is no {noun} named {name}")),
        _ => bail!("several are named {name}: give the id"),
    }
}

/// Lists everything, page by page.
pub(crate) async fn all<T>(
    page: impl AsyncFn(&ListQuery) -> Result<List<T>, ApiError>,
) -> anyhow::Result<Vec<T>> {
    let mut items = Vec::new();
    let mut query = ListQuery {
        limit: Some(500),
        ..ListQuery::default()
    };
    loop {
        let found = page(&query).await?;
        items.extend(found.items);
        match found.next {
            Some(next) => query.after = Some(next),
            None => return Ok(items),
        }
    }
}
