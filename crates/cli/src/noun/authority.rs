//! `postern authority …`: the public parts of the hierarchy.

use clap::Subcommand;
use postern_api::{Authority, AuthorityKind};
use postern_domain::AuthorityId;

use crate::noun::all;
use crate::output::{Output, Show};
use crate::remote::Remote;

/// What can be done with authorities.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List authorities.
    List,
    /// Show one, with its certificate or public key.
    Show {
        /// Its id.
        authority: AuthorityId,
        /// Print the certificate (PEM) or public key (OpenSSH) and nothing else.
        #[arg(long)]
        public: bool,
    },
}

/// An authority as a row; its certificate would not fit.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
struct Row(Authority);

fn kind(kind: AuthorityKind) -> &'static str {
    match kind {
        AuthorityKind::X509 => "x509",
        AuthorityKind::Ssh => "ssh",
        AuthorityKind::Signature => "signature",
    }
}

impl Show for Row {
    const HEADS: &'static [&'static str] = &["id", "title", "kind", "key", "valid until"];

    fn cells(&self) -> Vec<String> {
        let Self(authority) = self;
        vec![
            authority.id.to_string(),
            authority.title.clone(),
            kind(authority.kind).into(),
            authority.key.to_string(),
            authority
                .validity
                .map_or_else(|| "-".into(), |validity| validity.not_after.to_string()),
        ]
    }
}

impl Show for Authority {
    const HEADS: &'static [&'static str] = &["id", "title", "owner", "kind", "key", "valid until", "public"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.title.clone(),
            self.owner.to_string(),
            kind(self.kind).into(),
            self.key.to_string(),
            self.validity
                .map_or_else(|| "-".into(), |validity| validity.not_after.to_string()),
            self.public.clone(),
        ]
    }
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::List => {
            let rows: Vec<Row> = all(async |query| api.list_authorities(token, query).await)
                .await?
                .into_iter()
                .map(Row)
                .collect();
            out.list(&rows)
        }
        Verb::Show { authority, public } => {
            let authority = api.get_authority(token, authority).await?;
            if public {
                out.say(&authority.public, authority.public.trim_end())
            } else {
                out.one(&authority)
            }
        }
    }
}
