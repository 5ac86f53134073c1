//! The HTTP client: connections, deadlines, caps, errors, and the path of every endpoint.

use std::time::Duration;

use http::StatusCode;
use postern_agent::{Api, ApiError, Deadlines, PlatformAddress};
use postern_api::{
    CreateGateway, CreateIdentity, CreateOrganization, CreateProject, CreateRelay, CreateResource,
    CreateSession, ListQuery, PasswordLogin, Role, UniversalLogin,
};
use postern_domain::{
    AuthorityId, ClientSecretId, GatewayId, MachineIdentityId, OrganizationId, Pin, ProjectId, Protocol,
    Reason, RelayId, ResourceId, Secret, SessionId,
};
use tokio::net::TcpListener;

use crate::platform::{Fault, NOW, Platform, problem_body};

fn token() -> Secret<String> {
    Secret::new("token-0".into())
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let platform = Platform::start().await;
    let api = platform.api();
    for _ in 0..20 {
        api.server_time().await.unwrap().1.unwrap();
    }
    assert_eq!(platform.state().connections, 1);
    assert_eq!(platform.seen("GET /api/v1/time"), 20);
}

#[tokio::test]
async fn concurrent_requests_use_few_connections() {
    let platform = Platform::start().await;
    let api = platform.api();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let api = api.clone();
        asking.spawn(async move { api.server_time().await.unwrap().1.unwrap() });
    }
    asking.join_all().await;
    assert_eq!(platform.seen("GET /api/v1/time"), 50);
    // Eight requests are under way at once, and four connections are kept: never one for each request.
    assert!(
        platform.state().connections <= 30,
        "{}",
        platform.state().connections
    );
}

#[tokio::test]
async fn a_connection_that_the_platform_ended_is_replaced() {
    let platform = Platform::start().await;
    let api = platform.api();
    for _ in 0..3 {
        platform.fault(Fault::HangUpAfter);
        api.server_time().await.unwrap().1.unwrap();
    }
    api.server_time().await.unwrap().1.unwrap();
    assert_eq!(platform.seen("GET /api/v1/time"), 4);
    assert_eq!(platform.state().connections, 4);
}

#[tokio::test]
async fn refuses_a_platform_whose_key_is_not_pinned() {
    let platform = Platform::start().await;
    for pins in [vec![], vec![Pin::from_digest([7; 32])]] {
        let address = PlatformAddress {
            pins,
            ..platform.address.clone()
        };
        let error = Api::new(address, platform.clock.clone())
            .server_time()
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::KeyNotPinned, "{error}");
        assert!(matches!(error, ApiError::Tls { .. }));
    }
    assert_eq!(platform.state().seen.len(), 0);
}

#[tokio::test]
async fn refuses_a_certificate_for_another_host() {
    let platform = Platform::start().await;
    let mut address = platform.address.clone();
    address.target = format!("localhost:{}", address.target.port).parse().unwrap();
    let error = Api::new(address, platform.clock.clone())
        .server_time()
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::WrongName, "{error}");
}

#[tokio::test]
async fn an_announced_pin_is_believed_and_an_empty_set_is_not() {
    let platform = Platform::start().await;
    let api = platform.api();
    api.announce_pins(&[]);
    api.server_time().await.unwrap().1.unwrap();
    api.announce_pins(&[Pin::from_digest([7; 32])]);
    assert_eq!(api.address().pins, [Pin::from_digest([7; 32])]);
}

#[tokio::test]
async fn a_problem_gives_its_code_its_detail_and_its_request() {
    let platform = Platform::start().await;
    let body = problem_body(StatusCode::CONFLICT, "conflict", "the name is taken\u{1b}[2J");
    platform.fault(Fault::Answer(
        StatusCode::CONFLICT,
        "application/problem+json",
        body,
    ));
    let error = platform.api().whoami(&token()).await.unwrap_err();
    let ApiError::Refused {
        status: 409,
        code: Reason::Conflict,
        detail,
        request: Some(_),
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(detail.starts_with("the name is taken\\u{1b}"), "{detail}");
    assert!(error.is_final());
}

#[tokio::test]
async fn what_is_no_problem_is_told_by_its_status() {
    let platform = Platform::start().await;
    let unknown = problem_body(StatusCode::FORBIDDEN, "a_code_of_next_year", "no");
    for (status, body, code, last) in [
        (StatusCode::FORBIDDEN, unknown, Reason::Forbidden, true),
        (
            StatusCode::BAD_GATEWAY,
            b"<html>".to_vec(),
            Reason::Unavailable,
            false,
        ),
        (StatusCode::TOO_MANY_REQUESTS, vec![], Reason::RateLimited, false),
        (StatusCode::INTERNAL_SERVER_ERROR, vec![], Reason::Internal, false),
    ] {
        platform.fault(Fault::Answer(status, "text/html", body));
        let error = platform.api().whoami(&token()).await.unwrap_err();
        assert_eq!((error.reason(), error.is_final()), (code, last), "{error}");
    }
}

#[tokio::test]
async fn follows_no_redirect_and_reads_no_nonsense() {
    let platform = Platform::start().await;
    for (status, body) in [
        (StatusCode::FOUND, &b""[..]),
        (StatusCode::OK, b"{}"),
        (StatusCode::OK, b"<html>"),
    ] {
        platform.fault(Fault::Answer(status, "application/json", body.to_vec()));
        let error = platform.api().whoami(&token()).await.unwrap_err();
        assert!(matches!(error, ApiError::Unreadable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn refuses_an_answer_that_is_too_long() {
    let platform = Platform::start().await;
    let long = vec![b' '; (4 << 20) + 1];
    platform.fault(Fault::Answer(StatusCode::OK, "application/json", long));
    let error = platform.api().whoami(&token()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable { .. }), "{error:?}");
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn gives_up_on_a_silent_platform() {
    let platform = Platform::start().await;
    platform.fault(Fault::Silence);
    let deadlines = Deadlines {
        connect: Duration::from_secs(2),
        request: Duration::from_millis(200),
    };
    let api = Api::with_deadlines(platform.address.clone(), platform.clock.clone(), deadlines);
    let error = api.server_time().await.unwrap_err();
    assert!(
        matches!(
            error,
            ApiError::Timeout {
                deed: "answering",
                ..
            }
        ),
        "{error:?}"
    );
    api.server_time().await.unwrap().1.unwrap();
}

#[tokio::test]
async fn gives_up_on_a_port_that_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (clock, _hand) = postern_transport::Clock::manual(NOW);
    let address = PlatformAddress {
        target: listener.local_addr().unwrap().to_string().parse().unwrap(),
        pins: vec![Pin::from_digest([7; 32])],
    };
    let deadlines = Deadlines {
        connect: Duration::from_millis(100),
        request: Duration::from_secs(2),
    };
    let api = Api::with_deadlines(address.clone(), clock.clone(), deadlines);
    let error = api.server_time().await.unwrap_err();
    assert_eq!(error.reason(), Reason::Unavailable, "{error}");
    assert!(
        matches!(
            error,
            ApiError::Timeout {
                deed: "connecting",
                ..
            }
        ),
        "{error:?}"
    );
    drop(listener);
    let error = api.server_time().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.target.to_string()), "{error}");
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again() {
    let platform = Platform::start().await;
    let api = platform.api();
    api.server_time().await.unwrap().1.unwrap();
    platform.fault(Fault::LoseAnswer);
    let error = api.server_time().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    assert_eq!(platform.seen("GET /api/v1/time"), 2);
}

#[tokio::test]
async fn a_token_with_a_line_feed_is_never_sent() {
    let platform = Platform::start().await;
    let bad = Secret::new("token\r\nx: y".into());
    let error = platform.api().whoami(&bad).await.unwrap_err();
    assert!(matches!(error, ApiError::Unsendable(_)), "{error:?}");
    assert!(!error.to_string().contains("x: y"), "{error}");
    assert_eq!(platform.state().seen.len(), 0);
}

/// Runs each call, which finds nothing here, and holds what the platform saw against what is expected.
macro_rules! asks {
    ($platform:ident: $($call:expr => $expected:expr;)+) => { $(
        $platform.state().seen.clear();
        let error = $call.await.err().expect("nothing is found here");
        assert!(matches!(error, ApiError::Refused { status: 401 | 404, .. }), "{error:?}");
        let expected: String = $expected.into();
        let (method, path) = expected.split_once(' ').unwrap();
        assert_eq!($platform.state().seen, [format!("{method} /api/v1{path}")]);
    )+ };
}

fn name() -> postern_domain::Name {
    "x".parse().unwrap()
}

#[tokio::test]
async fn endpoints_of_administration_are_asked_where_the_api_says() {
    let platform = Platform::start().await;
    let (api, t, all) = (&platform.api(), &token(), &ListQuery::default());
    let (org, project) = (OrganizationId::generate(NOW), ProjectId::generate(NOW));
    let (identity, secret) = (MachineIdentityId::generate(NOW), ClientSecretId::generate(NOW));
    let universal = UniversalLogin {
        client_id: "c".into(),
        client_secret: token(),
    };
    let password = PasswordLogin {
        user: "u".into(),
        password: token(),
    };
    asks! { platform:
        api.log_in_universal(&universal) => "POST /auth/universal";
        api.log_in_password(&password) => "POST /auth/password";
        api.whoami(t) => "GET /whoami";
        api.create_organization(t, &CreateOrganization { name: name() }) => "POST /organizations";
        api.list_organizations(t, all) => "GET /organizations";
        api.get_organization(t, org) => format!("GET /organizations/{org}");
        api.delete_organization(t, org) => format!("DELETE /organizations/{org}");
        api.create_project(t, &CreateProject { name: name() }) => "POST /projects";
        api.list_projects(t, &ListQuery { limit: Some(2), after: None, name: Some("x".into()) })
            => "GET /projects?limit=2&name=x";
        api.get_project(t, project) => format!("GET /projects/{project}");
        api.delete_project(t, project) => format!("DELETE /projects/{project}");
        api.list_members(t, project, all) => format!("GET /projects/{project}/members");
        api.add_member(t, project, identity) => format!("PUT /projects/{project}/members/{identity}");
        api.remove_member(t, project, identity) => format!("DELETE /projects/{project}/members/{identity}");
        api.create_identity(t, &CreateIdentity { name: name(), role: Role::Owner }) => "POST /identities";
        api.list_identities(t, all) => "GET /identities";
        api.get_identity(t, identity) => format!("GET /identities/{identity}");
        api.delete_identity(t, identity) => format!("DELETE /identities/{identity}");
        api.create_client_secret(t, identity) => format!("POST /identities/{identity}/client-secrets");
        api.list_client_secrets(t, identity, all) => format!("GET /identities/{identity}/client-secrets");
        api.delete_client_secret(t, identity, secret)
            => format!("DELETE /identities/{identity}/client-secrets/{secret}");
    }
}

#[tokio::test]
async fn endpoints_of_the_network_are_asked_where_the_api_says() {
    let platform = Platform::start().await;
    let (api, t, all) = (&platform.api(), &token(), &ListQuery::default());
    let (relay, gateway, project) = (
        RelayId::generate(NOW),
        GatewayId::generate(NOW),
        ProjectId::generate(NOW),
    );
    let (resource, session) = (ResourceId::generate(NOW), SessionId::generate(NOW));
    let authority = AuthorityId::generate(NOW);
    let host: postern_domain::Host = "h.example".parse().unwrap();
    let create_relay = CreateRelay {
        name: name(),
        host: host.clone(),
        ssh_port: None,
        tls_port: None,
    };
    let create_resource = CreateResource {
        name: name(),
        project,
        gateway,
        host,
        port: 80.try_into().unwrap(),
        protocol: Protocol::Tcp,
        allowed_networks: vec![],
    };
    let create_session = CreateSession {
        resources: vec![],
        relay_csr: "r".into(),
        gateway_csr: "g".into(),
    };
    asks! { platform:
        api.create_relay(t, &create_relay) => "POST /relays";
        api.list_relays(t, all) => "GET /relays";
        api.get_relay(t, relay) => format!("GET /relays/{relay}");
        api.delete_relay(t, relay) => format!("DELETE /relays/{relay}");
        api.create_relay_token(t, relay) => format!("POST /relays/{relay}/enrollment-tokens");
        api.create_gateway(t, &CreateGateway { name: name(), relays: vec![] }) => "POST /gateways";
        api.list_gateways(t, all) => "GET /gateways";
        api.get_gateway(t, gateway) => format!("GET /gateways/{gateway}");
        api.delete_gateway(t, gateway) => format!("DELETE /gateways/{gateway}");
        api.create_gateway_token(t, gateway) => format!("POST /gateways/{gateway}/enrollment-tokens");
        api.list_gateway_projects(t, gateway, all) => format!("GET /gateways/{gateway}/projects");
        api.map_gateway(t, gateway, project) => format!("PUT /gateways/{gateway}/projects/{project}");
        api.unmap_gateway(t, gateway, project) => format!("DELETE /gateways/{gateway}/projects/{project}");
        api.create_resource(t, &create_resource) => "POST /resources";
        api.list_resources(t, all) => "GET /resources";
        api.get_resource(t, resource) => format!("GET /resources/{resource}");
        api.delete_resource(t, resource) => format!("DELETE /resources/{resource}");
        api.create_session(t, &create_session) => "POST /sessions";
        api.list_sessions(t, all) => "GET /sessions";
        api.get_session(t, session) => format!("GET /sessions/{session}");
        api.delete_session(t, session) => format!("DELETE /sessions/{session}");
        api.list_authorities(t, all) => "GET /authorities";
        api.get_authority(t, authority) => format!("GET /authorities/{authority}");
    }
}
