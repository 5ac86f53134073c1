//! `postern resource …`

use anyhow::{Context as _, bail};
use clap::Subcommand;
use postern_api::{CreateResource, ListQuery, Resource};
use postern_domain::{Name, ProjectId, Protocol, ResourceId, Target};

use crate::args::Reference;
use crate::noun::{all, gateway, project};
use crate::output::{Output, Show};
use crate::remote::Remote;

/// What can be done with resources.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Approve a target as a resource.
    Create {
        /// Its name.
        name: Name,
        /// The project it belongs to, by name or id.
        #[arg(long)]
        project: Reference,
        /// The gateway it lies behind, by name or id.
        #[arg(long)]
        gateway: Reference,
        /// What the gateway dials.
        #[arg(long, value_name = "HOST:PORT")]
        target: Target,
        /// What it speaks: tcp, postgres, ssh, http, https or kubernetes.
        #[arg(long, default_value = "tcp")]
        protocol: Protocol,
        /// A network (CIDR) that the target's name may resolve to; may be given several times.
        #[arg(long = "allowed-network", value_name = "CIDR")]
        allowed_networks: Vec<String>,
    },
    /// List resources.
    List,
    /// Show one.
    Show {
        /// PROJECT/NAME, a name that only one resource has, or an id.
        resource: String,
    },
    /// Delete one; nothing reaches it any more.
    Delete {
        /// PROJECT/NAME, a name that only one resource has, or an id.
        resource: String,
    },
}

impl Show for Resource {
    const HEADS: &'static [&'static str] = &["id", "name", "protocol", "target", "project", "gateway"];

    fn cells(&self) -> Vec<String> {
        let target = Target {
            host: self.host.clone(),
            port: self.port,
        };
        vec![
            self.id.to_string(),
            self.name.to_string(),
            self.protocol.to_string(),
            target.to_string(),
            self.project.to_string(),
            self.gateway.to_string(),
        ]
    }
}

/// Finds a resource by PROJECT/NAME, by a name that only one has, or by id.
pub(crate) async fn find(remote: &Remote, what: &str) -> anyhow::Result<Resource> {
    if let Ok(id) = what.parse::<ResourceId>() {
        return Ok(remote.api.get_resource(&remote.token, id).await?);
    }
    let (within, name) = match what.split_once('/') {
        Some((within, name)) => (
            Some(within.parse::<Reference>().map_err(anyhow::Error::msg)?),
            name,
        ),
        None => (None, what),
    };
    let name: Name = name.parse().context("the resource's name")?;
    let project: Option<ProjectId> = match within {
        Some(within) => Some(project::find(remote, &within).await?),
        None => None,
    };
    let query = ListQuery {
        name: Some(name.to_string()),
        limit: Some(500),
        after: None,
    };
    let mut found = remote.api.list_resources(&remote.token, &query).await?.items;
    found.retain(|resource| project.is_none_or(|project| resource.project == project));
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(crate::exit::NotFound).with_context(|| format!("there is no resource {what}")),
        (Some(_), false) => bail!("several resources are named {name}: give PROJECT/{name} or the id"),
    }
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::Create {
            name,
            project: within,
            gateway: behind,
            target,
            protocol,
            allowed_networks,
        } => {
            let project = project::find(remote, &within).await?;
            let gateway = gateway::find(remote, &behind).await?;
            let Target { host, port } = target;
            let request = CreateResource {
                name,
                project,
                gateway,
                host,
                port,
                protocol,
                allowed_networks,
            };
            out.one(&api.create_resource(token, &request).await?)
        }
        Verb::List => out.list(&all(async |query| api.list_resources(token, query).await).await?),
        Verb::Show { resource } => out.one(&find(remote, &resource).await?),
        Verb::Delete { resource } => {
            let id = find(remote, &resource).await?.id;
            Ok(api.delete_resource(token, id).await?)
        }
    }
}
