//! `postern organization …`

use clap::Subcommand;
use postern_api::{CreateOrganization, ListQuery, Organization};
use postern_domain::Name;

use crate::args::Reference;
use crate::noun::{all, id};
use crate::output::{Output, Show, lines};
use crate::remote::Remote;

/// What can be done with organizations.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make an organization; prints its first owner's credential, once.
    Create {
        /// Its name.
        name: Name,
    },
    /// List organizations.
    List,
    /// Show one.
    Show {
        /// Its name or id.
        organization: Reference,
    },
    /// Delete one, if nothing is left in it.
    Delete {
        /// Its name or id.
        organization: Reference,
    },
}

impl Show for Organization {
    const HEADS: &'static [&'static str] = &["id", "name", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.to_string(),
            self.created.to_string(),
        ]
    }
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    let page = async |query: &ListQuery| api.list_organizations(token, query).await;
    let find = async |what: &Reference| id("organization", what, |o: &Organization| o.id, page).await;
    match verb {
        Verb::Create { name } => {
            let created = api
                .create_organization(token, &CreateOrganization { name })
                .await?;
            let text = lines(&[
                (
                    "organization",
                    format!("{} ({})", created.organization.name, created.organization.id),
                ),
                ("owner's client id", created.owner.client_id.clone()),
                (
                    "owner's client secret",
                    created.owner.client_secret.expose().clone(),
                ),
            ]);
            out.say(
                &created,
                &format!("{text}The secret is shown only now. Hand both to whoever runs the organization."),
            )
        }
        Verb::List => out.list(&all(page).await?),
        Verb::Show { organization } => {
            out.one(&api.get_organization(token, find(&organization).await?).await?)
        }
        Verb::Delete { organization } => {
            Ok(api.delete_organization(token, find(&organization).await?).await?)
        }
    }
}
