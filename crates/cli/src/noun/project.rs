//! `postern project …`

use clap::Subcommand;
use postern_api::{CreateProject, ListQuery, Member, Project};
use postern_domain::{Name, ProjectId};

use crate::args::Reference;
use crate::noun::{all, id, identity};
use crate::output::{Output, Show};
use crate::remote::Remote;

/// What can be done with projects.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a project.
    Create {
        /// Its name.
        name: Name,
    },
    /// List projects.
    List,
    /// Show one.
    Show {
        /// Its name or id.
        project: Reference,
    },
    /// Delete one, if nothing is left in it.
    Delete {
        /// Its name or id.
        project: Reference,
    },
    /// Let an identity open sessions in a project.
    AddMember {
        /// The project's name or id.
        project: Reference,
        /// The identity's name or id.
        identity: Reference,
    },
    /// Take an identity out of a project.
    RemoveMember {
        /// The project's name or id.
        project: Reference,
        /// The identity's name or id.
        identity: Reference,
    },
    /// List the members of a project.
    Members {
        /// The project's name or id.
        project: Reference,
    },
}

impl Show for Project {
    const HEADS: &'static [&'static str] = &["id", "name", "created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.to_string(),
            self.created.to_string(),
        ]
    }
}

impl Show for Member {
    const HEADS: &'static [&'static str] = &["identity", "name"];

    fn cells(&self) -> Vec<String> {
        vec![self.identity.to_string(), self.name.to_string()]
    }
}

/// Finds a project's id.
pub(crate) async fn find(remote: &Remote, what: &Reference) -> anyhow::Result<ProjectId> {
    let page = async |query: &ListQuery| remote.api.list_projects(&remote.token, query).await;
    id("project", what, |project: &Project| project.id, page).await
}

/// Does it.
pub(crate) async fn run(verb: Verb, remote: &Remote, out: Output) -> anyhow::Result<()> {
    let Remote { api, token } = remote;
    match verb {
        Verb::Create { name } => out.one(&api.create_project(token, &CreateProject { name }).await?),
        Verb::List => out.list(&all(async |query| api.list_projects(token, query).await).await?),
        Verb::Show { project } => out.one(&api.get_project(token, find(remote, &project).await?).await?),
        Verb::Delete { project } => Ok(api.delete_project(token, find(remote, &project).await?).await?),
        Verb::AddMember { project, identity } => {
            let project = find(remote, &project).await?;
            Ok(api
                .add_member(token, project, identity::find(remote, &identity).await?)
                .await?)
        }
        Verb::RemoveMember { project, identity } => {
            let project = find(remote, &project).await?;
            Ok(api
                .remove_member(token, project, identity::find(remote, &identity).await?)
                .await?)
        }
        Verb::Members { project } => {
            let id = find(remote, &project).await?;
            out.list(&all(async |query| api.list_members(token, id, query).await).await?)
        }
    }
}
