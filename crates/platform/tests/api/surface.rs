//! Every endpoint, from the table: none is open by accident, and every attempt leaves a record.

use http::Method;
use postern_platform::http::{Admission, ENDPOINTS};
use serde_json::json;

use crate::world::World;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn concrete(path: &str, id: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| if segment.starts_with('{') { id } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn nothing_but_time_and_logins_answers_without_a_token() {
    let world = World::start().await;
    for endpoint in ENDPOINTS {
        let body = (endpoint.method == Method::POST).then(|| json!({"nonsense": 1}));
        let path = concrete(endpoint.path, ID);
        let answer = world.ask(endpoint.method.clone(), &path, "", body).await;
        match endpoint.admission {
            Admission::Bearer(_) => {
                answer.problem(401, "unauthenticated");
            }
            Admission::Login(_) => {
                answer.problem(400, "invalid_request");
            }
            Admission::Open(_) => assert_eq!(endpoint.path, "/time"),
        }
    }
}

#[tokio::test]
async fn an_id_that_does_not_parse_answers_like_one_that_does_not_exist() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path.contains('{')) {
        let token = if endpoint.path.starts_with("/organizations") {
            &administrator
        } else {
            &owner
        };
        let unknown = world
            .ask(endpoint.method.clone(), &concrete(endpoint.path, ID), token, None)
            .await;
        unknown.problem(404, "not_found");
        for bad in ["x", "%00", "%ff", &ID.to_uppercase(), &format!("{ID}%20")] {
            let answer = world
                .ask(
                    endpoint.method.clone(),
                    &concrete(endpoint.path, bad),
                    token,
                    None,
                )
                .await;
            assert_eq!(
                answer.apart_from_id(),
                unknown.apart_from_id(),
                "{endpoint:?} {bad}"
            );
        }
    }
}

#[tokio::test]
async fn every_refusal_leaves_a_record_with_its_reason() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let connector = {
        let owner = world.tenant(&administrator, "a").await.token;
        world.identity(&owner, "ci", "connector").await
    };
    let before = world.records().await.len();
    let mut refused = 0;
    for endpoint in ENDPOINTS {
        let Admission::Bearer(action) = endpoint.admission else {
            continue;
        };
        let body = (endpoint.method == Method::POST).then(|| json!({}));
        let path = concrete(endpoint.path, ID);
        let answer = world
            .ask(endpoint.method.clone(), &path, &connector.1, body)
            .await;
        if answer.status.is_success() {
            continue;
        }
        refused += 1;
        let records = world.records().await;
        let last = records.last().unwrap();
        assert_eq!(last["action"], json!(action.code()));
        assert_eq!(
            (&last["outcome"], &last["reason"]),
            (&json!("refused"), &answer.json()["code"])
        );
        assert_eq!(last["actor"], json!(format!("machine_identity:{}", connector.0)));
        assert!(last["source"].is_string() || last["source"].is_object(), "{last}");
    }
    assert!(refused > 30, "{refused}");
    assert!(world.records().await.len() >= before + refused);
}

#[tokio::test]
async fn every_change_leaves_exactly_one_record() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let token = world.tenant(&administrator, "a").await.token;
    let mut expected = world.records().await.len();
    let project = world.made(&token, "/projects", json!({"name": "p"})).await;
    let relay = world
        .made(&token, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
    let gateway = world.made(&token, "/gateways", json!({"name": "g"})).await;
    let mapping = format!("/gateways/{gateway}/projects/{project}");
    world.put(&token, &mapping).await.expect(204);
    world.delete(&token, &mapping).await.expect(204);
    world.get(&token, "/projects").await.expect(200);
    expected += 6;
    let records = world.records().await;
    assert_eq!(records.len(), expected, "{records:#?}");
    let actions: Vec<_> = records[expected - 6..]
        .iter()
        .map(|r| r["action"].as_str().unwrap())
        .collect();
    let wanted = [
        "project.create",
        "relay.create",
        "gateway.create",
        "gateway.map",
        "gateway.unmap",
        "project.list",
    ];
    assert_eq!(actions, wanted);
    assert_eq!(records[expected - 5]["relay"], json!(relay));
    assert_eq!(records[expected - 3]["project"], json!(project));
    assert_eq!(records[expected - 3]["gateway"], json!(gateway));
}
