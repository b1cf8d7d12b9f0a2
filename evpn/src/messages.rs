//! GoBGP's messages, as far as they are spoken here: fields by their numbers in `api/gobgp.proto` and
//! `api/attribute.proto` of GoBGP 3.10.0 (package `apipb`), which Debian has in
//! `golang-github-osrg-gobgp-dev`. Those files are NTT's under the MIT licence they open with, in a project
//! under Apache-2.0. Fields that are not here are passed over, as protobuf has it. Numbers of one API do not
//! change; GoBGP 4 has another API, by another name.
//!
//! Routes and attributes come as `google.protobuf.Any`: bytes, and the name of what they are.

use prost::Message;

/// A message with the name of its kind.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// What may stand in an [`Any`].
pub(crate) trait Named: Message + Default {
    const NAME: &'static str;
}

impl Any {
    pub(crate) fn of<M: Named>(message: &M) -> Self {
        let type_url = format!("type.googleapis.com/apipb.{}", M::NAME);
        Self { type_url, value: message.encode_to_vec() }
    }

    /// As what it is, where it is that.
    pub(crate) fn read<M: Named>(&self) -> Option<M> {
        let name = self.type_url.rsplit('/').next()?.strip_prefix("apipb.")?;
        (name == M::NAME).then(|| M::decode(self.value.as_slice()).ok())?
    }
}

macro_rules! named {
    ($($message:ident)*) => {
        $(impl Named for $message { const NAME: &'static str = stringify!($message); })*
    };
}

named! {
    RouteDistinguisherTwoOctetASN RouteDistinguisherIPAddress RouteDistinguisherFourOctetASN
    EVPNMACIPAdvertisementRoute EVPNInclusiveMulticastEthernetTagRoute
    OriginAttribute NextHopAttribute MpReachNLRIAttribute PmsiTunnelAttribute ExtendedCommunitiesAttribute
    TwoOctetAsSpecificExtended FourOctetAsSpecificExtended EncapExtended MacMobilityExtended
}

/// A request or an answer that says nothing further.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetBgpResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) global: Option<GlobalConf>,
}

/// `Global`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GlobalConf {
    #[prost(uint32, tag = "1")]
    pub(crate) asn: u32,
    #[prost(string, tag = "2")]
    pub(crate) router_id: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Family {
    #[prost(int32, tag = "1")]
    pub(crate) afi: i32,
    #[prost(int32, tag = "2")]
    pub(crate) safi: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Path {
    #[prost(message, optional, tag = "1")]
    pub(crate) nlri: Option<Any>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) pattrs: Vec<Any>,
    #[prost(bool, tag = "4")]
    pub(crate) best: bool,
    #[prost(bool, tag = "5")]
    pub(crate) is_withdraw: bool,
    #[prost(message, optional, tag = "9")]
    pub(crate) family: Option<Family>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AddPathRequest {
    #[prost(message, optional, tag = "3")]
    pub(crate) path: Option<Path>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeletePathRequest {
    #[prost(message, optional, tag = "3")]
    pub(crate) family: Option<Family>,
    #[prost(message, optional, tag = "4")]
    pub(crate) path: Option<Path>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListPathRequest {
    #[prost(message, optional, tag = "3")]
    pub(crate) family: Option<Family>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListPathResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) destination: Option<Destination>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Destination {
    #[prost(message, repeated, tag = "2")]
    pub(crate) paths: Vec<Path>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchEventRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) peer: Option<Nothing>,
    #[prost(message, optional, tag = "2")]
    pub(crate) table: Option<WatchTable>,
}

/// `WatchEventRequest.Table`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchTable {
    #[prost(message, repeated, tag = "1")]
    pub(crate) filters: Vec<WatchFilter>,
}

/// `WatchEventRequest.Table.Filter`; type 0 is what is best.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct WatchFilter {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(bool, tag = "2")]
    pub(crate) init: bool,
}

/// What is told of neighbours is passed over.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchEventResponse {
    #[prost(message, optional, tag = "3")]
    pub(crate) table: Option<TableEvent>,
}

/// `WatchEventResponse.TableEvent`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableEvent {
    #[prost(message, repeated, tag = "2")]
    pub(crate) paths: Vec<Path>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct RouteDistinguisherTwoOctetASN {
    #[prost(uint32, tag = "1")]
    pub(crate) admin: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) assigned: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RouteDistinguisherIPAddress {
    #[prost(string, tag = "1")]
    pub(crate) admin: String,
    #[prost(uint32, tag = "2")]
    pub(crate) assigned: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct RouteDistinguisherFourOctetASN {
    #[prost(uint32, tag = "1")]
    pub(crate) admin: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) assigned: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EthernetSegmentIdentifier {
    #[prost(uint32, tag = "1")]
    pub(crate) kind: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EVPNMACIPAdvertisementRoute {
    #[prost(message, optional, tag = "1")]
    pub(crate) rd: Option<Any>,
    #[prost(message, optional, tag = "2")]
    pub(crate) esi: Option<EthernetSegmentIdentifier>,
    #[prost(uint32, tag = "3")]
    pub(crate) ethernet_tag: u32,
    #[prost(string, tag = "4")]
    pub(crate) mac_address: String,
    #[prost(string, tag = "5")]
    pub(crate) ip_address: String,
    #[prost(uint32, repeated, tag = "6")]
    pub(crate) labels: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EVPNInclusiveMulticastEthernetTagRoute {
    #[prost(message, optional, tag = "1")]
    pub(crate) rd: Option<Any>,
    #[prost(uint32, tag = "2")]
    pub(crate) ethernet_tag: u32,
    #[prost(string, tag = "3")]
    pub(crate) ip_address: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OriginAttribute {
    #[prost(uint32, tag = "1")]
    pub(crate) origin: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NextHopAttribute {
    #[prost(string, tag = "1")]
    pub(crate) next_hop: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MpReachNLRIAttribute {
    #[prost(string, repeated, tag = "2")]
    pub(crate) next_hops: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PmsiTunnelAttribute {
    #[prost(uint32, tag = "1")]
    pub(crate) flags: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) label: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExtendedCommunitiesAttribute {
    #[prost(message, repeated, tag = "1")]
    pub(crate) communities: Vec<Any>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TwoOctetAsSpecificExtended {
    #[prost(bool, tag = "1")]
    pub(crate) is_transitive: bool,
    #[prost(uint32, tag = "2")]
    pub(crate) sub_type: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) asn: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) local_admin: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct FourOctetAsSpecificExtended {
    #[prost(bool, tag = "1")]
    pub(crate) is_transitive: bool,
    #[prost(uint32, tag = "2")]
    pub(crate) sub_type: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) asn: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) local_admin: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct EncapExtended {
    #[prost(uint32, tag = "1")]
    pub(crate) tunnel_type: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct MacMobilityExtended {
    #[prost(bool, tag = "1")]
    pub(crate) is_sticky: bool,
    #[prost(uint32, tag = "2")]
    pub(crate) sequence_num: u32,
}
