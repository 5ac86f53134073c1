//! Relays, gateways, resources, sessions and authorities.

use http::Method;
use postern_api::{
    Authority, CreateGateway, CreateRelay, CreateResource, CreateSession, EnrollmentToken, Gateway, List,
    ListQuery, Project, Relay, Resource, Session, SessionGranted,
};
use postern_domain::{AuthorityId, GatewayId, ProjectId, RelayId, ResourceId, Secret, SessionId};

use super::{Api, NoBody};
use crate::error::ApiError;

impl Api {
    /// `POST /relays`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_relay(&self, token: &Secret<String>, new: &CreateRelay) -> Result<Relay, ApiError> {
        self.post(Some(token), "/relays", new).await
    }

    /// `GET /relays`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_relays(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Relay>, ApiError> {
        self.list(token, "/relays", query).await
    }

    /// `GET /relays/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_relay(&self, token: &Secret<String>, id: RelayId) -> Result<Relay, ApiError> {
        self.get(token, &format!("/relays/{id}")).await
    }

    /// `DELETE /relays/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_relay(&self, token: &Secret<String>, id: RelayId) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/relays/{id}")).await
    }

    /// `POST /relays/{id}/enrollment-tokens`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_relay_token(
        &self,
        token: &Secret<String>,
        id: RelayId,
    ) -> Result<EnrollmentToken, ApiError> {
        self.post(
            Some(token),
            &format!("/relays/{id}/enrollment-tokens"),
            &NoBody {},
        )
        .await
    }

    /// `POST /gateways`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_gateway(
        &self,
        token: &Secret<String>,
        new: &CreateGateway,
    ) -> Result<Gateway, ApiError> {
        self.post(Some(token), "/gateways", new).await
    }

    /// `GET /gateways`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_gateways(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Gateway>, ApiError> {
        self.list(token, "/gateways", query).await
    }

    /// `GET /gateways/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_gateway(&self, token: &Secret<String>, id: GatewayId) -> Result<Gateway, ApiError> {
        self.get(token, &format!("/gateways/{id}")).await
    }

    /// `DELETE /gateways/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_gateway(&self, token: &Secret<String>, id: GatewayId) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/gateways/{id}"))
            .await
    }

    /// `POST /gateways/{id}/enrollment-tokens`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_gateway_token(
        &self,
        token: &Secret<String>,
        id: GatewayId,
    ) -> Result<EnrollmentToken, ApiError> {
        self.post(
            Some(token),
            &format!("/gateways/{id}/enrollment-tokens"),
            &NoBody {},
        )
        .await
    }

    /// `GET /gateways/{id}/projects`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_gateway_projects(
        &self,
        token: &Secret<String>,
        id: GatewayId,
        query: &ListQuery,
    ) -> Result<List<Project>, ApiError> {
        self.list(token, &format!("/gateways/{id}/projects"), query).await
    }

    /// `PUT /gateways/{id}/projects/{project}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn map_gateway(
        &self,
        token: &Secret<String>,
        id: GatewayId,
        project: ProjectId,
    ) -> Result<(), ApiError> {
        self.effect(token, Method::PUT, &format!("/gateways/{id}/projects/{project}"))
            .await
    }

    /// `DELETE /gateways/{id}/projects/{project}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn unmap_gateway(
        &self,
        token: &Secret<String>,
        id: GatewayId,
        project: ProjectId,
    ) -> Result<(), ApiError> {
        self.effect(
            token,
            Method::DELETE,
            &format!("/gateways/{id}/projects/{project}"),
        )
        .await
    }

    /// `POST /resources`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_resource(
        &self,
        token: &Secret<String>,
        new: &CreateResource,
    ) -> Result<Resource, ApiError> {
        self.post(Some(token), "/resources", new).await
    }

    /// `GET /resources`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_resources(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Resource>, ApiError> {
        self.list(token, "/resources", query).await
    }

    /// `GET /resources/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_resource(&self, token: &Secret<String>, id: ResourceId) -> Result<Resource, ApiError> {
        self.get(token, &format!("/resources/{id}")).await
    }

    /// `DELETE /resources/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_resource(&self, token: &Secret<String>, id: ResourceId) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/resources/{id}"))
            .await
    }

    /// `POST /sessions`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn create_session(
        &self,
        token: &Secret<String>,
        new: &CreateSession,
    ) -> Result<SessionGranted, ApiError> {
        self.post(Some(token), "/sessions", new).await
    }

    /// `GET /sessions`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_sessions(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Session>, ApiError> {
        self.list(token, "/sessions", query).await
    }

    /// `GET /sessions/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_session(&self, token: &Secret<String>, id: SessionId) -> Result<Session, ApiError> {
        self.get(token, &format!("/sessions/{id}")).await
    }

    /// `DELETE /sessions/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn delete_session(&self, token: &Secret<String>, id: SessionId) -> Result<(), ApiError> {
        self.effect(token, Method::DELETE, &format!("/sessions/{id}"))
            .await
    }

    /// `GET /authorities`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn list_authorities(
        &self,
        token: &Secret<String>,
        query: &ListQuery,
    ) -> Result<List<Authority>, ApiError> {
        self.list(token, "/authorities", query).await
    }

    /// `GET /authorities/{id}`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn get_authority(
        &self,
        token: &Secret<String>,
        id: AuthorityId,
    ) -> Result<Authority, ApiError> {
        self.get(token, &format!("/authorities/{id}")).await
    }
}
