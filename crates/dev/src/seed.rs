//! What a fresh stack is filled with: organization `acme`, project `demo`, a gateway, an identity that may connect.

use std::sync::Arc;

use anyhow::Context as _;
use postern_api::{
    CreateGateway, CreateIdentity, CreateOrganization, CreateProject, CreateResource, ListQuery, Resource,
    Role,
};
use postern_domain::{GatewayId, Name, ProjectId, Protocol, Secret, Target};

use crate::kept::Credential;
use crate::login::Login;
use crate::stack::Stack;

/// The organization's name.
pub const ORGANIZATION: &str = "acme";
/// The project's name.
pub const PROJECT: &str = "demo";
/// The gateway's name.
pub const GATEWAY: &str = "gateway";
/// The name of the identity that connects.
pub const DEVELOPER: &str = "developer";

/// A stack that has something in it.
#[derive(Debug)]
pub struct Seeded {
    /// The organization's owner.
    pub owner: Login,
    /// The identity that connects: a member of the project, and nothing else.
    pub developer: Arc<Login>,
    /// The project.
    pub project: ProjectId,
    /// The gateway.
    pub gateway: GatewayId,
}

/// A target and how it is to be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The resource's name.
    pub name: Name,
    /// What to dial.
    pub target: Target,
    /// What it speaks.
    pub protocol: Protocol,
}

impl Seeded {
    /// Makes what is not there yet, and starts the gateway.
    ///
    /// # Errors
    /// The platform refused something, or the gateway got no tunnel.
    pub async fn make(stack: &mut Stack, resources: &[Wanted]) -> anyhow::Result<Self> {
        let owner = match stack.kept.owner.clone() {
            Some(owner) => owner,
            None => {
                let admin = stack.administrator().await?;
                let new = CreateOrganization {
                    name: ORGANIZATION.parse()?,
                };
                let made = stack.api.create_organization(&admin, &new).await?.owner;
                Credential {
                    client_id: made.client_id,
                    client_secret: made.client_secret,
                }
            }
        };
        stack.kept.owner = Some(owner.clone());
        let owner = Login::new(stack.api.clone(), owner);
        let token = owner.token().await?;
        let project = match named(async |q| stack.api.list_projects(&token, q).await, PROJECT).await? {
            Some(project) => project.id,
            None => {
                stack
                    .api
                    .create_project(
                        &token,
                        &CreateProject {
                            name: PROJECT.parse()?,
                        },
                    )
                    .await?
                    .id
            }
        };
        let developer = match stack.kept.developer.clone() {
            Some(developer) => developer,
            None => make_developer(stack, &token, project).await?,
        };
        stack.kept.developer = Some(developer.clone());
        let name: Name = GATEWAY.parse()?;
        let gateway = match named(async |q| stack.api.list_gateways(&token, q).await, GATEWAY).await? {
            Some(gateway) => gateway.id,
            None => {
                let new = CreateGateway {
                    name: name.clone(),
                    relays: vec![stack.relay],
                };
                stack.api.create_gateway(&token, &new).await?.id
            }
        };
        stack.api.map_gateway(&token, gateway, project).await?;
        let seeded = Self {
            owner,
            developer: Arc::new(Login::new(stack.api.clone(), developer)),
            project,
            gateway,
        };
        // What is approved before the gateway starts, it knows from its first snapshot.
        for wanted in resources {
            seeded.approve(wanted).await?;
        }
        let ticket = if stack.kept.gateway_enrolled {
            None
        } else {
            Some(stack.api.create_gateway_token(&token, gateway).await?)
        };
        stack.start_gateway(&name, ticket.as_ref()).await?;
        stack.kept.gateway_enrolled = true;
        stack.kept.save(stack.directory())?;
        Ok(seeded)
    }

    /// Approves a target, unless it is approved already; one of the same name with another target is replaced.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn approve(&self, wanted: &Wanted) -> anyhow::Result<Resource> {
        let (api, token) = (self.owner.api(), self.owner.token().await?);
        let Wanted {
            name,
            target,
            protocol,
        } = wanted;
        if let Some(found) = named(async |q| api.list_resources(&token, q).await, name.as_str()).await? {
            if found.host == target.host && found.port == target.port && found.protocol == *protocol {
                return Ok(found);
            }
            api.delete_resource(&token, found.id).await?;
        }
        let new = CreateResource {
            name: name.clone(),
            project: self.project,
            gateway: self.gateway,
            host: target.host.clone(),
            port: target.port,
            protocol: *protocol,
            allowed_networks: Vec::new(),
        };
        api.create_resource(&token, &new)
            .await
            .with_context(|| format!("resource {name}"))
    }
}

async fn make_developer(
    stack: &Stack,
    token: &Secret<String>,
    project: ProjectId,
) -> anyhow::Result<Credential> {
    let new = CreateIdentity {
        name: DEVELOPER.parse()?,
        role: Role::Connector,
    };
    let identity = stack.api.create_identity(token, &new).await?;
    stack.api.add_member(token, project, identity.id).await?;
    let secret = stack.api.create_client_secret(token, identity.id).await?;
    Ok(Credential {
        client_id: secret.client_id,
        client_secret: secret.client_secret,
    })
}

async fn named<T>(
    list: impl AsyncFn(&ListQuery) -> Result<postern_api::List<T>, postern_agent::ApiError>,
    name: &str,
) -> anyhow::Result<Option<T>> {
    let query = ListQuery {
        name: Some(name.into()),
        ..ListQuery::default()
    };
    Ok(list(&query).await?.items.pop())
}
