//! etcd's calls, by its JSON gateway (`/v3/…`): leases, transactions, lists, watches.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::key::Range;
use overlay::registry::{Change, Put};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::access::Access;
use super::http::{ALL, Failed, Members, refusal};
use super::lines::Lines;

/// Keys of one answer; more come with the next.
const PAGE: i64 = 2000;
/// Operations of a transaction; etcd takes 128.
pub(super) const MOST: usize = 120;

/// A client of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Etcd {
    pub(super) members: Members,
    pub(super) patience: Duration,
    /// The cluster's revision, as the last answer about a lease said it.
    pub(super) at: i64,
    /// The revision that the last transaction of ours has made.
    pub(super) made: i64,
}

/// A key as it is.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Kv {
    /// Ours are text; others may write what is none.
    #[serde(rename = "key", deserialize_with = "bytes")]
    raw: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
    #[serde(default, deserialize_with = "number")]
    pub(super) mod_revision: i64,
    #[serde(default, deserialize_with = "number")]
    pub(super) lease: i64,
}

impl Kv {
    /// The key; one that is no text is none of ours, and read as none of them.
    pub(super) fn key(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}

#[derive(Debug, Default, Deserialize)]
struct Header {
    #[serde(default, deserialize_with = "number")]
    revision: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<Kv>,
    #[serde(default)]
    more: bool,
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Done {
    /// It is done.
    Made,
    /// A key is not as it was to be; these are there.
    Refused(Vec<Kv>),
}

/// A key to be put, on the condition that it was last changed at this revision; 0 for one that is not
/// there.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) seen: i64,
}

/// Keys, and as of which revision they are so.
pub(super) type Listed = (Vec<(String, Put)>, i64);

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Told {
    /// These changes. The revision that stands beside them may be ahead of changes to come.
    Changes(Vec<Change>),
    /// What was asked for is too old: the list is to be had anew.
    Compacted,
}

/// A running watch.
pub(super) struct Watching {
    lines: Lines,
    /// The member that tells.
    pub(super) by: SocketAddr,
}

impl Etcd {
    pub(super) fn new(members: Vec<SocketAddr>, access: Arc<Access>) -> Self {
        Self { members: Members::new(members, access), patience: ALL, at: i64::MAX, made: 0 }
    }

    /// The same, which asks each member once.
    pub(super) fn brief(mut self) -> Self {
        self.patience = Duration::ZERO;
        self
    }

    /// A new lease, and how long it lasts.
    pub(super) async fn grant(&mut self, ttl: Duration) -> Result<(i64, Duration), Failed> {
        let said: Value = self.ask("/v3/lease/grant", &json!({ "TTL": ttl.as_secs() })).await?;
        self.at = as_number(&said["header"]["revision"]).unwrap_or(i64::MAX);
        let id = as_number(&said["ID"]).filter(|id| *id != 0);
        let ttl = as_number(&said["TTL"]).and_then(|ttl| u64::try_from(ttl).ok());
        match id.zip(ttl) {
            Some((id, ttl)) => Ok((id, Duration::from_secs(ttl))),
            None => Err(Failed::Silent("a lease without a number".into())),
        }
    }

    /// Renews a lease; None where there is no such lease any more.
    pub(super) async fn renew(&mut self, id: i64) -> Result<Option<Duration>, Failed> {
        let asked = json!({ "ID": id.to_string() });
        let said: Value = self.ask("/v3/lease/keepalive", &asked).await?;
        if said["error"].is_object() {
            let failed = refusal(&said["error"]);
            self.members.hear(&failed);
            return if failed.is_missing() { Ok(None) } else { Err(failed) };
        }
        self.at = as_number(&said["result"]["header"]["revision"]).unwrap_or(i64::MAX);
        let ttl = as_number(&said["result"]["TTL"]).and_then(|ttl| u64::try_from(ttl).ok());
        Ok(ttl.filter(|ttl| *ttl > 0).map(Duration::from_secs))
    }

    /// Ends a lease, and all that goes with it; one that is not there is no error.
    pub(super) async fn revoke(&mut self, id: i64) -> Result<(), Failed> {
        let said = self.ask::<Value>("/v3/lease/revoke", &json!({ "ID": id.to_string() })).await;
        match said {
            Err(failed) if !failed.is_missing() => Err(failed),
            _ => Ok(()),
        }
    }

    /// Puts all of these, or none.
    pub(super) async fn put(&mut self, writes: &[Write], lease: i64) -> Result<Done, Failed> {
        let compare: Vec<_> = writes.iter().map(|write| is_at(&write.key, write.seen)).collect();
        let puts = writes.iter().map(|write| {
            let (key, value) = (STANDARD.encode(&write.key), STANDARD.encode(&write.value));
            json!({ "request_put": { "key": key, "value": value, "lease": lease.to_string() } })
        });
        let looks = writes
            .iter()
            .map(|write| json!({ "request_range": { "key": STANDARD.encode(&write.key) } }));
        let (success, failure) = (puts.collect::<Vec<_>>(), looks.collect::<Vec<_>>());
        self.transact(&json!({ "compare": compare, "success": success, "failure": failure })).await
    }

    /// Takes a key out, where it was last changed at this revision.
    pub(super) async fn delete(&mut self, key: &str, seen: i64) -> Result<Done, Failed> {
        let delete = json!({ "request_delete_range": { "key": STANDARD.encode(key) } });
        self.transact(&json!({ "compare": [is_at(key, seen)], "success": [delete] })).await
    }

    /// Takes keys out, where each was last changed at the revision beside it; all of them, or none. As
    /// many as a transaction takes.
    pub(super) async fn delete_all(&mut self, keys: &[(String, i64)]) -> Result<Done, Failed> {
        let compare: Vec<_> = keys.iter().map(|(key, seen)| is_at(key, *seen)).collect();
        let deletes = keys
            .iter()
            .map(|(key, _)| json!({ "request_delete_range": { "key": STANDARD.encode(key) } }));
        let looks =
            keys.iter().map(|(key, _)| json!({ "request_range": { "key": STANDARD.encode(key) } }));
        let (success, failure) = (deletes.collect::<Vec<_>>(), looks.collect::<Vec<_>>());
        self.transact(&json!({ "compare": compare, "success": success, "failure": failure })).await
    }

    /// The same, where none of these others is there.
    pub(super) async fn delete_unused(
        &mut self,
        keys: &[(String, i64)],
        others: &Range,
    ) -> Result<Done, Failed> {
        let mut compare: Vec<_> = keys.iter().map(|(key, seen)| is_at(key, *seen)).collect();
        // Of a range it holds where it does for each key that is there.
        let mut none = is_at(&others.from, 0);
        none["range_end"] = STANDARD.encode(&others.to).into();
        compare.push(none);
        let deletes = keys
            .iter()
            .map(|(key, _)| json!({ "request_delete_range": { "key": STANDARD.encode(key) } }));
        let success = deletes.collect::<Vec<_>>();
        self.transact(&json!({ "compare": compare, "success": success })).await
    }

    async fn transact(&mut self, asked: &Value) -> Result<Done, Failed> {
        #[derive(Deserialize)]
        struct Transacted {
            #[serde(default)]
            header: Header,
            #[serde(default)]
            succeeded: bool,
            #[serde(default)]
            responses: Vec<Response>,
        }
        #[derive(Deserialize)]
        struct Response {
            response_range: Option<Answer>,
        }
        let said: Transacted = self.ask("/v3/kv/txn", asked).await?;
        if said.succeeded {
            self.made = said.header.revision;
            return Ok(Done::Made);
        }
        let ranges = said.responses.into_iter().filter_map(|one| one.response_range);
        Ok(Done::Refused(ranges.flat_map(|range| range.kvs).collect()))
    }

    /// One key.
    pub(super) async fn get(&mut self, key: &str) -> Result<Option<Kv>, Failed> {
        let said: Answer =
            self.ask("/v3/kv/range", &json!({ "key": STANDARD.encode(key) })).await?;
        Ok(said.kvs.into_iter().next())
    }

    /// All keys of these ranges as of one revision: `revision`, or that of the first answer for 0.
    pub(super) async fn list(
        &mut self,
        ranges: &[Range],
        mut revision: i64,
    ) -> Result<Listed, Failed> {
        let mut all = Vec::new();
        for range in ranges {
            let mut from = range.from.as_bytes().to_vec();
            let end = STANDARD.encode(&range.to);
            loop {
                let asked = json!({
                    "key": STANDARD.encode(&from), "range_end": end, "limit": PAGE.to_string(),
                    "revision": revision.to_string(),
                });
                let said: Answer = self.ask("/v3/kv/range", &asked).await?;
                if revision == 0 {
                    revision = said.header.revision;
                }
                if let Some(last) = said.kvs.last() {
                    from = [&last.raw[..], &[0]].concat();
                }
                let more = said.more && !said.kvs.is_empty();
                all.extend(said.kvs.into_iter().map(|kv| {
                    let key = kv.key().into_owned();
                    (key, Put { value: kv.value, lease: kv.lease, revision: kv.mod_revision })
                }));
                if !more {
                    break;
                }
            }
        }
        Ok((all, revision))
    }

    /// All that changes from this revision on.
    pub(super) async fn watch(&self, range: &Range, from: i64) -> Result<Watching, Failed> {
        let (key, end) = (STANDARD.encode(&range.from), STANDARD.encode(&range.to));
        let asked = json!({ "create_request": {
            "key": key, "range_end": end, "start_revision": from.to_string(),
        } });
        let by = self.members.current();
        Ok(Watching { lines: self.members.stream("/v3/watch", &asked).await?, by })
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        body: &Value,
    ) -> Result<T, Failed> {
        self.members.ask(path, body, self.patience).await
    }
}

impl Watching {
    /// What comes next, whenever it comes.
    pub(super) async fn next(&mut self) -> Result<Told, Failed> {
        told(&self.lines.next().await?)
    }
}

/// What a line of a watch's answer tells.
pub(super) fn told(said: &Value) -> Result<Told, Failed> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(default, rename = "type")]
        kind: String,
        kv: Kv,
    }
    if said["error"].is_object() {
        return Err(refusal(&said["error"]));
    }
    let result = &said["result"];
    if as_number(&result["compact_revision"]).is_some_and(|revision| revision > 0) {
        return Ok(Told::Compacted);
    }
    if result["canceled"].as_bool() == Some(true) {
        let why = result["cancel_reason"].as_str().unwrap_or("it was cancelled");
        return Err(Failed::Silent(why.to_owned()));
    }
    let mut changes = Vec::new();
    for event in result["events"].as_array().into_iter().flatten() {
        // What cannot be read is no key of ours.
        let Ok(Event { kind, kv }) = Event::deserialize(event) else { continue };
        let (revision, lease, key) = (kv.mod_revision, kv.lease, kv.key().into_owned());
        let put = (kind != "DELETE").then_some(Put { value: kv.value, lease, revision });
        changes.push(Change { key, revision, put });
    }
    Ok(Told::Changes(changes))
}

/// The condition that a key was last changed then.
fn is_at(key: &str, seen: i64) -> Value {
    let key = STANDARD.encode(key);
    match seen {
        0 => json!({ "key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0" }),
        seen => json!({
            "key": key, "target": "MOD", "result": "EQUAL", "mod_revision": seen.to_string(),
        }),
    }
}

fn as_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(from)?;
    as_number(&value).ok_or_else(|| serde::de::Error::custom("no number"))
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
