//! The paths, as one table: the router is made from it and the OpenAPI document held against it.

use axum::Router;
use axum::routing::{MethodRouter, delete, get, patch, post};

use super::{groups, handlers, stream};

/// What the paths do.
mod h {
    pub(super) use super::groups::*;
    pub(super) use super::handlers::*;
    pub(super) use super::stream::*;
}

/// One path and method.
pub(crate) struct RouteSpec {
    /// `get`, `post`, `patch` or `delete`.
    #[cfg_attr(not(test), expect(dead_code, reason = "the document is made by a test"))]
    pub(crate) method: &'static str,
    /// The path, in axum's and OpenAPI's common notation.
    pub(crate) path: &'static str,
    /// What it does, for the document.
    #[cfg_attr(not(test), expect(dead_code, reason = "the document is made by a test"))]
    pub(crate) summary: &'static str,
    handler: fn() -> MethodRouter<h::Shared>,
}

macro_rules! routes {
    ($($method:ident $path:literal $handler:ident $summary:literal;)*) => {
        &[$(RouteSpec {
            method: stringify!($method),
            path: $path,
            summary: $summary,
            handler: || $method(h::$handler),
        },)*]
    };
}

/// Every path the server answers.
pub(crate) const ROUTES: &[RouteSpec] = routes! {
    get "/v1/version" version "Who answers";
    get "/v1/openapi.json" openapi "This document";
    get "/v1/topology" topology "What the lab is made of";
    get "/v1/spec" spec "The lab as its file says it";
    get "/v1/ports" ports "The switch's ports";
    patch "/v1/ports/{name}" set_port "Change a port's settings";
    post "/v1/ports/{name}/network" move_port "Move a port to another network, or out of all";
    post "/v1/ports/{name}/vlans" add_vlan "Make a port a member of VLANs";
    delete "/v1/ports/{name}/vlans/{first}/{last}" del_vlan "End a port's membership of VLANs";
    get "/v1/networks" networks "The networks";
    post "/v1/networks" add_network "Make a network";
    delete "/v1/networks/{name}" remove_network "End a network that no node is attached to";
    patch "/v1/networks/{name}" set_network "Change a network's settings";
    get "/v1/tunnels" tunnels "The tunnels to other hosts";
    get "/v1/hosts" hosts "The networks of several hosts, and who is in them";
    post "/v1/tunnels" add_tunnel "Plug a tunnel in";
    delete "/v1/tunnels/{vni}" remove_tunnel "Take a tunnel out";
    get "/v1/fdb" fdb "The switch's addresses";
    post "/v1/fdb/set" set_fdb "Set an address by hand";
    post "/v1/fdb/del" del_fdb "Take an address out";
    post "/v1/fdb/flush" flush_fdb "Forget learned addresses";
    get "/v1/fast-path/flows" fast_flows "The flows that the kernel forwards by";
    get "/v1/mdb" mdb "Who is a member of which group";
    post "/v1/mdb/set" set_mdb "Make a port a member of a group by hand";
    post "/v1/mdb/del" del_mdb "End a port's membership of a group";
    get "/v1/neigh/known" known "Neighbours that are answered for";
    post "/v1/neigh/set" set_known "Have a neighbour known, or forgotten";
    get "/v1/neigh" neighbours "The gateway's neighbours";
    get "/v1/routes" routes "The gateway's routes";
    patch "/v1/gateway" set_gateway "Switch forwarding and the NAT off or on";
    get "/v1/nat" sessions "The NAT's sessions";
    post "/v1/nat/flush" flush_nat "Forget the NAT's sessions";
    get "/v1/names" names "The names of nodes, and of the gateway";
    get "/v1/counters" counters "All that is counted";
    get "/v1/published" published "The published ports";
    post "/v1/published" publish "Publish a port";
    delete "/v1/published/{protocol}/{port}" unpublish "Withdraw a published port";
    post "/v1/nodes" add_node "Plug a node in";
    get "/v1/nodes/{name}/home" home "Where a node lives";
    delete "/v1/nodes/{name}" remove_node "Take a node out";
    patch "/v1/nodes/{name}/link" set_link "Pull a node's cables, or plug them in";
    get "/v1/events" events "What happens, as it happens: one JSON object a line";
    post "/v1/capture" capture "Frames as they pass: a pcapng stream, until ended";
    post "/v1/trace" trace "The walks of frames as they pass: one JSON object a line, until ended";
    delete "/v1/flows/{id}" end_flow "End a capture or a trace in an orderly way";
    post "/v1/explain" explain "The walk an imagined packet would take";
    get "/v1/metrics" metrics "The counters as OpenMetrics text";
};

/// The service.
pub(super) fn router(shared: h::Shared) -> Router {
    let router = ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    router.fallback(h::unknown).method_not_allowed_fallback(h::wrong_method).with_state(shared)
}

/// What is said of a path that is none.
pub(super) fn unknown(path: &str) -> String {
    match unnamed(path) {
        Some(what) => format!("'' names no {what}: say which one is meant"),
        None => format!("no such path: {path}: see /v1/openapi.json"),
    }
}

/// What a path does not name, where it would be one with a name in an empty place: `port` of `/v1/ports/`.
fn unnamed(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    ROUTES.iter().find_map(|route| {
        let own: Vec<&'static str> = route.path.split('/').collect();
        if own.len() != parts.len() {
            return None;
        }
        let fits = |(own, part): (&&str, &&str)| own == part || own.starts_with('{');
        let all = own.iter().zip(&parts).all(fits);
        let empty = parts.iter().skip(1).position(|part| part.is_empty()).filter(|_| all)?;
        own.get(empty)?.strip_suffix('s')
    })
}
