//! What a request has to be before it is answered, and what every answer carries.
//!
//! In this order: it names this server as its host (421, against names that are made to lead here), it
//! only reads (405), and it knows the token (401), but for the page itself, in which nothing is told.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::handlers::{Refusal, Web};

/// By which a page says the token: a header of our own, which no page of another origin may send
/// without being allowed to, and none is.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-uswitch-token");

/// Lets through what may be answered.
pub(crate) async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut answer = match refused(&web, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The page has one of its own, with the nonce of its script.
    let strict = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(strict);
    answer
}

fn refused(web: &Web, request: &Request) -> Option<Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let of_target = request.uri().authority().map(|authority| authority.as_str());
    let known = |name: &str| is_ours(name, web.address);
    let ours = host.is_some_and(known) && hosts.next().is_none() && of_target.is_none_or(known);
    if !ours {
        let line = format!("ask for http://{}/: no other name leads here", web.address);
        return Some(Refusal(StatusCode::MISDIRECTED_REQUEST, line));
    }
    if request.method() != Method::GET {
        let line = "this page only reads: the lab is changed by the command".into();
        return Some(Refusal(StatusCode::METHOD_NOT_ALLOWED, line));
    }
    let mut said = request.headers().get_all(TOKEN).iter();
    let known = said.next().is_some_and(|said| web.token.is(said.as_bytes()));
    if request.uri().path() != "/" && !(known && said.next().is_none()) {
        let line = "open the address that `uswitch web` printed, with what follows its #".into();
        return Some(Refusal(StatusCode::UNAUTHORIZED, line));
    }
    None
}

/// Whether `host` names this server, which listens at `address`: by that address, on loopback also by
/// `localhost`; by any address where it listens at all of them. A name never leads here, so a foreign
/// page cannot make its own name do so (DNS rebinding).
fn is_ours(host: &str, address: SocketAddr) -> bool {
    let own = address.ip();
    let localhost =
        host.strip_prefix("localhost").is_some_and(|rest| port(rest) == Some(address.port()));
    if localhost {
        return own.is_loopback() || own.is_unspecified();
    }
    let (said, rest) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((said, rest)) => (said.parse().map(IpAddr::V6), rest),
        None => {
            let (said, _) = host.split_once(':').unwrap_or((host, ""));
            (said.parse().map(IpAddr::V4), &host[said.len()..])
        }
    };
    let Ok(said) = said else { return false };
    port(rest) == Some(address.port()) && (said == own || own.is_unspecified())
}

/// The port after a host; the one browsers leave out where there is none.
fn port(rest: &str) -> Option<u16> {
    if rest.is_empty() {
        return Some(80);
    }
    rest.strip_prefix(':').filter(|port| !port.starts_with('+'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ours_by_its_address_and_port_alone() {
        let (v4, v6) = ("127.0.0.1:7000", "[::1]:7000");
        let (any, default) = ("0.0.0.0:7000", "127.0.0.1:80");
        for (host, address, ours) in [
            ("127.0.0.1:7000", v4, true),
            ("localhost:7000", v4, true),
            ("[::1]:7000", v6, true),
            ("localhost:7000", v6, true),
            ("127.0.0.1", default, true),
            ("localhost", default, true),
            ("10.1.2.3:7000", any, true),
            ("127.0.0.1", v4, false),
            ("127.0.0.1:7001", v4, false),
            ("127.0.0.1:+7000", v4, false),
            ("127.0.0.2:7000", v4, false),
            ("[::1]:7000", v4, false),
            ("evil.example:7000", v4, false),
            ("evil.example:7000", any, false),
            ("localhost.evil.example:7000", v4, false),
            ("127.0.0.1.evil.example:7000", v4, false),
            ("127.0.0.1:7000.evil.example", v4, false),
            ("user@127.0.0.1:7000", v4, false),
            ("[::1", v6, false),
            ("", v4, false),
        ] {
            assert_eq!(is_ours(host, address.parse().unwrap()), ours, "{host} at {address}");
        }
    }
}
