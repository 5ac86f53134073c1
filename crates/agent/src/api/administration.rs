//! Organizations, projects and their members, machine identities and their client secrets.

use http::Method;
use postern_api::{
    ClientSecret, CreateIdentity, CreateOrganization, CreateProject, CreatedClientSecret,
    CreatedOrganization, Identity, List, ListQuery, Member, Organization, Project,
};
use postern_domain::{ClientSecretId, MachineIdentityId, OrganizationId, ProjectId, Secret};

use super::{Api, NoBody};
use crate::error::ApiError;

impl Api {
    /// `POST /organizations`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_organization(
        &self,
        token: &Secret<String>,
        new: &CreateOrganization,
    ) -> Result<CreatedOrganization, ApiError> {
        self.post(Some(token), "/organizations", new).await
    }

    /// `GET /organizations`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_organizations(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Organization>, ApiError> {
        self.list(token, "/organizations", query).await
    }

    /// `GET /organizations/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_organization(
        &self,
        token: &Secret<String>,
        id: OrganizationId,
    ) -> Result<Organization, ApiError> {
        self.get(token, &format!("/organizations/{id}")).await
    }

    /// `DELETE /organizations/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_organization(
        &self,
        token: &Secret<String>,
        id: OrganizationId,
    ) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/organizations/{id}"))
            .await
    }

    /// `POST /projects`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_project(
        &self,
        token: &Secret<String>,
        new: &CreateProject,
    ) -> Result<Project, ApiError> {
        self.post(Some(token), "/projects", new).await
    }

    /// `GET /projects`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_projects(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Project>, ApiError> {
        self.list(token, "/projects", query).await
    }

    /// `GET /projects/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_project(&self, token: &Secret<String>, id: ProjectId) -> Result<Project, ApiError> {
        self.get(token, &format!("/projects/{id}")).await
    }

    /// `DELETE /projects/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_project(&self, token: &Secret<String>, id: ProjectId) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/projects/{id}"))
            .await
    }

    /// `GET /projects/{id}/members`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_members(
        &self,
        token: &Secret<String>,
        id: ProjectId,
        query: &ListQuery,
    ) -> Result<List<Member>, ApiError> {
        self.list(token, &format!("/projects/{id}/members"), query).await
    }

    /// `PUT /projects/{id}/members/{identity}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn add_member(
        &self,
        token: &Secret<String>,
        id: ProjectId,
        identity: MachineIdentityId,
    ) -> Result<(), ApiError> {
        self.effect(token, Method::PUT, &format!("/projects/{id}/members/{identity}"))
            .await
    }

    /// `DELETE /projects/{id}/members/{identity}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn remove_member(
        &self,
        token: &Secret<String>,
        id: ProjectId,
        identity: MachineIdentityId,
    ) -> Result<(), ApiError> {
        self.effect(
            token,
            Method::DELETE,
            &format!("/projects/{id}/members/{identity}"),
        )
        .await
    }

    /// `POST /identities`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_identity(
        &self,
        token: &Secret<String>,
        new: &CreateIdentity,
    ) -> Result<Identity, ApiError> {
        self.post(Some(token), "/identities", new).await
    }

    /// `GET /identities`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_identities(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Identity>, ApiError> {
        self.list(token, "/identities", query).await
    }

    /// `GET /identities/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_identity(
        &self,
        token: &Secret<String>,
        id: MachineIdentityId,
    ) -> Result<Identity, ApiError> {
        self.get(token, &format!("/identities/{id}")).await
    }

    /// `DELETE /identities/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_identity(
        &self,
        token: &Secret<String>,
        id: MachineIdentityId,
    ) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/identities/{id}"))
            .await
    }

    /// `POST /identities/{id}/client-secrets`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_client_secret(
        &self,
        token: &Secret<String>,
        id: MachineIdentityId,
    ) -> Result<CreatedClientSecret, ApiError> {
        self.post(
            Some(token),
            &format!("/identities/{id}/client-secrets"),
            &NoBody {},
        )
        .await
    }

    /// `GET /identities/{id}/client-secrets`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_client_secrets(
        &self,
        token: &Secret<String>,
        id: MachineIdentityId,
        query: &ListQuery,
    ) -> Result<List<ClientSecret>, ApiError> {
        self.list(token, &format!("/identities/{id}/client-secrets"), query)
            .await
    }

    /// `DELETE /identities/{id}/client-secrets/{secret}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_client_secret(
        &self,
        token: &Secret<String>,
        id: MachineIdentityId,
        secret: ClientSecretId,
    ) -> Result<(), ApiError> {
        self.effect(
            token,
            Method::DELETE,
            &format!("/identities/{id}/client-secrets/{secret}"),
        )
        .await
    }
}
