//! From the policy document, as the platform sends it, to the policy that streams are judged by.

use std::collections::HashMap;

use postern_api::GatewayPolicy;
use postern_domain::Target;
use postern_session::{ApprovedResource, Policy};

/// A policy document does not say what a gateway needs.
#[derive(Debug, thiserror::Error)]
#[error("the platform's policy document: {0}")]
pub struct PolicyError(String);

/// Reads a policy document. A resource with a network that does not parse makes the whole document unusable:
/// leaving the network out would widen what the resource may resolve to.
///
/// # Errors
/// Names the resource and the network.
pub(crate) fn read(document: &GatewayPolicy) -> Result<Policy, PolicyError> {
    let mut projects = HashMap::with_capacity(document.projects.len());
    for project in &document.projects {
        let mut resources = HashMap::with_capacity(project.resources.len());
        for resource in &project.resources {
            let networks = resource.allowed_networks.iter().map(|text| text.parse());
            let allowed_networks = networks
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| PolicyError(format!("resource {}: {error}", resource.id)))?;
            let approved = ApprovedResource {
                name: resource.name.clone(),
                target: Target {
                    host: resource.host.clone(),
                    port: resource.port,
                },
                protocol: resource.protocol,
                allowed_networks,
            };
            resources.insert(resource.id, approved);
        }
        projects.insert(project.id, resources);
    }
    let ended = document.ended_sessions.iter().copied().collect();
    Ok(Policy {
        organization: document.organization,
        gateway: document.id,
        projects,
        ended,
    })
}
