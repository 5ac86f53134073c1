//! `postern gateway …`

use clap::Subcommand;
use postern_api::{CreateGateway, Gateway, ListQuery};
use postern_domain::{GatewayId, Name};

use crate::args::Reference;
use crate::noun::relay::{self, show_token, yes_no};
use crate::noun::{all, id, project};
use crate::output::{Output, Show};
use crate::remote::Remote;

/// What can be done with gateways.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a gateway; then run `postern-gateway enroll` on its host with a token.
    Create {
        /// Its name.
        name: Name,
        /// Its relays in order, by name or id, one to three; absent: the platform assigns one.
        #[arg(long = "relay", value_name = "RELAY")]
        relays: Vec<Reference>,
    },
    /// List gateways.
    List,
    /// Show one.
    Show {
        /// Its name or id.
        gateway: Reference,
    },
    /// Delete one; its certificates are revoked.
    Delete {
        /// Its name or id.
        gateway: Reference,
    },
    /// Make a one-time enrollment token for a gateway.
    Token {
        /// Its name or id.
        gateway: Reference,
    },
    /// Map a gateway to a project, so that it may serve the project's resources.
    Map {
        /// The gateway's name or id.
        gateway: Reference,
        /// The project's name or id.
        project: Reference,
    },
    /// Take a gateway out of a project.
    Unmap {
        /// The gateway's name or id.
        gateway: Reference,
        /// The project's name or id.
        project: Reference,
    },
    /// List the projects that a gateway is mapped to.
    Projects {
        /// The gateway's name or id.
        gateway: Reference,
    },
}

impl Show for Gateway {
    const HEADS: &'static [&'static str] = &["id", "name", "relays", "projects", "enrolled", "last seen"];

    fn cells(&self) -> Vec<String> {
        let ids = |ids: Vec<String>| {
            if ids.is_empty() {
                "none".into()
            } else {
                ids.join(" ")
            }
        };
        vec![
            self.id.to_string(),
            self.name.to_string(),
            ids(self.relays.iter().map(ToString::to_string).collect()),
            ids(self.projects.iter().map(ToString::to_string).collect()),
            yes_no(self.enrolled),
            self.last_seen
                .map_or_else(|| "never".into(), |time| time.to_string()),
        ]
    }
}

/// Finds a gateway's id.
pub(crate) async fn find(remote: &Remote, what: &Reference) -> anyhow::Result<GatewayId> {
    let page = async |query: &ListQuery| remote.api.list_gateways(&remote.token, query).await;
    id("gateway", what, |gateway: &Gateway| gateway.id, page).await
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::Create { name, relays } => {
            let mut ids = Vec::with_capacity(relays.len());
            for what in &relays {
                ids.push(relay::find(remote, what).await?);
            }
            out.one(
                &api.create_gateway(token, &CreateGateway { name, relays: ids })
                    .await?,
            )
        }
        Verb::List => out.list(&all(async |query| api.list_gateways(token, query).await).await?),
        Verb::Show { gateway } => out.one(&api.get_gateway(token, find(remote, &gateway).await?).await?),
        Verb::Delete { gateway } => Ok(api.delete_gateway(token, find(remote, &gateway).await?).await?),
        Verb::Token { gateway } => {
            let ticket = api
                .create_gateway_token(token, find(remote, &gateway).await?)
                .await?;
            show_token(&ticket, "postern-gateway", out)
        }
        Verb::Map { gateway, project } => {
            let gateway = find(remote, &gateway).await?;
            Ok(api
                .map_gateway(token, gateway, project::find(remote, &project).await?)
                .await?)
        }
        Verb::Unmap { gateway, project } => {
            let gateway = find(remote, &gateway).await?;
            Ok(api
                .unmap_gateway(token, gateway, project::find(remote, &project).await?)
                .await?)
        }
        Verb::Projects { gateway } => {
            let id = find(remote, &gateway).await?;
            out.list(&all(async |query| api.list_gateway_projects(token, id, query).await).await?)
        }
    }
}
