//! `create`: a network that is to be. podman has none of its own in mind where no subnet was asked for, and
//! takes what it is answered.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};
use topology::Subnet;

use super::{Result, Told, read};
use crate::Refusal;
use crate::network::Pool;
use crate::plugin::number;

/// Subnets for networks that ask for none are of this length, from here on.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);
const LENGTH: u8 = 24;
/// How many there are: to the end of 10.0.0.0/8.
const SUBNETS: u32 = 1 << 15;

/// `create`: checks a network that is to be, and fills in what was not asked for: a subnet that `taken`
/// does not touch, one of IPv6 where that is wanted, and gateways.
///
/// # Errors
/// [`Refusal`] for what cannot be.
pub fn create(stdin: &[u8], taken: &[Subnet]) -> Result<String> {
    let mut whole: Map<String, Value> = read(stdin)?;
    let told: Told = read(stdin)?;
    let mut pools = told.pools()?;
    for Pool { subnet, .. } in &pools {
        if let Some(own) = taken.iter().find(|own| own.overlaps(*subnet)) {
            let who = "the host or another network of podman's is in";
            return Err(Refusal(format!("subnet {subnet} is in use: {who} {own}")));
        }
    }
    let first = |subnet: Subnet| Pool { subnet, gateway: Some(subnet.at(subnet.first_host())) };
    if pools.is_empty() {
        let subnet = free(&told.id, taken);
        let none = || Refusal::new("no subnet is free: give it one with --subnet");
        pools.push(first(subnet.ok_or_else(none)?));
    }
    if told.ipv6_enabled && pools.iter().all(|pool| pool.subnet.is_ipv4()) {
        pools.extend(local(&told.id).map(first));
    }
    let known = whole.get("subnets").and_then(Value::as_array).cloned().unwrap_or_default();
    let filled = pools.iter().enumerate().map(|(place, pool)| {
        let mut one = known.get(place).cloned().unwrap_or_else(|| json!({}));
        one["subnet"] = json!(pool.subnet.to_string());
        if let Some(gateway) = pool.gateway {
            one["gateway"] = json!(gateway.ip.to_string());
        }
        one
    });
    whole.insert("subnets".into(), filled.collect());
    let filled = Value::Object(whole);
    let made: Told = serde_json::from_value(filled.clone())
        .map_err(|why| Refusal(format!("what podman says is not understood: {why}")))?;
    made.network()?.to_topology()?;
    made.routes()?;
    Ok(filled.to_string())
}

/// The subnets of a network of podman's, of whichever driver, as podman keeps it in a file; none of what is no
/// such file.
#[must_use]
pub fn subnets(file: &[u8]) -> Vec<Subnet> {
    let told = read::<Told>(file).and_then(|told| told.pools());
    told.unwrap_or_default().iter().map(|pool| pool.subnet).collect()
}

/// A subnet for a network that asks for none: which is a matter of its number, so that two networks
/// that are made at once do not meet.
fn free(id: &str, taken: &[Subnet]) -> Option<Subnet> {
    let digits = number(&[id]);
    let start = u32::from_str_radix(digits.get(..8)?, 16).ok()?;
    let all = (0..SUBNETS).map(|step| {
        let place = start.wrapping_add(step) % SUBNETS;
        Subnet::v4(Ipv4Addr::from_bits(FIRST.to_bits() + (place << (32 - LENGTH))), LENGTH)
    });
    all.into_iter().find(|subnet| !taken.iter().any(|other| other.overlaps(*subnet)))
}

/// The same of IPv6: unique local, and the number stands for what is to be drawn at random there (RFC
/// 4193, section 3).
fn local(id: &str) -> Option<Subnet> {
    let digits = number(&[id, "ipv6"]);
    let own = u128::from_str_radix(digits.get(..10)?, 16).ok()?;
    Subnet::of(Ipv6Addr::from_bits(0xfd << 120 | own << 80).into(), 64)
}
