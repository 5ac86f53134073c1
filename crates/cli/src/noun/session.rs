//! `postern session …`; a session is made by `postern connect`.

use clap::Subcommand;
use postern_api::Session;
use postern_domain::SessionId;

use crate::noun::all;
use crate::output::{Output, Show};
use crate::remote::Remote;

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List sessions.
    List,
    /// Show one.
    Show {
        /// Its id.
        session: SessionId,
    },
    /// End one.
    Delete {
        /// Its id.
        session: SessionId,
    },
}

impl Show for Session {
    const HEADS: &'static [&'static str] = &[
        "id",
        "actor",
        "gateway",
        "resources",
        "created",
        "expires",
        "ended",
    ];

    fn cells(&self) -> Vec<String> {
        let resources: Vec<String> = self.resources.iter().map(ToString::to_string).collect();
        vec![
            self.id.to_string(),
            self.actor.to_string(),
            self.gateway.to_string(),
            resources.join(" "),
            self.created.to_string(),
            self.expires.to_string(),
            self.ended.map_or_else(|| "no".into(), |time| time.to_string()),
        ]
    }
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::List => out.list(&all(async |query| api.list_sessions(token, query).await).await?),
        Verb::Show { session } => out.one(&api.get_session(token, session).await?),
        Verb::Delete { session } => Ok(api.delete_session(token, session).await?),
    }
}
