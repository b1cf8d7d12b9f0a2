//! The thread that keeps a host in a network of BGP: hears of routes, sets rows, says what our nodes have
//! and takes back what they have no more.
//!
//! It holds the lab weakly and ends when told. Where the speaker does not answer rows stay as they are, and
//! it asks on; one that is back is told everything again. What the speaker has is listed every 30 s as
//! well, and made what it is to be.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use evpn::{Failed, Global, Speaker, Watching};
use overlay::evpn::{Heard, Of, Site};
use overlay::registry::Touched;
use overlay::{FdbOp, Rows};
use tokio::time::timeout;
use wire::Timestamp;

use super::super::apart::Apart;
use super::super::device::Device;
use super::super::enter::{Words, now};
use super::super::table::RECONCILE;
use super::super::{Event, Look, Shared};
use super::known::Known;
use super::tell::tell;
use crate::lab::Lab;

/// How often the speaker is asked whether it is there, and how soon again where it is not.
const BEAT: Duration = Duration::from_millis(1500);
const AGAIN: Duration = Duration::from_millis(500);
/// For what is said in one go; the rest follows.
const SPAN: Duration = Duration::from_millis(750);
const SOON: Duration = Duration::from_millis(50);
/// Until something is said again that the speaker has refused.
const LATER: Duration = Duration::from_secs(5);
/// Messages that are taken together.
const TOGETHER: usize = 256;
/// For taking back all there is, when the lab ends.
const ENDING: Duration = Duration::from_millis(2500);

/// The connection to a speaker.
pub(super) struct Line {
    speaker: Speaker,
    watching: Watching,
}

impl Line {
    /// Asks a speaker who it is and for all it has, and listens from then on. What changes between the two
    /// is heard as well; in the end it is what was heard last.
    pub(super) async fn open(at: SocketAddr) -> Result<(Self, Global, Vec<Heard>), Failed> {
        let (mut speaker, global) = Speaker::connect(at).await?;
        let watching = speaker.watch().await?;
        let all = speaker.list().await?;
        Ok((Self { speaker, watching }, global, all))
    }
}

/// Takes in who a speaker is and what it has.
pub(super) fn admit(shared: &Shared, known: &mut Known, global: &Global, all: Vec<Heard>) {
    if !known.site.exact {
        known.site = Site::usual(known.site.vni, known.site.vtep, global.asn);
    }
    known.list(all);
    let Global { asn, router_id, api } = global;
    shared.status().speaks = Some(format!("{api} of GoBGP 3, AS {asn}, router {router_id}"));
}

pub(super) struct Agent {
    shared: Arc<Shared>,
    lab: Weak<Lab>,
    at: SocketAddr,
    /// None while the speaker does not answer.
    line: Option<Line>,
    known: Known,
    alone: Option<Timestamp>,
    /// When the speaker is asked next whether it is there, and for all it has.
    beat: Timestamp,
    list: Timestamp,
    /// When something is said next.
    speak: Timestamp,
    device: Device,
    rows: Rows,
    apart: Apart,
    /// How many routes had come and gone when all was told, and what the network here was called then.
    told: Option<(i64, String)>,
    /// An address that another host's node has as well.
    conflict: Option<String>,
    /// What the speaker refused last.
    refused: Option<String>,
}

impl Agent {
    pub(super) fn new(
        (shared, lab): (Arc<Shared>, Weak<Lab>),
        (known, line): (Known, Result<Line, Failed>),
        device: Device,
    ) -> Self {
        let now = now();
        let at = shared.join.members.first().copied();
        let mut agent = Self {
            at: at.unwrap_or_else(|| ([127, 0, 0, 1], 0).into()),
            shared,
            lab,
            line: None,
            known,
            alone: None,
            beat: now + BEAT,
            list: now + RECONCILE,
            speak: now,
            device,
            rows: Rows::default(),
            apart: Apart::default(),
            told: None,
            conflict: None,
            refused: None,
        };
        match line {
            Ok(line) => agent.line = Some(line),
            Err(failed) => agent.lose(&failed),
        }
        agent
    }

    pub(super) async fn run(mut self, mut told: Words) {
        loop {
            self.keep().await;
            if !self.settle().await {
                return;
            }
            let span = self.wake().since(now());
            tokio::select! {
                word = told.recv() => match word {
                    Some(Look) => self.look(),
                    None => return self.leave().await,
                },
                said = next(&mut self.line) => self.hear(said).await,
                () = tokio::time::sleep(span) => {}
            }
        }
    }

    /// When there is something to do though nothing is heard.
    fn wake(&self) -> Timestamp {
        let mut next = self.beat.min(self.device.next().max(now() + Duration::from_millis(100)));
        if self.line.is_some() {
            next = next.min(self.list);
            // What waits to be said; what has come since is looked at anyway.
            next = if self.speak > now() { next.min(self.speak) } else { next };
        }
        self.known.table.next().map_or(next, |stale| next.min(stale))
    }

    /// Keeps the connection, or has another.
    async fn keep(&mut self) {
        let asked = now();
        if self.beat > asked && (self.list > asked || self.line.is_none()) {
            return;
        }
        self.beat = asked + BEAT;
        if self.list <= asked {
            // What was told before is not to come behind the list.
            self.hear(Ok(Vec::new())).await;
        }
        let kept = match &mut self.line {
            Some(line) if self.list <= asked => {
                self.list = asked + RECONCILE;
                line.speaker.list().await.map(|all| self.known.list(all))
            }
            Some(line) => line.speaker.ask().await.map(drop),
            None => self.open_again().await,
        };
        if let Err(failed) = kept {
            self.lose(&failed);
        }
    }

    async fn open_again(&mut self) -> Result<(), Failed> {
        let (line, global, all) = Line::open(self.at).await?;
        self.line = Some(line);
        // What was known stays for its time, and what is told now goes before it.
        self.known.renewed(now());
        admit(&self.shared, &mut self.known, &global, all);
        (self.list, self.speak) = (now() + RECONCILE, now());
        self.shared.status().alone = None;
        if self.alone.take().is_some() {
            self.shared.tell(Event::Back);
            tracing::info!("network {}: gobgpd answers again", self.shared.join.name);
        }
        Ok(())
    }

    /// The speaker does not answer: all goes on by what is known.
    fn lose(&mut self, failed: &Failed) {
        self.line = None;
        let now = now();
        self.beat = now + AGAIN;
        let news = self.alone.is_none();
        let since = *self.alone.get_or_insert(now);
        self.shared.status().alone = Some((since, failed.to_string()));
        if news {
            let network = &self.shared.join.name;
            tracing::warn!(
                "network {network}: gobgpd does not answer: {failed}; what is known goes on"
            );
            self.shared.tell(Event::Alone(failed.to_string()));
        }
    }

    /// Hears what was said, and what has come already behind it.
    async fn hear(&mut self, said: Result<Vec<Heard>, Failed>) {
        let (mut all, mut said) = (Vec::new(), Ok(said));
        for _ in 0..TOGETHER {
            match said {
                Ok(Ok(some)) => all.extend(some),
                Ok(Err(failed)) => return self.lose(&failed),
                Err(_) => break,
            }
            said = timeout(Duration::ZERO, next(&mut self.line)).await;
        }
        // A speaker that is stopped takes back what its neighbours have said, and then it is none. What it
        // takes back while it is one has gone.
        if all.iter().any(|heard| heard.says.is_none())
            && let Some(line) = &mut self.line
            && let Err(failed) = line.speaker.ask().await
        {
            return self.lose(&failed);
        }
        self.known.hear(all);
    }

    /// Looks at the nodes there are.
    fn look(&mut self) {
        let Some(lab) = self.lab.upgrade() else { return };
        lab.refresh_claims(&self.shared);
        self.told = None;
    }

    /// Makes rows, routes and what is told what they are to be. False once the lab is gone.
    pub(super) async fn settle(&mut self) -> bool {
        let Some(lab) = self.lab.upgrade() else { return false };
        let now = now();
        if self.device.next() <= now {
            lab.refresh_claims(&self.shared);
        }
        if self.known.table.next().is_some_and(|stale| stale <= now) {
            self.known.table.expire(now);
            self.told = None;
        }
        let wanted = self.shared.wanted().clone();
        self.known.set_own(&wanted);
        self.set_rows(&lab, now);
        if self.speak <= now {
            self.say().await;
        }
        let told = (self.known.heard, self.shared.network());
        if self.told.as_ref() != Some(&told) {
            let renamed = self.told.as_ref().is_none_or(|(_, network)| *network != told.1);
            self.told = Some(told);
            self.conflict = self.known.conflict(&wanted);
            if (tell(&self.shared, &self.known) || renamed)
                && let Err(error) = lab.tell_known()
            {
                tracing::warn!("questions for other hosts' nodes go on to them: {error}");
            }
            lab.tell_gateway(&lab.state());
        }
        let taken = self.known.taken(&wanted);
        self.apart.set((&lab, &self.shared), taken);
        let amiss = self.device.amiss.clone().or_else(|| self.conflict.clone());
        self.shared.tell_amiss(amiss);
        true
    }

    fn set_rows(&mut self, lab: &Arc<Lab>, now: Timestamp) {
        let known = &mut self.known.table;
        let Touched::Some { macs, hosts } = known.take_touched() else { return };
        if hosts || !macs.is_empty() {
            self.device.let_in(&known.ends());
        }
        let floods = hosts.then(|| known.floods());
        let steps: Vec<FdbOp> = self.rows.step(macs, |mac| known.whereabouts(mac), floods);
        self.device.put_back((lab, &self.shared), &known.ends());
        self.device.settle((lab, &self.shared), (self.rows.all(), &steps), now);
    }

    /// Says what our nodes have and takes back what they have no more, as far as there is time for.
    async fn say(&mut self) {
        let Some(line) = &mut self.line else { return };
        let (begun, site) = (now(), self.known.site);
        let (new, gone) = self.known.due();
        let new = new.into_iter().map(|(of, number)| (of, Some(number)));
        for (of, number) in new.chain(gone.into_iter().map(|of| (of, None))) {
            if now().since(begun) > SPAN {
                self.speak = now() + SOON;
                return;
            }
            let done = match number {
                Some(number) => line.speaker.say(&site, of, number).await,
                None => line.speaker.take_back(&site, of).await,
            };
            match (done, number, of) {
                (Ok(()), Some(number), _) => self.known.said(of, number),
                (Ok(()), None, _) => self.known.took_back(of),
                (Err(Failed::Low(_)), _, Of::Mac(mac, _)) => {
                    self.known.table.raise(mac);
                    self.speak = now() + SOON;
                }
                (Err(Failed::Silent(at, why)), ..) => return self.lose(&Failed::Silent(at, why)),
                (Err(failed), ..) => {
                    let why = failed.to_string();
                    if self.refused.as_ref() != Some(&why) {
                        tracing::warn!("network {}: {why}", self.shared.join.name);
                        self.refused = Some(why);
                    }
                    // The others may be taken.
                    self.speak = now() + LATER;
                }
            }
        }
    }

    /// Leaves: what was said is taken back, and nothing of the others is left here.
    async fn leave(mut self) {
        if let Some(lab) = self.lab.upgrade() {
            self.apart.undo(&lab, &self.shared);
        }
        if self.shared.stays() {
            return;
        }
        let (all, site) = (self.known.all(), self.known.site);
        let count = all.len();
        let taken_back = async {
            let Some(line) = &mut self.line else { return false };
            for of in all {
                if line.speaker.take_back(&site, of).await.is_err() {
                    return false;
                }
            }
            true
        };
        if !timeout(ENDING, taken_back).await.unwrap_or(false) && count > 0 {
            let network = &self.shared.join.name;
            tracing::warn!(
                "network {network}: gobgpd may keep routes of this lab, up to {count}: `gobgp global rib \
                 del all -a evpn`, or restart it"
            );
        }
    }
}

/// What the speaker tells next; never, where there is no connection.
async fn next(line: &mut Option<Line>) -> Result<Vec<Heard>, Failed> {
    match line {
        Some(line) => line.watching.next().await,
        None => std::future::pending().await,
    }
}
