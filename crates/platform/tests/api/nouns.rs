//! The nouns: made, listed, shown, deleted.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn from_an_organization_to_an_approved_resource() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let relay = json!({"name": "shared", "host": "relay.example"});
    let relay = world.made(&administrator, "/relays", relay).await;
    let tenant = world.tenant(&administrator, "acme").await;
    let token = &tenant.token;

    let project = world.made(token, "/projects", json!({"name": "billing"})).await;
    let gateway = world
        .post(token, "/gateways", json!({"name": "dc1"}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        gateway["relays"],
        json!([relay]),
        "the platform assigned the only relay"
    );
    assert_eq!(
        (&gateway["enrolled"], &gateway["projects"]),
        (&json!(false), &json!([]))
    );
    let gateway = gateway["id"].as_str().unwrap();
    world
        .put(token, &format!("/gateways/{gateway}/projects/{project}"))
        .await
        .expect(204);
    world
        .put(token, &format!("/gateways/{gateway}/projects/{project}"))
        .await
        .expect(204);
    let mapped = world
        .get(token, &format!("/gateways/{gateway}/projects"))
        .await
        .expect(200)
        .json();
    assert_eq!(mapped["items"][0]["id"], json!(project));

    let resource = json!({"name": "db", "project": project, "gateway": gateway, "host": "DB.internal",
        "port": 5432, "protocol": "postgres"});
    let resource = world.made(token, "/resources", resource).await;
    let shown = world
        .get(token, &format!("/resources/{resource}"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&shown["host"], &shown["port"]),
        (&json!("db.internal"), &json!(5432))
    );
    let by_name = world.get(token, "/resources?name=db").await.expect(200).json();
    assert_eq!(by_name["items"], json!([shown]));
    assert_eq!(
        world.get(token, "/resources?name=other").await.json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn what_is_in_use_says_by_what_and_stays() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let tenant = world.tenant(&administrator, "acme").await;
    let token = &tenant.token;
    let relay = world
        .made(token, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
    let project = world.made(token, "/projects", json!({"name": "p"})).await;
    let gateway = world
        .made(token, "/gateways", json!({"name": "g", "relays": [relay]}))
        .await;
    let mapping = format!("/gateways/{gateway}/projects/{project}");
    world.put(token, &mapping).await.expect(204);
    let resource = json!({"name": "db", "project": project, "gateway": gateway, "host": "h", "port": 1,
        "protocol": "tcp"});
    let resource = world.made(token, "/resources", resource).await;

    let conflict = async |path: String, user: &str| {
        let detail = world.delete(token, &path).await.problem(409, "conflict");
        assert!(detail.contains(user), "{detail}");
    };
    conflict(format!("/projects/{project}"), "resource db").await;
    conflict(format!("/gateways/{gateway}"), "resource db").await;
    conflict(format!("/relays/{relay}"), "gateway g").await;
    let organization = format!("/organizations/{}", tenant.id);
    let detail = world
        .delete(&administrator, &organization)
        .await
        .problem(409, "conflict");
    assert!(detail.contains("1 projects, 1 gateways, 1 relays"), "{detail}");

    world
        .delete(token, &format!("/resources/{resource}"))
        .await
        .expect(204);
    conflict(format!("/projects/{project}"), "mapped gateway g").await;
    world.delete(token, &mapping).await.expect(204);
    world.delete(token, &mapping).await.problem(404, "not_found");
    for path in [
        format!("/projects/{project}"),
        format!("/gateways/{gateway}"),
        format!("/relays/{relay}"),
    ] {
        world.delete(token, &path).await.expect(204);
        world.delete(token, &path).await.problem(404, "not_found");
        world.get(token, &path).await.problem(404, "not_found");
    }
    world.delete(&administrator, &organization).await.expect(204);
    world.get(token, "/whoami").await.problem(401, "unauthenticated");
    world
        .get(&administrator, &organization)
        .await
        .problem(404, "not_found");
    world.tenant(&administrator, "acme").await;
}

#[tokio::test]
async fn a_name_is_taken_once_in_its_scope() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let a = world.tenant(&administrator, "a").await.token;
    let b = world.tenant(&administrator, "b").await.token;
    world
        .post(&administrator, "/organizations", json!({"name": "a"}))
        .await
        .problem(409, "conflict");
    world
        .made(&a, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
    world
        .post(&a, "/relays", json!({"name": "r", "host": "s.example"}))
        .await
        .problem(409, "conflict");
    world
        .post(&a, "/relays", json!({"name": "s", "host": "R.example"}))
        .await
        .problem(409, "conflict");
    world.made(&a, "/projects", json!({"name": "p"})).await;
    world
        .post(&a, "/projects", json!({"name": "p"}))
        .await
        .problem(409, "conflict");
    world.made(&a, "/gateways", json!({"name": "g"})).await;
    world
        .post(&a, "/gateways", json!({"name": "g"}))
        .await
        .problem(409, "conflict");
    world
        .post(&a, "/identities", json!({"name": "owner", "role": "owner"}))
        .await
        .problem(409, "conflict");
    world.made(&b, "/projects", json!({"name": "p"})).await;
    world
        .made(&b, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
}

#[tokio::test]
async fn lists_come_in_pages_that_miss_and_repeat_nothing() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let token = world.tenant(&administrator, "a").await.token;
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(
            world
                .made(&token, "/projects", json!({"name": format!("p{n}")}))
                .await,
        );
    }
    made.sort_unstable();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(&token, &format!("/projects?limit=3{next}"))
            .await
            .expect(200)
            .json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(id) = page["next"].as_str() else { break };
        next = format!("&after={id}");
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_gateway_takes_one_to_three_relays_of_one_scope() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let token = world.tenant(&administrator, "a").await.token;
    world
        .post(&token, "/gateways", json!({"name": "g"}))
        .await
        .problem(422, "unprocessable");
    let shared = world
        .made(
            &administrator,
            "/relays",
            json!({"name": "i", "host": "i.example"}),
        )
        .await;
    let mut own = Vec::new();
    for n in 0..4 {
        let relay = json!({"name": format!("r{n}"), "host": format!("r{n}.example")});
        own.push(world.made(&token, "/relays", relay).await);
    }
    let twice = json!([own[0], own[0]]);
    let unknown = json!(["01890a5d-ac96-774b-bcce-b302099a8057"]);
    for relays in [json!(own), json!([own[0], shared]), twice, unknown] {
        world
            .post(&token, "/gateways", json!({"name": "g", "relays": relays}))
            .await
            .problem(422, "unprocessable");
    }
    let chosen = json!([own[2], own[0], own[1]]);
    let gateway = world
        .post(&token, "/gateways", json!({"name": "g", "relays": chosen}))
        .await
        .expect(201);
    assert_eq!(
        gateway.json()["relays"],
        chosen,
        "in the order that was asked for"
    );
    let assigned = world
        .post(&token, "/gateways", json!({"name": "h"}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        assigned["relays"],
        json!([own[3]]),
        "the organization's own, the least used"
    );
}

#[tokio::test]
async fn members_are_added_listed_and_removed() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    let project = world.made(&owner, "/projects", json!({"name": "p"})).await;
    let (identity, connector) = world.identity(&owner, "ci", "connector").await;
    world
        .get(&connector, &format!("/projects/{project}"))
        .await
        .problem(404, "not_found");
    let member = format!("/projects/{project}/members/{identity}");
    world.put(&owner, &member).await.expect(204);
    world.put(&owner, &member).await.expect(204);
    let members = world
        .get(&owner, &format!("/projects/{project}/members"))
        .await
        .expect(200)
        .json();
    assert_eq!(members["items"], json!([{"identity": identity, "name": "ci"}]));
    world
        .get(&connector, &format!("/projects/{project}"))
        .await
        .expect(200);
    world.delete(&owner, &member).await.expect(204);
    world.delete(&owner, &member).await.problem(404, "not_found");
    assert_eq!(
        world.get(&connector, "/projects").await.json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn the_last_owner_cannot_be_deleted() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    let first = world.get(&owner, "/identities?name=owner").await.json()["items"][0]["id"].clone();
    let first = format!("/identities/{}", first.as_str().unwrap());
    world.delete(&owner, &first).await.problem(409, "conflict");
    let (_, second) = world.identity(&owner, "deputy", "owner").await;
    world.delete(&second, &first).await.expect(204);
}

#[tokio::test]
async fn an_identity_cannot_have_a_role_of_the_instance_or_of_a_daemon() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    for role in ["administrator", "gateway", "relay"] {
        let identity = json!({"name": "x", "role": role});
        world
            .post(&owner, "/identities", identity)
            .await
            .problem(422, "unprocessable");
    }
    world
        .post(&owner, "/identities", json!({"name": "x", "role": "root"}))
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn authorities_show_public_parts_and_each_organization_its_own() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let instance = world.get(&administrator, "/authorities").await.expect(200).json();
    assert_eq!(instance["items"].as_array().unwrap().len(), 7);
    let mut keys = std::collections::BTreeSet::new();
    for name in ["a", "b", "c"] {
        let tenant = world.tenant(&administrator, name).await;
        let authorities = world.get(&tenant.token, "/authorities").await.expect(200);
        let text = String::from_utf8(authorities.bytes.to_vec()).unwrap();
        assert!(!text.contains("PRIVATE"));
        let items = authorities.json()["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 9);
        for authority in &items {
            assert!(
                keys.insert(authority["key"].as_str().unwrap().to_owned()),
                "a key of its own"
            );
            let path = format!("/authorities/{}", authority["id"].as_str().unwrap());
            assert_eq!(
                world.get(&tenant.token, &path).await.expect(200).json(),
                *authority
            );
            world.get(&administrator, &path).await.problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn an_enrollment_ticket_says_where_and_whom_to_believe() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let relay = world
        .made(
            &administrator,
            "/relays",
            json!({"name": "r", "host": "r.example"}),
        )
        .await;
    let path = format!("/relays/{relay}/enrollment-tokens");
    let made = world
        .ask(http::Method::POST, &path, &administrator, None)
        .await
        .expect(201);
    let ticket: postern_api::EnrollmentTicket = made.text("token").parse().unwrap();
    assert_eq!(ticket.pins, world.pins);
    assert_eq!(
        ticket.address.to_string(),
        format!("localhost:{}", world.address.port())
    );
    let unknown = "/relays/01890a5d-ac96-774b-bcce-b302099a8057/enrollment-tokens";
    world
        .ask(http::Method::POST, unknown, &administrator, None)
        .await
        .problem(404, "not_found");
}
