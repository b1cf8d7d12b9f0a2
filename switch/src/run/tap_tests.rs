//! What a tap is shown: the tag that a frame has at each port it leaves by, and what the switch says
//! itself.

use std::sync::Mutex;

use wire::{Arp, VlanTag, arp};

use super::*;
use crate::core::{Exit, PortVlans, VlanFilter};
use crate::tap::{Outcome, Tap, TapRecord};

type Tags = [Option<VlanTag>; 2];

/// Where a frame came in, how it ended, its length, and where it left, with which tags.
type Row = (Option<PortId>, Outcome, usize, Vec<(PortId, Tags)>);

/// Writes down what it is shown; wants frames with a tag alone.
#[derive(Default)]
struct Notebook(Mutex<Vec<Row>>);

impl Tap for Notebook {
    fn wants(&self, _: &[u8], vlan: Option<VlanTag>, _: u32) -> bool {
        vlan.is_some()
    }

    fn frame(&self, record: &TapRecord<'_>) {
        let left = record.egress.iter().map(|exit: &Exit| (exit.port, record.tags(*exit)));
        let row = (record.ingress, record.outcome, record.before.len(), left.collect());
        self.0.lock().unwrap().push(row);
    }
}

impl Stand {
    fn watched(ports: u16) -> (Self, Arc<Notebook>) {
        let (mut stand, notebook) = (Self::new(ports), Arc::new(Notebook::default()));
        let tap: Arc<dyn Tap> = Arc::<Notebook>::clone(&notebook);
        stand.tell(Command::Tap(Some(tap)));
        (stand, notebook)
    }

    fn set(&mut self, port: u16, change: impl FnOnce(&mut PortState)) {
        let id = PortId(port);
        let mut state = self.worker.bridge.port(id).unwrap();
        change(&mut state);
        self.tell(Command::State { id, state });
    }
}

const TEN: VlanTag = VlanTag { tpid: 0x8100, tci: 10 };

#[test]
fn a_frame_is_shown_with_the_tag_it_has_where_it_leaves() {
    let (mut stand, notebook) = Stand::watched(3);
    stand.worker.bridge.set_network(
        NetworkId::FIRST,
        NetworkConfig { vlans: Some(VlanFilter::default()), ..NetworkConfig::default() },
    );
    let mut tagged = PortVlans::none();
    tagged.add(TEN.id(), false);
    for port in [0, 2] {
        stand.set(port, |state| state.vlans = PortVlans::access(TEN.id()).into());
    }
    stand.set(1, |state| state.vlans = tagged.into());
    // It comes without a tag, of which alone the tap is asked.
    stand.put(0, &frame(MacAddr::BROADCAST, mac(1), 60));
    while stand.worker.turn(stand.now) > 0 {}
    let tags = |tags: Tags| tags.map(|tag| tag.map(|tag| (tag.tpid, tag.tci)));
    let sent: Vec<_> =
        stand.worker.links.main.sent.drain(..).map(|s| (s.ifindex, s.tags)).collect();
    assert_eq!(sent, [(ifindex(1), tags([Some(TEN), None])), (ifindex(2), [None; 2])]);
    let left = vec![(PortId(1), [Some(TEN), None]), (PortId(2), [None; 2])];
    let shown = std::mem::take(&mut *notebook.0.lock().unwrap());
    assert_eq!(shown, [(Some(PortId(0)), Outcome::Flooded, 60, left)]);
    // And the other way, by a port at which it loses its tag.
    stand.worker.links.main.put(ifindex(1), Some((TEN.tpid, TEN.tci)), &frame(mac(1), mac(2), 60));
    stand.work();
    let left = vec![(PortId(0), [None; 2])];
    let shown = std::mem::take(&mut *notebook.0.lock().unwrap());
    assert_eq!(shown, [(Some(PortId(1)), Outcome::Forwarded(PortId(0)), 60, left)]);
}

#[test]
fn what_the_switch_says_is_shown_behind_what_it_answers() {
    let (mut stand, notebook) = Stand::watched(3);
    stand.put(1, &frame(mac(9), mac(2), 60));
    stand.work();
    let [asker, target] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(std::net::Ipv4Addr::from);
    let known = Arc::new(BTreeMap::from([(target.into(), mac(2))]));
    stand.tell(Command::Neighbours { id: NetworkId::FIRST, known });
    stand.set(1, |state| state.settings.neigh_suppress = true);
    let question = Arp {
        operation: arp::Operation::Request,
        sender_mac: mac(1),
        sender: asker,
        target_mac: MacAddr::ZERO,
        target,
    };
    let mut bytes = frame(MacAddr::BROADCAST, mac(1), 14);
    bytes[12..14].copy_from_slice(&[8, 6]);
    bytes.extend(question.to_bytes());
    stand.put(0, &bytes);
    assert_eq!(stand.work(), [ifindex(2), ifindex(0)], "asked of the one, answered for the other");
    let answer = vec![(PortId(0), [None; 2])];
    let said = (Some(PortId::LOCAL), Outcome::Said, 42, answer);
    assert_eq!(*notebook.0.lock().unwrap(), [said], "the tap does not want the question");
    notebook.0.lock().unwrap().clear();
    // A probe for loops, by the clock.
    stand.set(2, |state| state.settings.loop_protect = true);
    stand.pass(Duration::from_secs(3));
    assert_eq!(stand.work(), [ifindex(2)]);
    let shown = notebook.0.lock().unwrap();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!((shown[0].1, &shown[0].3[..]), (Outcome::Said, &[(PortId(2), [None; 2])][..]));
}
