//! The client's requests about settings: of ports, their VLANs, networks, and addresses set by hand; and
//! about where nodes live.

use hyper::Method;
use serde::Serialize;

use super::{Client, ClientError, escape};
use crate::api::{
    AddNetwork, AddTunnel, AddVlan, DelFdb, Flushed, Home, Hosts, Known, Mdb, MovePort, Network,
    Port, Routing, SetFdb, SetGateway, SetLink, SetMdb, SetNetwork, SetPort, Tunnel,
};

impl Client {
    /// Changes a port's settings.
    pub fn set_port(&self, port: &str, ask: &SetPort) -> Result<Port, ClientError> {
        self.json(Method::PATCH, &format!("/v1/ports/{}", escape(port)), ask)
    }

    /// Moves a port to another network, or out of all.
    pub fn move_port(&self, port: &str, ask: &MovePort) -> Result<Port, ClientError> {
        self.json(Method::POST, &format!("/v1/ports/{}/network", escape(port)), ask)
    }

    /// Makes a port a member of VLANs.
    pub fn add_vlan(&self, port: &str, ask: &AddVlan) -> Result<(), ClientError> {
        self.tell(&format!("/v1/ports/{}/vlans", escape(port)), ask)
    }

    /// Ends a port's membership of VLANs.
    pub fn del_vlan(&self, port: &str, first: u16, last: u16) -> Result<(), ClientError> {
        let target = format!("/v1/ports/{}/vlans/{first}/{last}", escape(port));
        self.send(Method::DELETE, &target, None).map(drop)
    }

    /// Sets an address by hand.
    pub fn set_fdb(&self, ask: &SetFdb) -> Result<(), ClientError> {
        self.tell("/v1/fdb/set", ask)
    }

    /// Takes addresses out.
    pub fn del_fdb(&self, ask: &DelFdb) -> Result<Flushed, ClientError> {
        self.json(Method::POST, "/v1/fdb/del", ask)
    }

    /// Who is a member of which group.
    pub fn mdb(&self) -> Result<Mdb, ClientError> {
        self.get("/v1/mdb")
    }

    /// Makes a port a member of a group by hand.
    pub fn set_mdb(&self, ask: &SetMdb) -> Result<(), ClientError> {
        self.tell("/v1/mdb/set", ask)
    }

    /// Ends a port's membership of a group.
    pub fn del_mdb(&self, ask: &SetMdb) -> Result<(), ClientError> {
        self.tell("/v1/mdb/del", ask)
    }

    /// Neighbours that are answered for.
    pub fn known(&self) -> Result<Vec<Known>, ClientError> {
        self.get("/v1/neigh/known")
    }

    /// Has a neighbour known, or forgotten.
    pub fn set_known(&self, ask: &Known) -> Result<(), ClientError> {
        self.tell("/v1/neigh/set", ask)
    }

    /// The networks.
    pub fn networks(&self) -> Result<Vec<Network>, ClientError> {
        self.get("/v1/networks")
    }

    /// Makes a network.
    pub fn add_network(&self, ask: &AddNetwork) -> Result<Network, ClientError> {
        self.json(Method::POST, "/v1/networks", ask)
    }

    /// Ends a network that no node is attached to.
    pub fn remove_network(&self, name: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("/v1/networks/{}", escape(name)), None).map(drop)
    }

    /// Changes a network's settings.
    pub fn set_network(&self, name: &str, ask: &SetNetwork) -> Result<Network, ClientError> {
        self.json(Method::PATCH, &format!("/v1/networks/{}", escape(name)), ask)
    }

    /// The tunnels to other hosts.
    pub fn tunnels(&self) -> Result<Vec<Tunnel>, ClientError> {
        self.get("/v1/tunnels")
    }

    /// The networks of several hosts that it is in.
    pub fn hosts(&self) -> Result<Vec<Hosts>, ClientError> {
        self.get("/v1/hosts")
    }

    /// Plugs a tunnel in.
    pub fn add_tunnel(&self, ask: &AddTunnel) -> Result<Tunnel, ClientError> {
        self.json(Method::POST, "/v1/tunnels", ask)
    }

    /// Takes a tunnel out.
    pub fn remove_tunnel(&self, vni: u32) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("/v1/tunnels/{vni}"), None).map(drop)
    }

    /// Pulls a node's cables, or plugs them in.
    pub fn set_link(&self, node: &str, ask: &SetLink) -> Result<(), ClientError> {
        let body = serde_json::to_vec(ask).map_err(|error| self.broken(&error))?;
        self.send(Method::PATCH, &format!("/v1/nodes/{}/link", escape(node)), Some(body)).map(drop)
    }

    /// Where a node lives.
    pub fn home(&self, node: &str) -> Result<Home, ClientError> {
        self.get(&format!("/v1/nodes/{}/home", escape(node)))
    }

    /// Switches forwarding and the NAT off or on.
    pub fn set_gateway(&self, ask: &SetGateway) -> Result<Routing, ClientError> {
        self.json(Method::PATCH, "/v1/gateway", ask)
    }

    /// A change that is answered without words.
    fn tell(&self, target: &str, body: &impl Serialize) -> Result<(), ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(&error))?;
        self.send(Method::POST, target, Some(body)).map(drop)
    }
}
