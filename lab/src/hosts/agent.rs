//! The thread that keeps a host in its network: renews the lease, follows what changes, sets rows, and
//! claims again what went with a lease that was lost.
//!
//! It holds the lab weakly and ends when told. Nothing it meets ends it before: where etcd does not
//! answer, rows stay as they are, and it asks on.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use overlay::session::TTL;
use overlay::{Due, Registry, Rows, Session};
use wire::Timestamp;

use super::apart::Apart;
use super::device::Device;
use super::enter::{self, Words, now};
use super::etcd::{Etcd, Listed, Told, Watching};
use super::heard::Heard;
use super::http::Failed;
use super::present::Own;
use super::{Event, Look, Remote, Shared};
use crate::lab::Lab;

/// Changes that are taken together.
const TOGETHER: usize = 256;
/// Between two watches of which the first has failed.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Agent {
    pub(super) shared: Arc<Shared>,
    pub(super) lab: Weak<Lab>,
    pub(super) etcd: Etcd,
    pub(super) session: Session,
    pub(super) registry: Registry,
    /// None until the registry has been listed, and where it is to be listed anew.
    pub(super) watching: Option<Watching>,
    pub(super) listed: bool,
    /// What is listed already, and as of when: all but addresses.
    nodes: Option<Listed>,
    heard: Heard,
    pub(super) own: Own,
    /// The lease by which the host is there.
    pub(super) present: Option<i64>,
    pub(super) device: Device,
    /// The rows there are to be.
    pub(super) rows: Rows,
    /// They are what an earlier process has left, for the registry has told nothing yet.
    pub(super) left: bool,
    /// The revision of which all is told, and what the network here was called then.
    pub(super) told: Option<(i64, String)>,
    /// Nodes that are cut off.
    pub(super) apart: Apart,
    /// Other hosts' nodes that are known by their names.
    pub(super) named: BTreeMap<String, Remote>,
    /// What the network here was called then.
    pub(super) named_in: String,
    pub(super) next_claim: Timestamp,
    /// A watch that has failed is asked for again then.
    next_watch: Timestamp,
    /// Since when etcd has refused something, though it may renew the lease all the while.
    refused: Option<Timestamp>,
}

impl Agent {
    pub(super) fn new(
        (shared, lab): (Arc<Shared>, Weak<Lab>),
        (etcd, session): (Etcd, Session),
        (device, rows): (Device, Rows),
    ) -> Self {
        let named_in = shared.network();
        let registry = Registry::new(shared.space.clone()).at(&shared.join.host, shared.join.vtep);
        Self {
            present: session.lease(),
            shared,
            lab,
            etcd: etcd.brief(),
            session,
            registry,
            watching: None,
            listed: false,
            nodes: None,
            heard: Heard::default(),
            own: Own::default(),
            device,
            left: !rows.all().is_empty(),
            rows,
            told: None,
            apart: Apart::default(),
            named: BTreeMap::new(),
            named_in,
            next_claim: Timestamp::ZERO,
            next_watch: Timestamp::ZERO,
            refused: None,
        }
    }

    /// Learns the hosts and nodes there are, which may have been listed, and sets their rows. What makes
    /// sure that each address is one node's follows: it is twice as much to be listed.
    pub(super) async fn begin(&mut self, nodes: Option<Listed>) {
        self.keep().await;
        if self.session.alone().is_some() {
            self.settle().await;
            return;
        }
        let listed = match nodes {
            Some(nodes) => Ok(nodes),
            None => self.etcd.list(&self.shared.space.nodes(), 0).await,
        };
        match listed {
            Ok((nodes, revision)) => {
                self.registry.replace_by_nodes(revision, nodes.clone());
                self.listed = true;
                self.settle().await;
                self.nodes = Some((nodes, revision));
                (self.listed, self.told) = (false, None);
            }
            Err(failed) => self.alone(&failed),
        }
    }

    pub(super) async fn run(mut self, mut told: Words) {
        loop {
            self.keep().await;
            self.follow().await;
            if !self.settle().await {
                return;
            }
            let until = self.wake();
            let span = until.since(now());
            tokio::select! {
                word = told.recv() => match word {
                    Some(Look) => self.look(),
                    None => return self.leave().await,
                },
                said = next(&mut self.watching) => {
                    self.hear(said);
                    self.hear_more().await;
                }
                () = tokio::time::sleep(span) => {}
            }
        }
    }

    /// When there is something to do though nothing is heard.
    fn wake(&self) -> Timestamp {
        let now = now();
        let session = match self.session.due(now) {
            Due::At(at) => at,
            Due::Grant | Due::Renew(_) => now,
        };
        let watch = match (&self.watching, self.heard.due()) {
            (None, _) if self.session.alone().is_none() => self.next_watch.max(now),
            (Some(_), Some(due)) => due,
            _ => session,
        };
        let claim = if self.next_claim > now { self.next_claim } else { session };
        let has_rows = self.left || self.is_known();
        let rows = if has_rows { self.device.next() } else { session };
        session.min(watch).min(claim).min(rows.max(now + Duration::from_millis(100)))
    }

    /// Renews the lease, or asks for another and is there again.
    async fn keep(&mut self) {
        let asked = now();
        let was_alone = self.session.alone().is_some();
        let kept = match self.session.due(asked) {
            Due::At(_) => return,
            Due::Renew(id) => match self.etcd.renew(id).await {
                Ok(Some(ttl)) => Ok((id, ttl)),
                Ok(None) => {
                    self.session.lost(now());
                    // It may be another etcd, or an empty one: all that was heard may be of the one before,
                    // however far this one is by now.
                    (self.watching, self.listed) = (None, false);
                    self.shared.status().lease = None;
                    self.present = None;
                    self.shared.status().leases_lost += 1;
                    self.etcd.grant(TTL).await
                }
                Err(failed) => Err(failed),
            },
            Due::Grant => self.etcd.grant(TTL).await,
        };
        let kept = match kept {
            Ok((id, ttl)) => {
                self.session.granted(id, ttl, asked);
                if self.present == Some(id) { Ok(Some(id)) } else { self.appear(id).await }
            }
            Err(failed) => Err(failed),
        };
        match kept {
            Ok(present) => {
                self.shared.status().lease = present;
                // Whether it takes again what it has refused is seen when that is asked for; a host that is out
                // claims nothing.
                match self.refused {
                    Some(_) if present.is_none() => self.taken(),
                    None => self.back(was_alone),
                    Some(_) => self.next_claim = self.next_claim.min(now()),
                }
            }
            Err(failed) => self.alone(&failed),
        }
        // Another cluster, or one that was put back to what it was: there is nothing to wait for.
        if self.listed && self.etcd.at < self.registry.revision() {
            (self.watching, self.listed) = (None, false);
        }
        if self.etcd.at < i64::MAX && self.session.alone().is_none() {
            self.heard.seen(self.etcd.at, now());
        }
    }

    /// Lets go of a watch that tells nothing any more. It is with the member that answers, whoever has asked
    /// last: one without a quorum tells nothing new, and one that is frozen nothing at all.
    fn doubt(&mut self) {
        let Some(watching) = &self.watching else { return };
        let deaf = self.heard.due().is_some_and(|due| due <= now());
        if self.session.alone().is_some() || watching.by != self.etcd.members.current() || deaf {
            self.watching = None;
        }
    }

    /// etcd answers, and refuses nothing.
    pub(super) fn back(&mut self, was_alone: bool) {
        self.shared.status().alone = None;
        if was_alone {
            self.shared.tell(Event::Back);
            tracing::info!("network {}: etcd answers again", self.shared.join.name);
        }
    }

    /// What may have been refused was not.
    pub(super) fn taken(&mut self) {
        if self.refused.take().is_some() {
            self.back(true);
        }
    }

    pub(super) fn alone(&mut self, failed: &Failed) {
        let now = now();
        let news = self.session.failed(now) && self.refused.is_none();
        let since = self.refused.or(self.session.alone()).unwrap_or(now);
        if !matches!(failed, Failed::Silent(_)) {
            self.refused.get_or_insert(since);
        }
        self.shared.status().alone = Some((since, failed.to_string()));
        if news {
            let network = &self.shared.join.name;
            let what = match failed {
                Failed::Shut(_) => "etcd does not let this host in",
                Failed::Refused(..) => "etcd refuses what it is asked for",
                Failed::Silent(_) => "etcd does not answer",
            };
            tracing::warn!("network {network}: {what}: {failed}; what is known goes on");
            self.shared.tell(Event::Alone(failed.to_string()));
        }
    }

    /// What the network is that is not as this host has it: others came first where etcd was emptied, or
    /// somebody has changed it.
    pub(super) fn unlike(&self) -> Option<String> {
        let what = self.registry.agreed()?.ok()?.unlike(&self.shared.config)?;
        let network = self.shared.space.network();
        Some(format!("network {network} has {what} by now: make them the same, and join again"))
    }

    /// Is in the network by a new lease; None where another has come by this host's name or its address,
    /// or the network is another one. Nothing of ours is there then. The lease is kept, and it is tried again with each renewal.
    pub(super) async fn appear(&mut self, lease: i64) -> Result<Option<i64>, Failed> {
        let out = match self.unlike() {
            None => enter::host(&mut self.etcd, &self.shared, lease).await?,
            unlike => unlike,
        };
        self.present = out.is_none().then_some(lease);
        let before = std::mem::replace(&mut self.shared.status().out, out.clone());
        let network = &self.shared.join.name;
        match out {
            None => {
                self.next_claim = Timestamp::ZERO;
                if before.is_some() {
                    tracing::info!("network {network}: this host is in it again");
                }
            }
            Some(why) if before.is_none() => {
                tracing::warn!("{why}; until then this host's nodes are cut off from the others");
            }
            Some(_) => {}
        }
        Ok(self.present)
    }

    /// Has the list and a watch that begins behind it.
    async fn follow(&mut self) {
        self.doubt();
        if self.session.alone().is_some() || self.watching.is_some() || now() < self.next_watch {
            return;
        }
        if !self.listed {
            match self.list().await {
                Ok((all, revision)) => {
                    self.registry.replace(revision, all);
                    self.listed = true;
                }
                Err(failed) => return self.alone(&failed),
            }
        }
        match self.etcd.watch(&self.shared.space.all(), self.registry.revision() + 1).await {
            Ok(watching) => {
                self.watching = Some(watching);
                let at = if self.etcd.at < i64::MAX { self.etcd.at } else { 0 };
                self.heard.opened(at.max(self.registry.revision()));
            }
            Err(_) => self.watch_later(),
        }
    }

    /// All there is, as of one revision.
    async fn list(&mut self) -> Result<Listed, Failed> {
        let space = self.shared.space.clone();
        if let Some((mut all, revision)) = self.nodes.take()
            && let Ok((rest, _)) = self.etcd.list(&[space.addresses()], revision).await
        {
            all.extend(rest);
            return Ok((all, revision));
        }
        self.etcd.list(&[space.all()], 0).await
    }

    fn watch_later(&mut self) {
        self.etcd.members.pass_on();
        self.next_watch = now() + PAUSE;
    }

    fn hear(&mut self, said: Result<Told, Failed>) {
        match said {
            Ok(Told::Changes(changes)) => {
                for change in &changes {
                    self.registry.apply(change);
                    self.heard.told(change.revision);
                }
            }
            Ok(Told::Compacted) => {
                self.listed = false;
                self.watching = None;
            }
            Err(failed) => {
                tracing::debug!("network {}: the watch ended: {failed}", self.shared.join.name);
                // What it was about to tell may be too much for it: the list comes in pages.
                (self.watching, self.listed) = (None, false);
                self.watch_later();
            }
        }
    }

    /// What has come already is taken together.
    async fn hear_more(&mut self) {
        for _ in 0..TOGETHER {
            let more = tokio::time::timeout(Duration::ZERO, next(&mut self.watching)).await;
            let Ok(said) = more else { return };
            self.hear(said);
        }
    }

    /// Looks at the nodes there are.
    fn look(&mut self) {
        let Some(lab) = self.lab.upgrade() else { return };
        lab.refresh_claims(&self.shared);
        self.next_claim = Timestamp::ZERO;
    }

    /// Leaves: what was claimed is free at once, and nothing of the others is left here.
    async fn leave(mut self) {
        if let Some(lab) = self.lab.upgrade() {
            self.undo(&lab);
        }
        if let Some(lease) = self.session.lease()
            && !self.shared.stays()
            && self.session.alone().is_none()
            && let Err(failed) = self.etcd.revoke(lease).await
        {
            let left = TTL.as_secs();
            tracing::warn!("etcd keeps what this lab has claimed for {left} s more: {failed}");
        }
    }
}

/// What a watch tells next; never, where there is none.
async fn next(watching: &mut Option<Watching>) -> Result<Told, Failed> {
    match watching {
        Some(watching) => watching.next().await,
        None => std::future::pending().await,
    }
}
