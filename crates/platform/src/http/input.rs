//! What a request brings: path parameters, query, body and bearer token, parsed strictly.
//!
//! An id in a path that does not parse answers exactly like one that does not exist. Text from the request that
//! an error repeats is escaped and bounded.

use std::str::FromStr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use postern_api::ListQuery;
use postern_domain::{Reason, Secret, printable};
use serde::de::DeserializeOwned;

use crate::Error;
use crate::noun::Page;

/// The longest bearer token that is looked at.
const LONGEST_TOKEN: usize = 512;

/// The path's parameters by name.
pub(super) type Parameters = Vec<(String, String)>;

/// What a request brings.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) parameters: Parameters,
    pub(super) query: Option<String>,
    pub(super) bearer: Option<Secret<String>>,
    pub(super) is_json: bool,
    pub(super) body: Bytes,
}

impl Input {
    /// Returns an id of the path.
    ///
    /// # Errors
    /// Not found, if it does not parse.
    pub(super) fn id<T: FromStr>(&self, name: &str) -> Result<T, Error> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(Error::not_found)
    }

    /// Reads the body as JSON of exactly this form.
    ///
    /// # Errors
    /// 415 if it is not declared as JSON; 400 if it is not well-formed, has unknown or doubled members, or holds
    /// a value that does not parse.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.no_query()?;
        if !self.is_json {
            return Err(Error::new(
                Reason::InvalidRequest,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be JSON: send it with content-type application/json",
            ));
        }
        serde_json::from_slice(&self.body)
            .map_err(|e| Error::invalid(format!("the body cannot be read: {}", printable(&e.to_string()))))
    }

    /// Demands that there is neither body nor query.
    ///
    /// # Errors
    /// 400 if there is.
    pub(super) fn nothing(&self) -> Result<(), Error> {
        self.no_query()?;
        match &*self.body {
            b"" | b"{}" => Ok(()),
            _ => Err(Error::invalid("this request takes no body")),
        }
    }

    /// Reads what part of a list is asked for; `T` is the kind of its ids.
    ///
    /// # Errors
    /// 400 if a parameter is unknown, doubled or does not parse.
    pub(super) fn page<T: FromStr>(&self) -> Result<Page<T>, Error> {
        let uri = format!("/?{}", self.query.as_deref().unwrap_or_default());
        let uri = uri
            .parse()
            .map_err(|_| Error::invalid("the query cannot be read"))?;
        let query = axum::extract::Query::<ListQuery>::try_from_uri(&uri)
            .map_err(|e| Error::invalid(format!("the query cannot be read: {}", printable(&e.body_text()))))?
            .0;
        let limit = query.limit.unwrap_or(100);
        if !(1..=500).contains(&limit) {
            return Err(Error::invalid("limit: expected 1 to 500"));
        }
        let after = match query.after {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Error::invalid("after: not the next of a page; pass it as it was given"))?,
            ),
        };
        let name = match query.name {
            None => None,
            Some(text) => Some(text.parse().map_err(|e| Error::invalid(format!("name: {e}")))?),
        };
        Ok(Page { limit, after, name })
    }

    fn no_query(&self) -> Result<(), Error> {
        match self.query.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => Err(Error::invalid("this request takes no query parameters")),
        }
    }
}

/// Returns the bearer token (RFC 6750), if there is exactly one and it has the form of one.
///
/// # Errors
/// Unauthenticated, if there is an `Authorization` header of another form.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Secret<String>>, Error> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = all.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| all.next().is_none());
    let token = text
        .and_then(|t| t.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|t| (1..=LONGEST_TOKEN).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or_else(|| Error::unauthenticated(Reason::Unauthenticated))?;
    Ok(Some(Secret::new(token.to_owned())))
}

/// Returns whether the body is declared as JSON (RFC 8259; its only charset is UTF-8).
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let one = all
        .next()
        .and_then(|v| v.to_str().ok())
        .filter(|_| all.next().is_none());
    let Some((kind, parameters)) = one.map(|text| text.split_once(';').unwrap_or((text, ""))) else {
        return false;
    };
    let parameters = parameters.trim().to_ascii_lowercase();
    kind.trim().eq_ignore_ascii_case("application/json")
        && matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_api::CreateProject;
    use postern_domain::ProjectId;

    fn input(query: Option<&str>, body: &str) -> Input {
        Input {
            parameters: vec![("id".into(), "nonsense".into())],
            query: query.map(Into::into),
            bearer: None,
            is_json: true,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn a_path_id_that_does_not_parse_is_not_found() {
        let refused = input(None, "").id::<ProjectId>("id").unwrap_err();
        assert_eq!(
            (refused.reason(), refused.status()),
            (Reason::NotFound, StatusCode::NOT_FOUND)
        );
    }

    #[test]
    fn refuses_every_body_but_the_one_that_was_asked_for() {
        assert!(input(None, r#"{"name":"a"}"#).json::<CreateProject>().is_ok());
        for bad in [
            "",
            "{",
            "[]",
            "null",
            r#"{"name":"a"} x"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","extra":1}"#,
            r#"{"name":"a\u0000"}"#,
            r#"{"name":7}"#,
            "{\"name\":\"\u{1b}[2J\"}",
        ] {
            let refused = input(None, bad).json::<CreateProject>().unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidRequest, "{bad}");
            assert!(!refused.detail().contains('\u{1b}'));
        }
        assert!(
            input(Some("x=1"), r#"{"name":"a"}"#)
                .json::<CreateProject>()
                .is_err()
        );
        assert!(input(None, "{\"a\":1}").nothing().is_err());
    }

    #[test]
    fn pages_are_bounded_and_unknown_parameters_refused() {
        let page = |query: &str| input(Some(query), "").page::<ProjectId>();
        assert_eq!(page("").unwrap().limit, 100);
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let full = page(&format!("limit=5&after={id}&name=a-b")).unwrap();
        assert_eq!((full.limit, full.after), (5, id.parse().ok()));
        for bad in [
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=x",
            "after=x",
            "name=A",
            "offset=3",
            "name=%00",
        ] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn takes_one_bearer_token_and_no_other_scheme() {
        let headers = |values: &[&str]| {
            let mut map = HeaderMap::new();
            for value in values {
                map.append(AUTHORIZATION, value.parse().unwrap());
            }
            map
        };
        assert!(matches!(bearer(&headers(&[])), Ok(None)));
        assert!(matches!(bearer(&headers(&["bearer x"])), Ok(Some(t)) if t.expose() == "x"));
        let long = format!("Bearer {}", "x".repeat(LONGEST_TOKEN + 1));
        for bad in [
            &["Basic x"][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &[&long],
            &["Bearer a", "Bearer a"],
        ] {
            assert!(bearer(&headers(bad)).is_err(), "{bad:?}");
        }
    }
}
