//! What is not known in a request is refused by a line that names it: a word that is misspelt would be as
//! if it had not been said.

use serde_json::Value;

use super::{Fixture, plain};
use crate::api::Problem;
use crate::server::{OPENAPI, ROUTES};

/// Paths whose handlers read a body, or a part of a list, by the document.
fn that(takes: impl Fn(&Value) -> bool) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let of_it = ROUTES.iter().filter(|r| takes(&document["paths"][r.path][r.method]));
    of_it
        .map(|route| {
            let path = route.path.split('/').map(|part| match part {
                "{first}" | "{last}" | "{port}" | "{id}" | "{vni}" => "1",
                "{protocol}" => "tcp",
                part if part.starts_with('{') => "net1",
                part => part,
            });
            (route.method.to_uppercase(), path.collect::<Vec<_>>().join("/"))
        })
        .collect()
}

fn refused(fixture: &Fixture, (method, path): &(String, String), body: &str) -> (u16, String) {
    let answer = fixture.raw(&format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem = serde_json::from_str::<Problem>(body);
    (status, problem.unwrap_or_else(|_| panic!("{method} {path}: {answer}")).error)
}

#[test]
fn a_field_that_is_not_known_is_refused_by_name() {
    let fixture = plain();
    let asked = that(|route| !route["requestBody"].is_null());
    assert!(asked.len() > 15, "{asked:?}");
    for request in asked {
        let (status, line) = refused(&fixture, &request, r#"{"prtt": "net1"}"#);
        assert_eq!(status, 422, "{request:?}: {line}");
        assert!(line.contains("`prtt`") && !line.contains('\n'), "{request:?}: {line}");
    }
}

#[test]
fn a_word_of_a_query_that_is_not_known_is_refused_by_name() {
    let fixture = plain();
    let pages = that(|route| route["parameters"].to_string().contains("cursor"));
    assert!(pages.len() > 4, "{pages:?}");
    for (method, path) in pages {
        let (status, line) = refused(&fixture, &(method, format!("{path}?limt=3")), "");
        assert_eq!(status, 400, "{path}: {line}");
        assert!(line.contains("`limt`") && !line.contains('\n'), "{path}: {line}");
    }
}
