//! What must hold of the translator whatever has happened: for tests of any order of things.

use std::collections::HashSet;
use std::time::Duration;

use super::order::{self, Standing};
use super::session::{MAPPED, PERMITS, Session, State};
use super::tests::PORTS;
use super::*;

/// What must hold whatever has happened.
pub(super) fn check(nat: &Nat, now: Timestamp) {
    for realm in &nat.realms {
        let sessions: Vec<_> = realm.table.from(0).map(|(_, s)| *s).collect();
        let count = |flag: u8| sessions.iter().filter(|s| s.flags & flag != 0).count();

        // No two inside flows share an outside tuple, nor two outside flows an inside one.
        let outside: HashSet<_> = sessions.iter().map(|s| (s.outside_port, s.remote())).collect();
        let inner: HashSet<_> = sessions.iter().map(|s| (s.inside(), s.remote())).collect();
        assert_eq!((outside.len(), inner.len()), (sessions.len(), sessions.len()));

        // A mapped port stands for one inside endpoint.
        for s in sessions.iter().filter(|s| s.flags & MAPPED != 0) {
            assert_eq!(realm.mappings.inside(s.outside_port), Some(s.inside()));
        }
        for port in PORTS {
            let on_it = |s: &Session| s.flags & MAPPED != 0 && s.outside_port == port;
            let wanted: HashSet<_> =
                realm.table.from(0).filter(|(_, s)| on_it(s)).map(|(id, _)| id).collect();
            assert_eq!(realm.mappings.is_idle(port), wanted.is_empty());
            if let Some(linked) = realm.mappings.sessions_of(port, &realm.table.slots) {
                let linked: Vec<_> = linked.collect();
                assert_eq!(linked.len(), wanted.len());
                assert_eq!(linked.into_iter().collect::<HashSet<_>>(), wanted);
            }
        }
        // What has none has kept the port of another time.
        if realm.kind.endpoint_independent_mapping() {
            assert!(realm.protocol == Protocol::Tcp || count(MAPPED) == sessions.len());
        }

        // A published port has a mapping once it is for the uplink's address, and nothing else has.
        let live: Vec<u16> = nat
            .published
            .iter()
            .zip(&nat.owners)
            .filter(|(p, owner)| p.protocol == realm.protocol && owner.live)
            .map(|(p, _)| p.port)
            .collect();
        let mappings = &realm.mappings;
        let mut owned = 0;
        for port in 0..=u16::MAX {
            let is_one = mappings.inside(port).is_some();
            assert_eq!(mappings.is_published(port), live.contains(&port));
            assert!(is_one || !mappings.is_published(port) && !mappings.is_withdrawn(port));
            owned += u32::from(is_one && !mappings.is_published(port));
        }

        // Those that give way free the port of their mapping, or stand among the others.
        for s in sessions.iter().filter(|s| s.standing().is_some()) {
            let port = s.outside_port;
            let on_it = sessions.iter().filter(|x| x.flags & MAPPED != 0 && x.outside_port == port);
            let all = on_it
                .clone()
                .all(|x| (Some(Standing::Closed)..=s.standing()).contains(&x.standing()));
            let few = realm.mappings.is_let_go(port);
            assert_eq!(s.keeps(), s.flags & MAPPED == 0 || !few || !all, "{s:?}");
        }

        // Counts equal contents.
        assert_eq!(realm.table.live() as usize, sessions.len());
        assert_eq!(realm.table.index_lengths(), (sessions.len(), sessions.len()));
        assert_eq!(realm.quota.total().sessions as usize, sessions.len());
        assert_eq!(realm.permits.total() as usize, count(PERMITS));
        let standing = |s: &Standing| sessions.iter().filter(|x| x.standing() == Some(*s)).count();
        assert_eq!(realm.from_outside as usize, standing(&Standing::FromOutside));
        let all = order::ALL.iter().map(standing).sum::<usize>();
        assert_eq!(realm.quota.standing() as usize, all);
        let ports = &realm.mappings.ports;
        let free = PORTS.filter(|p| ports.is_free(*p)).count();
        assert_eq!(ports.available() as usize, free);
        let mapped = PORTS.filter(|p| realm.mappings.inside(*p).is_some()).count();
        assert_eq!(free + mapped, PORTS.count());
        assert_eq!(realm.quota.total().ports, owned);
        assert_eq!(mappings.len(), owned as usize + live.len());

        // Nothing outlives its lifetime by more than the second the wheel turns in.
        for s in &sessions {
            assert!(s.state != State::Free);
            assert!(s.expires + Duration::from_secs(1) > now, "{s:?} at {now:?}");
            let lifetime = s.state.lifetime(realm.protocol, &realm.lifetimes);
            assert!(s.expires <= now + lifetime, "{s:?} at {now:?}");
        }
    }
}
