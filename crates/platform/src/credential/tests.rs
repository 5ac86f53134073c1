//! Tests of logins and tokens.

use std::time::Duration;

use postern_api::{PasswordLogin, Role, StatementLogin, UniversalLogin};
use postern_domain::{Actor, DaemonId, InstanceId, Reason, Secret};
use postern_sshkey::PrivateKey;

use super::*;
use crate::access::Action;
use crate::noun::{gateway, identity};
use crate::world::{PASSWORD, World, decide, sign_claims};

fn password(user: &str, password: &str) -> PasswordLogin {
    PasswordLogin {
        user: user.into(),
        password: Secret::new(password.into()),
    }
}

#[tokio::test]
async fn a_password_gives_a_token_and_unknown_and_wrong_answer_the_same() {
    let world = World::new().await;
    let token = password_login(&world.platform, &world.arrival(), password("admin", PASSWORD))
        .await
        .unwrap();
    let context = authenticate(world.platform.store(), &world.arrival(), &token.access_token)
        .await
        .unwrap();
    assert_eq!((context.role, context.organization), (Role::Administrator, None));

    let wrong = password_login(&world.platform, &world.arrival(), password("admin", "wrong"))
        .await
        .unwrap_err();
    let unknown = password_login(&world.platform, &world.arrival(), password("nobody", PASSWORD))
        .await
        .unwrap_err();
    assert_eq!(wrong.reason(), Reason::Unauthenticated);
    assert_eq!(
        (wrong.reason(), wrong.status(), wrong.detail()),
        (unknown.reason(), unknown.status(), unknown.detail())
    );
}

#[tokio::test]
async fn refuses_a_short_password_for_the_administrator() {
    let refused = hash_password(Secret::new("short".into())).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::InvalidRequest);
}

#[tokio::test]
async fn a_client_secret_gives_a_token_that_ends() {
    let mut world = World::new().await;
    let tenant = world.organization("acme").await;
    let token = universal_login(&world.platform, &world.arrival(), tenant.login.clone())
        .await
        .unwrap();
    assert!(token.access_token.expose().starts_with("pat_"));
    assert_eq!(token.expires, world.now.plus(Duration::from_secs(3600)));
    let context = authenticate(world.platform.store(), &world.arrival(), &token.access_token)
        .await
        .unwrap();
    assert_eq!(
        (context.actor, context.organization),
        (tenant.owner.actor, Some(tenant.id))
    );

    world.pass(Duration::from_secs(3600));
    let refused = authenticate(world.platform.store(), &world.arrival(), &token.access_token)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::CredentialExpired);
}

#[tokio::test]
async fn refuses_a_wrong_secret_an_unknown_client_and_another_clients_secret_alike() {
    let world = World::new().await;
    let tenant = world.organization("acme").await;
    let other = world.organization("other").await;
    let UniversalLogin {
        client_id,
        client_secret,
    } = tenant.login;
    for (id, secret) in [
        (client_id.clone(), Secret::new("pcs_wrong".to_owned())),
        ("pci_unknown".into(), client_secret.clone()),
        (other.login.client_id, client_secret.clone()),
        (client_id.clone(), Secret::new(String::new())),
        (client_id, Secret::new("x".repeat(10_000))),
    ] {
        let login = UniversalLogin {
            client_id: id,
            client_secret: secret,
        };
        let refused = universal_login(&world.platform, &world.arrival(), login)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::Unauthenticated);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM access_tokens").await, 0);
}

#[tokio::test]
async fn nothing_that_admits_is_in_the_store_in_clear() {
    let world = World::new().await;
    let tenant = world.organization("acme").await;
    let secret = tenant.login.client_secret.clone();
    let token = universal_login(&world.platform, &world.arrival(), tenant.login)
        .await
        .unwrap();
    world.platform.close().await;
    let mut stored = std::fs::read(world.dir.path().join("platform.db")).unwrap();
    stored.extend(std::fs::read(world.dir.path().join("platform.db-wal")).unwrap_or_default());
    for text in [secret.expose().as_str(), token.access_token.expose(), PASSWORD] {
        assert!(!stored.windows(text.len()).any(|w| w == text.as_bytes()));
    }
}

#[tokio::test]
async fn a_deleted_identity_is_refused_with_its_tokens() {
    let world = World::new().await;
    let tenant = world.organization("acme").await;
    let second = world.identity(&tenant.owner, "second", Role::Owner).await;
    let token = universal_login(&world.platform, &world.arrival(), tenant.login.clone())
        .await
        .unwrap();
    let Actor::MachineIdentity(id) = tenant.owner.actor else {
        panic!("an identity")
    };
    let access = decide(&second, Action::DeleteIdentity);
    identity::delete(world.platform.store(), &second, &access, id)
        .await
        .unwrap();
    let refused = authenticate(world.platform.store(), &world.arrival(), &token.access_token)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Unauthenticated);
    assert!(
        universal_login(&world.platform, &world.arrival(), tenant.login)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_request_under_way_changes_nothing_once_its_token_was_taken_back() {
    let world = World::new().await;
    let tenant = world.organization("acme").await;
    let second = world.identity(&tenant.owner, "second", Role::Owner).await;
    let token = universal_login(&world.platform, &world.arrival(), tenant.login)
        .await
        .unwrap();
    let store = world.platform.store();
    let admitted = authenticate(store, &world.arrival(), &token.access_token)
        .await
        .unwrap();
    world.project(&admitted, "before").await;
    // The head of the next request was judged; its body is still on the way.
    let Actor::MachineIdentity(id) = admitted.actor else {
        panic!("an identity")
    };
    let access = decide(&second, Action::DeleteIdentity);
    identity::delete(store, &second, &access, id).await.unwrap();
    let request = postern_api::CreateIdentity {
        name: "heir".parse().unwrap(),
        role: Role::Owner,
    };
    let access = decide(&admitted, Action::CreateIdentity);
    let refused = identity::create(store, &admitted, &access, request)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Unauthenticated);
    assert_eq!(world.count("SELECT COUNT(*) FROM identities").await, 1);
}

#[tokio::test]
async fn refuses_what_is_no_token() {
    let world = World::new().await;
    for text in ["", "pat_", "pat_AAAA", "pcs_AAAA", &"pat_".repeat(1000)] {
        let token = Secret::new(text.to_owned());
        let refused = authenticate(world.platform.store(), &world.arrival(), &token)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::Unauthenticated);
    }
}

#[tokio::test]
async fn a_statement_gives_a_token_of_ten_minutes_once() {
    let world = World::new().await;
    let (relay, keys) = world.instance_relay("hub").await;
    let claims = world.claims(DaemonId::Relay(relay));
    let token = world.state(&claims, &keys.identity).await.unwrap();
    assert_eq!(token.expires, world.now.plus(Duration::from_secs(600)));
    let context = authenticate(world.platform.store(), &world.arrival(), &token.access_token)
        .await
        .unwrap();
    assert_eq!((context.actor, context.role), (Actor::Relay(relay), Role::Relay));

    let replayed = world.state(&claims, &keys.identity).await.unwrap_err();
    assert_eq!(replayed.reason(), Reason::Replayed);
}

#[tokio::test]
async fn refuses_statements_by_another_key_or_for_another_place() {
    let world = World::new().await;
    let (relay, keys) = world.instance_relay("hub").await;
    let (_, others) = world.instance_relay("spoke").await;
    let good = || world.claims(DaemonId::Relay(relay));
    let refused = world.state(&good(), &others.identity).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Unauthenticated);
    // The SSH key of the daemon is not its identity key.
    assert!(world.state(&good(), &keys.daemon.ssh).await.is_err());

    let instance = InstanceId::generate(world.now);
    let now = world.now.as_unix_seconds();
    for bad in [
        postern_api::StatementClaims {
            aud: instance,
            ..good()
        },
        postern_api::StatementClaims {
            htm: "GET".into(),
            ..good()
        },
        postern_api::StatementClaims {
            htp: "/api/v1/enroll".into(),
            ..good()
        },
        postern_api::StatementClaims {
            exp: now + 61,
            ..good()
        },
        postern_api::StatementClaims {
            exp: now - 1,
            ..good()
        },
        postern_api::StatementClaims {
            jti: String::new(),
            ..good()
        },
        postern_api::StatementClaims {
            jti: "x".repeat(65),
            ..good()
        },
        postern_api::StatementClaims {
            iss: DaemonId::Relay(postern_domain::RelayId::generate(world.now)),
            ..good()
        },
    ] {
        let refused = world.state(&bad, &keys.identity).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::Unauthenticated, "{bad:?}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM statements").await, 0);
}

#[tokio::test]
async fn refuses_statements_out_of_their_time() {
    let world = World::new().await;
    let (relay, keys) = world.instance_relay("hub").await;
    let now = world.now.as_unix_seconds();
    let made = |iat: u64| postern_api::StatementClaims {
        iat,
        exp: iat + 60,
        ..world.claims(DaemonId::Relay(relay))
    };
    assert_eq!(
        world
            .state(&made(now - 91), &keys.identity)
            .await
            .unwrap_err()
            .reason(),
        Reason::CredentialExpired
    );
    assert_eq!(
        world
            .state(&made(now + 31), &keys.identity)
            .await
            .unwrap_err()
            .reason(),
        Reason::ClockSkew
    );
    assert!(world.state(&made(now - 89), &keys.identity).await.is_ok());
    assert!(world.state(&made(now + 29), &keys.identity).await.is_ok());
}

#[tokio::test]
async fn refuses_statements_with_another_algorithm_or_none() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let world = World::new().await;
    let (relay, keys) = world.instance_relay("hub").await;
    let statement = sign_claims(&world.claims(DaemonId::Relay(relay)), &keys.identity);
    let [_, payload, signature] = statement.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let header = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for bad in [
        format!("{}.{payload}.", header(r#"{"alg":"none"}"#)),
        format!("{}.{payload}.{signature}", header(r#"{"alg":"HS256"}"#)),
        format!("{payload}.{signature}"),
        String::from(".."),
        String::new(),
    ] {
        let login = StatementLogin {
            statement: Secret::new(bad),
        };
        let refused = statement_login(&world.platform, &world.arrival(), login)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::Unauthenticated);
    }
}

#[tokio::test]
async fn a_daemon_that_was_away_for_a_month_has_to_enroll_again() {
    let mut world = World::new().await;
    let (relay, keys) = world.instance_relay("hub").await;
    world.pass(Duration::from_secs(29 * 86_400));
    assert!(
        world
            .state(&world.claims(DaemonId::Relay(relay)), &keys.identity)
            .await
            .is_ok()
    );
    world.pass(Duration::from_secs(31 * 86_400));
    let refused = world
        .state(&world.claims(DaemonId::Relay(relay)), &keys.identity)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::CredentialExpired);
}

#[tokio::test]
async fn a_daemon_is_judged_again_with_whoever_enrolled_it() {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let site = world.site("acme").await;
    let daemon = DaemonId::Gateway(site.gateway);
    assert!(
        world
            .state(&world.claims(daemon), &site.keys.identity)
            .await
            .is_ok()
    );
    let second = world.identity(&site.tenant.owner, "second", Role::Owner).await;
    let Actor::MachineIdentity(id) = site.tenant.owner.actor else {
        panic!("an identity")
    };
    let access = decide(&second, Action::DeleteIdentity);
    identity::delete(world.platform.store(), &second, &access, id)
        .await
        .unwrap();
    let refused = world
        .state(&world.claims(daemon), &site.keys.identity)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Revoked);
}

#[tokio::test]
async fn a_deleted_gateway_is_refused_with_its_token_and_its_statement() {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let tenant = world.organization("acme").await;
    let gateway = world.gateway(&tenant.owner, "edge").await;
    let daemon = DaemonId::Gateway(gateway);
    let secret = world.ticket(&tenant.owner, daemon).await.unwrap();
    let keys = crate::world::Keys::generate();
    world
        .enroll(&secret, &keys, postern_pki::DaemonKind::Gateway)
        .await
        .unwrap();
    let token = world.state(&world.claims(daemon), &keys.identity).await.unwrap();
    let access = decide(&tenant.owner, Action::DeleteGateway);
    gateway::delete(world.platform.store(), &tenant.owner, &access, gateway)
        .await
        .unwrap();
    assert!(
        authenticate(world.platform.store(), &world.arrival(), &token.access_token)
            .await
            .is_err()
    );
    assert!(world.state(&world.claims(daemon), &keys.identity).await.is_err());
}

#[tokio::test]
async fn a_stranger_with_a_key_of_his_own_is_nobody() {
    let world = World::new().await;
    let claims = world.claims(DaemonId::Gateway(postern_domain::GatewayId::generate(world.now)));
    let refused = world
        .state(&claims, &PrivateKey::generate().unwrap())
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Unauthenticated);
}
