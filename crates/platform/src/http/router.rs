//! From the table to a router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http::Method;

use super::app::App;
use super::dispatch::{dispatch, refuse};
use super::endpoint::Endpoint;
use super::input::Parameters;
use super::problem;
use super::table::ENDPOINTS;

/// Makes the router of every endpoint. What no endpoint is for is refused with a problem too.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        let Ok(filter) = MethodFilter::try_from(endpoint.method.clone()) else {
            continue;
        };
        let path = format!("{}{}", postern_api::PREFIX, endpoint.path);
        let app = Arc::clone(app);
        let handler = move |parameters: Result<RawPathParams, _>, request: Request| {
            run(Arc::clone(&app), endpoint, parameters.ok(), request)
        };
        router = router.route(&path, on(filter, handler));
    }
    let (lost, other) = (Arc::clone(app), Arc::clone(app));
    router
        .fallback(move |request: Request| refuse(Arc::clone(&lost), request, problem::no_such_path()))
        .method_not_allowed_fallback(move |request: Request| other_method(Arc::clone(&other), request))
}

async fn run(
    app: Arc<App>,
    endpoint: &'static Endpoint,
    parameters: Option<RawPathParams>,
    request: Request,
) -> Response {
    // Parameters that are not UTF-8 name nothing: an empty value parses as no id.
    let parameters: Parameters = match &parameters {
        Some(found) => found
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        None => Parameters::new(),
    };
    dispatch(app, endpoint, parameters, request).await
}

async fn other_method(app: Arc<App>, request: Request<Body>) -> Response {
    let path = request
        .uri()
        .path()
        .strip_prefix(postern_api::PREFIX)
        .unwrap_or_default()
        .to_owned();
    let methods: Vec<Method> = ENDPOINTS
        .iter()
        .filter(|endpoint| matches_path(endpoint.path, &path))
        .map(|endpoint| endpoint.method.clone())
        .collect();
    problem::allow(refuse(app, request, problem::no_such_method()).await, &methods)
}

fn matches_path(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let mut matched = pattern.split('/').map(|wanted| (wanted, segments.next()));
    let all = matched.all(|(wanted, found)| found.is_some_and(|f| wanted.starts_with('{') || wanted == f));
    all && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_endpoints_are_the_same_and_each_has_a_method_that_can_be_routed() {
        let all: BTreeSet<_> = ENDPOINTS.iter().map(|e| (e.method.as_str(), e.path)).collect();
        assert_eq!(all.len(), ENDPOINTS.len());
        assert!(
            ENDPOINTS
                .iter()
                .all(|e| MethodFilter::try_from(e.method.clone()).is_ok())
        );
    }

    #[test]
    fn a_pattern_matches_its_paths_only() {
        assert!(matches_path(
            "/gateways/{id}/projects/{project}",
            "/gateways/a/projects/b"
        ));
        for other in [
            "/gateways/a/projects",
            "/gateways/a/projects/b/c",
            "/relays/a/projects/b",
        ] {
            assert!(!matches_path("/gateways/{id}/projects/{project}", other));
        }
    }
}
