//! What a request is about, for its audit record: the ids in its path.

use postern_audit::Event;

use super::input::Parameters;

/// Adds the ids in the path to an event. An id that does not parse is left out.
pub(super) fn with_subjects(mut event: Event, path: &str, parameters: &Parameters) -> Event {
    let noun = path.split('/').nth(1).unwrap_or_default();
    for (name, value) in parameters {
        let what = if name == "id" { noun } else { name.as_str() };
        event = match what {
            "projects" | "project" => event.with_project(value.parse().ok()),
            "gateways" => event.with_gateway(value.parse().ok()),
            "relays" => event.with_relay(value.parse().ok()),
            "resources" => event.with_resource(value.parse().ok()),
            "sessions" => event.with_session(value.parse().ok()),
            // The record has no place of its own for an identity, a secret or an authority.
            _ => match &event.detail {
                None => event.with_detail(&format!("{what} {value}")),
                Some(detail) => {
                    let detail = format!("{detail}; {what} {value}");
                    event.with_detail(&detail)
                }
            },
        };
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_audit::Hop;
    use postern_domain::Timestamp;

    #[test]
    fn ids_of_the_path_reach_the_record() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let event = || Event::allowed(Hop::Api, "gateway.map", Timestamp::from_unix_seconds(1));
        let parameters = vec![
            ("id".to_owned(), id.to_owned()),
            ("project".to_owned(), id.to_owned()),
        ];
        let mapped = with_subjects(event(), "/gateways/{id}/projects/{project}", &parameters);
        assert_eq!(
            (mapped.gateway, mapped.project),
            (id.parse().ok(), id.parse().ok())
        );
        let odd = with_subjects(
            event(),
            "/identities/{id}",
            &vec![("id".to_owned(), "\u{1b}[2J".to_owned())],
        );
        assert!(odd.detail.is_some_and(|d| !d.contains('\u{1b}')));
    }
}
