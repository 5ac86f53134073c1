//! Two organizations: nothing of one can be seen, used or guessed from the other.

use http::Method;
use postern_platform::http::ENDPOINTS;
use serde_json::{Value, json};

use crate::world::{Tenant, World};

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// One of everything, by the first segment of its path.
struct Things {
    project: String,
    identity: String,
    secret: String,
    relay: String,
    gateway: String,
    resource: String,
    authority: String,
}

async fn fill(world: &World, tenant: &Tenant) -> Things {
    let token = &tenant.token;
    let relay = world
        .made(token, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
    let project = world.made(token, "/projects", json!({"name": "p"})).await;
    let gateway = world.made(token, "/gateways", json!({"name": "g"})).await;
    world
        .put(token, &format!("/gateways/{gateway}/projects/{project}"))
        .await
        .expect(204);
    let resource = json!({"name": "db", "project": project, "gateway": gateway, "host": "h", "port": 1,
        "protocol": "tcp"});
    let resource = world.made(token, "/resources", resource).await;
    let (identity, _) = world.identity(token, "ci", "connector").await;
    world
        .put(token, &format!("/projects/{project}/members/{identity}"))
        .await
        .expect(204);
    let secrets = world
        .get(token, &format!("/identities/{identity}/client-secrets"))
        .await
        .json();
    let authorities = world.get(token, "/authorities").await.json();
    let id = |list: &Value| list["items"][0]["id"].as_str().unwrap().to_owned();
    Things {
        project,
        identity,
        secret: id(&secrets),
        relay,
        gateway,
        resource,
        authority: id(&authorities),
    }
}

impl Things {
    /// Puts these ids into a path.
    fn path(&self, pattern: &str) -> String {
        let noun = pattern.split('/').nth(1).unwrap();
        let of_noun = match noun {
            "projects" => &self.project,
            "identities" => &self.identity,
            "relays" => &self.relay,
            "gateways" => &self.gateway,
            "resources" => &self.resource,
            "authorities" => &self.authority,
            _ => UNKNOWN,
        };
        pattern
            .replace("{id}", of_noun)
            .replace("{identity}", &self.identity)
            .replace("{secret}", &self.secret)
            .replace("{project}", &self.project)
    }
}

#[tokio::test]
async fn every_id_of_another_organization_answers_like_an_unknown_one() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let a = world.tenant(&administrator, "a").await;
    let b = world.tenant(&administrator, "b").await;
    let theirs = fill(&world, &b).await;
    let mut probed = 0;
    for endpoint in ENDPOINTS
        .iter()
        .filter(|e| e.path.contains('{') && !e.path.starts_with("/organizations"))
    {
        let foreign = world
            .ask(
                endpoint.method.clone(),
                &theirs.path(endpoint.path),
                &a.token,
                None,
            )
            .await;
        let mut unknown = endpoint.path.to_owned();
        for parameter in ["{id}", "{identity}", "{secret}", "{project}"] {
            unknown = unknown.replace(parameter, UNKNOWN);
        }
        let unknown = world.ask(endpoint.method.clone(), &unknown, &a.token, None).await;
        unknown.problem(404, "not_found");
        assert_eq!(foreign.apart_from_id(), unknown.apart_from_id(), "{endpoint:?}");
        probed += 1;
    }
    assert!(probed > 20);
    // Nothing of theirs is gone.
    for path in [
        "/projects/{id}",
        "/gateways/{id}",
        "/relays/{id}",
        "/resources/{id}",
        "/identities/{id}",
    ] {
        world.get(&b.token, &theirs.path(path)).await.expect(200);
    }
}

#[tokio::test]
async fn lists_never_show_another_organization() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let a = world.tenant(&administrator, "a").await;
    let b = world.tenant(&administrator, "b").await;
    fill(&world, &b).await;
    for path in ["/projects", "/relays", "/gateways", "/resources", "/sessions"] {
        assert_eq!(
            world.get(&a.token, path).await.expect(200).json()["items"],
            json!([]),
            "{path}"
        );
    }
    assert_eq!(
        world.get(&a.token, "/identities").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_a_body_names_of_another_organization_does_not_exist_either() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let a = world.tenant(&administrator, "a").await;
    let b = world.tenant(&administrator, "b").await;
    let (ours, theirs) = (fill(&world, &a).await, fill(&world, &b).await);
    let resource = |project: &str, gateway: &str| json!({"name": "x", "project": project, "gateway": gateway, "host": "h", "port": 1, "protocol": "tcp"});
    let without_id = |answer: &crate::world::Answer, id: &str| {
        let (status, problem) = answer.apart_from_id();
        (status, problem.to_string().replace(id, "ID"))
    };
    for (foreign, unknown, id) in [
        (
            resource(&theirs.project, &ours.gateway),
            resource(UNKNOWN, &ours.gateway),
            &theirs.project,
        ),
        (
            resource(&ours.project, &theirs.gateway),
            resource(&ours.project, UNKNOWN),
            &theirs.gateway,
        ),
    ] {
        let foreign = world.post(&a.token, "/resources", foreign).await;
        let unknown = world.post(&a.token, "/resources", unknown).await;
        unknown.problem(422, "unprocessable");
        assert_eq!(without_id(&foreign, id), without_id(&unknown, UNKNOWN));
    }
    let gateway = |relay: &str| json!({"name": "x", "relays": [relay]});
    let foreign = world.post(&a.token, "/gateways", gateway(&theirs.relay)).await;
    let unknown = world.post(&a.token, "/gateways", gateway(UNKNOWN)).await;
    unknown.problem(422, "unprocessable");
    assert_eq!(without_id(&foreign, &theirs.relay), without_id(&unknown, UNKNOWN));

    let member = format!("/projects/{}/members/{}", ours.project, theirs.identity);
    world.put(&a.token, &member).await.problem(404, "not_found");
    let mapping = format!("/gateways/{}/projects/{}", ours.gateway, theirs.project);
    world.put(&a.token, &mapping).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_administrator_sees_organizations_and_nothing_within() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let b = world.tenant(&administrator, "b").await;
    let theirs = fill(&world, &b).await;
    let organizations = world
        .get(&administrator, "/organizations")
        .await
        .expect(200)
        .json();
    assert_eq!(organizations["items"][0]["id"], json!(b.id));
    for path in ["/projects", "/gateways", "/resources", "/identities", "/sessions"] {
        world.get(&administrator, path).await.problem(403, "forbidden");
    }
    assert_eq!(
        world.get(&administrator, "/relays").await.expect(200).json()["items"],
        json!([])
    );
    world
        .get(&administrator, &theirs.path("/relays/{id}"))
        .await
        .problem(404, "not_found");
    world
        .delete(&administrator, &theirs.path("/relays/{id}"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn an_owner_cannot_touch_the_instance() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let shared = world
        .made(
            &administrator,
            "/relays",
            json!({"name": "i", "host": "i.example"}),
        )
        .await;
    let a = world.tenant(&administrator, "a").await;
    world
        .get(&a.token, "/organizations")
        .await
        .problem(403, "forbidden");
    world
        .post(&a.token, "/organizations", json!({"name": "x"}))
        .await
        .problem(403, "forbidden");
    world
        .delete(&a.token, &format!("/organizations/{}", a.id))
        .await
        .problem(403, "forbidden");
    world
        .get(&a.token, &format!("/relays/{shared}"))
        .await
        .expect(200);
    world
        .delete(&a.token, &format!("/relays/{shared}"))
        .await
        .problem(404, "not_found");
    let token = format!("/relays/{shared}/enrollment-tokens");
    world
        .ask(Method::POST, &token, &a.token, None)
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_connector_sees_only_what_its_projects_hold() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let a = world.tenant(&administrator, "a").await;
    let ours = fill(&world, &a).await;
    let (_, stranger) = world.identity(&a.token, "stranger", "connector").await;
    let (_, enroller) = world.identity(&a.token, "enroller", "enroller").await;
    for path in ["/projects", "/gateways", "/resources"] {
        assert_eq!(
            world.get(&stranger, path).await.expect(200).json()["items"],
            json!([]),
            "{path}"
        );
    }
    for path in [
        "/projects/{id}",
        "/gateways/{id}",
        "/resources/{id}",
        "/gateways/{id}/projects",
    ] {
        world
            .get(&stranger, &ours.path(path))
            .await
            .problem(404, "not_found");
    }
    for path in ["/projects", "/identities", "/resources", "/authorities"] {
        world.get(&enroller, path).await.problem(403, "forbidden");
    }
    world
        .get(&enroller, &ours.path("/gateways/{id}"))
        .await
        .expect(200);
    world
        .post(&stranger, "/projects", json!({"name": "x"}))
        .await
        .problem(403, "forbidden");
}
