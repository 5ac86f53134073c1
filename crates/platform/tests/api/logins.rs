//! Showing who one is.

use http::Method;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, request};

#[tokio::test]
async fn time_is_told_to_anybody() {
    let world = World::start().await;
    let time = world.get("", "/time").await.expect(200);
    assert_eq!(time.text("instance"), world.platform.instance().id.to_string());
    assert_eq!(time.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_answer_the_same() {
    let world = World::start().await;
    let wrong = world
        .post(
            "",
            "/auth/password",
            json!({"user": "admin", "password": "wrong"}),
        )
        .await;
    let unknown = world
        .post(
            "",
            "/auth/password",
            json!({"user": "nobody", "password": PASSWORD}),
        )
        .await;
    wrong.problem(401, "unauthenticated");
    assert_eq!(wrong.apart_from_id(), unknown.apart_from_id());
}

#[tokio::test]
async fn whoami_says_who_and_until_when() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let whoami = world.get(&administrator, "/whoami").await.expect(200).json();
    assert_eq!(
        (&whoami["role"], &whoami["organization"]),
        (&json!("administrator"), &Value::Null)
    );
    let tenant = world.tenant(&administrator, "a").await;
    let whoami = world.get(&tenant.token, "/whoami").await.expect(200).json();
    assert_eq!(
        (&whoami["role"], &whoami["name"]),
        (&json!("owner"), &json!("owner"))
    );
    assert_eq!(whoami["organization"], json!(tenant.id));
}

#[tokio::test]
async fn refuses_every_credential_but_a_good_token() {
    let world = World::start().await;
    let good = world.administrator().await;
    let cut = &good[..good.len() - 1];
    for token in [
        "x",
        "pat_",
        "pat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        cut,
        &format!("{good}A"),
    ] {
        let answer = world.get(token, "/whoami").await;
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    for value in ["Basic YTpi", "Bearer", "Bearer a b", &format!("Digest {good}")] {
        let mut other = request(world.address, Method::GET, "/whoami", "", None);
        other.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
        world.send(other).await.problem(401, "unauthenticated");
    }
    let mut twice = request(world.address, Method::GET, "/whoami", &good, None);
    twice
        .headers_mut()
        .append(AUTHORIZATION, format!("Bearer {good}").parse().unwrap());
    world.send(twice).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_deleted_secret_or_identity_ends_its_tokens_at_once() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    let (id, token) = world.identity(&owner, "ci", "connector").await;
    world.get(&token, "/whoami").await.expect(200);
    let path = format!("/identities/{id}/client-secrets");
    let secrets = world.get(&owner, &path).await.expect(200).json();
    let listed = &secrets["items"][0];
    assert!(listed.get("client_secret").is_none() && listed["prefix"].as_str().is_some_and(|p| p.len() < 12));
    let secret = listed["id"].as_str().unwrap();
    world
        .delete(&owner, &format!("{path}/{secret}"))
        .await
        .expect(204);
    world.get(&token, "/whoami").await.problem(401, "unauthenticated");

    let (id, token) = world.identity(&owner, "cd", "connector").await;
    world
        .delete(&owner, &format!("/identities/{id}"))
        .await
        .expect(204);
    world.get(&token, "/whoami").await.problem(401, "unauthenticated");
    world
        .get(&owner, &format!("/identities/{id}"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn no_secret_reaches_the_audit_log() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    world
        .post(
            "",
            "/auth/password",
            json!({"user": "admin", "password": "hunter2hunter2"}),
        )
        .await
        .expect(401);
    world
        .post(
            "",
            "/auth/password",
            json!({"user": ["x"], "password": "hunter2hunter2"}),
        )
        .await
        .expect(400);
    world
        .post("", "/auth/password", json!({"hunter2hunter2": 1}))
        .await
        .expect(400);
    let all = format!("{:?}", world.records().await);
    for secret in ["hunter2hunter2", PASSWORD, &administrator, &owner] {
        assert!(!all.contains(secret));
    }
}
