//! `postern identity …`

use clap::{Subcommand, ValueEnum};
use postern_api::{ClientSecret, CreateIdentity, Identity, ListQuery, Role};
use postern_domain::{ClientSecretId, MachineIdentityId, Name};

use crate::args::Reference;
use crate::noun::{all, id};
use crate::output::{Output, Show, lines};
use crate::remote::Remote;

/// What can be done with machine identities.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a machine identity.
    Create {
        /// Its name.
        name: Name,
        /// What it may do.
        #[arg(long, value_enum)]
        role: IdentityRole,
    },
    /// List machine identities.
    List,
    /// Show one.
    Show {
        /// Its name or id.
        identity: Reference,
    },
    /// Delete one; its tokens and secrets end with it.
    Delete {
        /// Its name or id.
        identity: Reference,
    },
    /// Make a client secret, which is shown once.
    CreateSecret {
        /// The identity's name or id.
        identity: Reference,
    },
    /// List an identity's client secrets: never the secrets themselves.
    Secrets {
        /// The identity's name or id.
        identity: Reference,
    },
    /// Delete a client secret.
    DeleteSecret {
        /// The identity's name or id.
        identity: Reference,
        /// The secret's id.
        secret: ClientSecretId,
    },
}

/// The roles that a machine identity can have.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum IdentityRole {
    /// Everything within the organization.
    Owner,
    /// Creates and enrolls gateways.
    Enroller,
    /// Opens sessions in the projects it is a member of.
    Connector,
}

impl From<IdentityRole> for Role {
    fn from(role: IdentityRole) -> Self {
        match role {
            IdentityRole::Owner => Self::Owner,
            IdentityRole::Enroller => Self::Enroller,
            IdentityRole::Connector => Self::Connector,
        }
    }
}

impl Show for Identity {
    const HEADS: &'static [&'static str] = &["id", "name", "role", "client id", "created"];

    fn cells(&self) -> Vec<String> {
        let role = self.role.as_str().to_owned();
        vec![
            self.id.to_string(),
            self.name.to_string(),
            role,
            self.client_id.clone(),
            self.created.to_string(),
        ]
    }
}

impl Show for ClientSecret {
    const HEADS: &'static [&'static str] = &["id", "prefix", "created"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string(), self.prefix.clone(), self.created.to_string()]
    }
}

/// Finds an identity's id.
pub(crate) async fn find(remote: &Remote, what: &Reference) -> anyhow::Result<MachineIdentityId> {
    let page = async |query: &ListQuery| remote.api.list_identities(&remote.token, query).await;
    id("machine identity", what, |identity: &Identity| identity.id, page).await
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::Create { name, role } => out.one(
            &api.create_identity(
                token,
                &CreateIdentity {
                    name,
                    role: role.into(),
                },
            )
            .await?,
        ),
        Verb::List => out.list(&all(async |query| api.list_identities(token, query).await).await?),
        Verb::Show { identity } => out.one(&api.get_identity(token, find(remote, &identity).await?).await?),
        Verb::Delete { identity } => Ok(api.delete_identity(token, find(remote, &identity).await?).await?),
        Verb::CreateSecret { identity } => {
            let id = find(remote, &identity).await?;
            let created = api.create_client_secret(token, id).await?;
            let text = lines(&[
                ("client id", created.client_id.clone()),
                ("client secret", created.client_secret.expose().clone()),
            ]);
            out.say(&created, &format!("{text}The secret is shown only now."))
        }
        Verb::Secrets { identity } => {
            let id = find(remote, &identity).await?;
            out.list(&all(async |query| api.list_client_secrets(token, id, query).await).await?)
        }
        Verb::DeleteSecret { identity, secret } => {
            let id = find(remote, &identity).await?;
            Ok(api.delete_client_secret(token, id, secret).await?)
        }
    }
}
