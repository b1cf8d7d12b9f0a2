//! What is bundled and taken apart again, as Linux does (`__udp_gso_segment`), is what it was.

use proptest::prelude::*;
use wire::vnet;

use super::*;

/// Where TCP's checksum lies in an inner packet that is nothing but a TCP header and data.
const INNER_CHECKSUM: usize = 16;

/// `[vnet header | frame]`.
type Memory = Vec<u8>;

/// A tunnel's datagram: its flow, identification, and bytes behind the UDP header, in which a
/// checksum is still to be made.
#[derive(Clone, Debug)]
struct Sent {
    v6: bool,
    port: u8,
    id: u16,
    ecn: u8,
    payload: Vec<u8>,
}

impl Sent {
    fn memory(&self) -> Memory {
        let length = u16::try_from(udp::HEADER_LEN + self.payload.len()).unwrap();
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, self.ecn << 4, 0, 7]);
            frame.extend(length.to_be_bytes());
            frame.extend([17, 64]);
            frame.extend([0xfd; 32]);
        } else {
            frame.extend([8, 0, 0x45, self.ecn]);
            frame.extend((length + 20).to_be_bytes());
            frame.extend(self.id.to_be_bytes());
            frame.extend([0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            let sum = checksum::checksum(&frame[IP..]);
            put16(&mut frame, V4_CHECKSUM, sum);
        }
        frame.extend([0xc0, self.port, 0x12, 0xb5]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
        let vnet = VnetHeader {
            flags: NEEDS_CSUM,
            csum_start: u16::try_from(frame.len()).unwrap(),
            csum_offset: u16::try_from(INNER_CHECKSUM).unwrap(),
            ..VnetHeader::default()
        };
        frame.extend(&self.payload);
        [&vnet.to_bytes(), frame.as_slice()].concat()
    }
}

fn byte(n: usize) -> u8 {
    u8::try_from(n % 251).unwrap()
}

fn view(memory: &mut Memory) -> FrameMut<'_> {
    FrameMut::new(memory, None).unwrap()
}

/// What a port's queue becomes: frames in their order, bundled where they can be.
fn queue(sent: &[Sent]) -> Vec<Memory> {
    let mut out: Vec<Memory> = Vec::new();
    let mut open: Option<Bundle> = None;
    for sent in sent {
        let mut memory = sent.memory();
        let datagram = Datagram::read(&view(&mut memory));
        match (&mut open, datagram) {
            (Some(bundle), Some(next)) if bundle.takes(&next) => {
                settle(&mut view(&mut memory));
                let head = out.last_mut().unwrap();
                bundle.add(&next, &mut view(head));
                head.extend(&memory[vnet::LEN + next.headers()..]);
            }
            (_, datagram) => {
                open = datagram.map(Bundle::new);
                out.push(memory);
            }
        }
    }
    out
}

/// The frames that a frame stands for, with all their checksums.
fn apart(memory: &Memory) -> Vec<Vec<u8>> {
    let mut memory = memory.clone();
    let vnet = view(&mut memory).vnet();
    if vnet.gso() == GsoType::None {
        return vec![finished(memory)];
    }
    assert_eq!((vnet.gso(), vnet.flags), (GsoType::UdpL4, NEEDS_CSUM));
    let frame = &memory[vnet::LEN..];
    let (headers, payload) = frame.split_at(usize::from(vnet.hdr_len));
    let udp = usize::from(vnet.csum_start);
    assert_eq!((udp + 8, vnet.csum_offset), (headers.len(), 6));
    assert_eq!(usize::from(get16(headers, udp + 4).unwrap()), 8 + payload.len());
    // What the field holds is the sum of the pseudo-header of the whole.
    let addresses = if headers.len() == HEADERS { &headers[22..54] } else { &headers[26..34] };
    let pseudo = checksum::sum(addresses) + 17 + 8 + payload.len() as u64;
    assert_eq!(get16(headers, udp + 6), Some(checksum::fold(pseudo)));
    if headers.len() < HEADERS {
        assert_eq!(checksum::checksum(&headers[IP..IP + V4]), 0, "the IPv4 header's own");
        assert_eq!(usize::from(get16(headers, V4_LENGTH).unwrap()), 28 + payload.len());
    } else {
        assert_eq!(usize::from(get16(headers, V6_LENGTH).unwrap()), 8 + payload.len());
    }
    let cut = payload.chunks(usize::from(vnet.gso_size)).enumerate();
    let whole = cut.map(|(n, payload)| {
        let mut frame = [headers, payload].concat();
        let length = u16::try_from(8 + payload.len()).unwrap();
        put16(&mut frame, udp + 4, length);
        if headers.len() < HEADERS {
            put16(&mut frame, V4_LENGTH, length + 20);
            let id = get16(headers, V4_ID).unwrap();
            put16(&mut frame, V4_ID, id.wrapping_add(u16::try_from(n).unwrap()));
            put16(&mut frame, V4_CHECKSUM, 0);
            let sum = checksum::checksum(&frame[IP..IP + V4]);
            put16(&mut frame, V4_CHECKSUM, sum);
        } else {
            put16(&mut frame, V6_LENGTH, length);
        }
        finished([&[0; vnet::LEN], frame.as_slice()].concat())
    });
    whole.collect()
}

/// A single frame with its checksums made, the one of UDP without regard to what it was.
fn finished(mut memory: Memory) -> Vec<u8> {
    settle(&mut view(&mut memory));
    let mut frame = memory.split_off(vnet::LEN);
    let (udp, addresses) = if frame[12] == 8 { (IP + V4, 26..34) } else { (IP + V6, 22..54) };
    put16(&mut frame, udp + 6, 0);
    let length = (frame.len() - udp) as u64;
    let sum = checksum::sum(&frame[addresses]) + 17 + length + checksum::sum(&frame[udp..]);
    put16(&mut frame, udp + 6, !checksum::fold(sum));
    frame
}

/// `count` datagrams of one flow, as a stack cuts a segment: `last` is the size of the last.
fn segment(v6: bool, first_id: u16, count: usize, size: usize, last: usize) -> Vec<Sent> {
    let one = |n: usize| Sent {
        v6,
        port: 1,
        id: first_id.wrapping_add(u16::try_from(n).unwrap()),
        ecn: 0,
        payload: (0..if n + 1 == count { last } else { size }).map(|i| byte(i * 7 + n)).collect(),
    };
    (0..count).map(one).collect()
}

#[test]
fn a_segment_cut_by_its_sender_is_one_frame_again() {
    for v6 in [false, true] {
        let sent = segment(v6, 65_530, 45, 1_430, 700);
        let out = queue(&sent);
        assert_eq!(out.len(), 1);
        let all: Vec<_> = sent.iter().map(|sent| finished(sent.memory())).collect();
        assert_eq!(apart(&out[0]), all);
    }
}

#[test]
fn a_short_one_is_the_last_and_the_next_segment_a_frame_of_its_own() {
    let sent = [segment(false, 0, 3, 1_000, 999), segment(false, 3, 3, 1_000, 1_000)].concat();
    let sizes: Vec<_> = queue(&sent).iter().map(|out| apart(out).len()).collect();
    assert_eq!(sizes, [3, 3]);
    // A longer one than the first does not fit either.
    let sent = [segment(false, 0, 2, 100, 100), segment(false, 2, 2, 101, 101)].concat();
    assert_eq!(queue(&sent).len(), 2);
}

#[test]
fn no_bundle_is_longer_than_a_packet_or_has_more_than_its_number() {
    let most = |size| apart(&queue(&segment(false, 0, 100, size, size))[0]).len();
    assert_eq!((most(20), most(1_430), most(9_000)), (MOST, 45, 7));
    let bundle = |count| {
        let sent = segment(true, 0, count, 1_430, 1_430);
        let mut memory: Vec<_> = sent.iter().map(Sent::memory).collect();
        let read: Vec<_> =
            memory.iter_mut().map(|memory| Datagram::read(&view(memory)).unwrap()).collect();
        let mut bundle = Bundle::new(read[0]);
        read[1..].iter().for_each(|next| bundle.add(next, &mut view(&mut memory[0])));
        bundle.is_open()
    };
    assert!(bundle(44) && !bundle(45));
}

#[test]
fn what_differs_in_more_than_its_length_leaves_alone() {
    let one = &segment(false, 0, 1, 200, 200)[0];
    let next = Sent { id: 1, ..one.clone() };
    let together = |next: Sent| queue(&[one.clone(), next]).len() == 1;
    assert!(together(next.clone()));
    assert!(!together(Sent { id: 2, ..next.clone() }));
    assert!(!together(Sent { port: 2, ..next.clone() }));
    assert!(!together(Sent { ecn: 3, ..next.clone() }));
    assert!(!together(Sent { v6: true, ..next.clone() }));
    assert!(!together(Sent { payload: vec![1; 201], ..next.clone() }));
    let mut memory = one.memory();
    let bundle = Bundle::new(Datagram::read(&view(&mut memory)).unwrap());
    let of_flow =
        |next: Sent| bundle.is_of_flow(&Datagram::read(&view(&mut next.memory())).unwrap());
    assert!(of_flow(Sent { ecn: 3, id: 9, payload: vec![1; 300], ..one.clone() }));
    assert!(!of_flow(Sent { port: 2, ..one.clone() }));
    assert!(!of_flow(Sent { v6: true, ..one.clone() }));
}

#[test]
fn only_tunnels_that_leave_a_sum_to_be_made_are_read() {
    let sent = &segment(false, 0, 1, 200, 200)[0];
    let reads = |change: &dyn Fn(&mut VnetHeader, &mut [u8])| {
        let mut memory = sent.memory();
        let mut view = view(&mut memory);
        let mut vnet = view.vnet();
        change(&mut vnet, view.bytes);
        view.set_vnet(vnet);
        Datagram::read(&view).is_some()
    };
    assert!(reads(&|_, _| ()));
    assert!(!reads(&|vnet, _| vnet.flags = 0), "a finished one");
    assert!(!reads(&|vnet, _| vnet.csum_start = 34), "a datagram of a socket");
    assert!(!reads(&|vnet, _| vnet.gso_type = GSO_UDP_L4), "segments already");
    assert!(!reads(&|_, bytes| bytes[V4_FRAGMENT] = 0x20), "a fragment");
    assert!(!reads(&|_, bytes| bytes[V4_PROTOCOL] = 6), "TCP");
    assert!(!reads(&|_, bytes| bytes[IP] = 0x46), "options");
    assert!(!reads(&|_, bytes| bytes[12] = 0x81), "a tag in the frame");
    assert!(!reads(&|_, bytes| bytes[V4_LENGTH + 1] -= 1), "padding");
    assert!(reads(&|_, bytes| bytes[V4_FRAGMENT] = 0x40), "not to be fragmented");
}

proptest! {
    /// Whatever is queued: the datagrams come out as they went in, each once and in order, and a
    /// frame that found no other is unchanged.
    #[test]
    fn what_goes_in_comes_out(
        sent in prop::collection::vec(
            (0u8..2, 0u16..3, 0u8..8, 0u8..8, 18usize..60).prop_map(|(port, skip, v6, ecn, size)| {
                let size = if size > 40 { 40 } else { size };
                (skip, Sent {
                    v6: v6 == 0, port, id: 0, ecn: u8::from(ecn == 0), payload: vec![port; size],
                })
            }),
            1..200,
        ),
    ) {
        let mut id = 65_500u16;
        let sent: Vec<_> = sent.into_iter().enumerate().map(|(n, (skip, sent))| {
            id = id.wrapping_add(if skip == 0 { 2 } else { 1 });
            let mut payload = sent.payload.clone();
            payload[17] = byte(n);
            Sent { id, payload, ..sent }
        }).collect();
        let out = queue(&sent);
        let all: Vec<_> = sent.iter().map(|sent| finished(sent.memory())).collect();
        prop_assert_eq!(out.iter().flat_map(apart).collect::<Vec<_>>(), all);
        let mut at = 0;
        for out in &out {
            let frames = apart(out).len();
            if frames == 1 {
                prop_assert_eq!(out, &sent[at].memory());
            }
            at += frames;
        }
    }

    /// Bytes of any kind are read without a panic, and never as more than there are.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120), v6: bool) {
        let mut memory = bytes;
        if memory.len() > 40 {
            memory[0] = NEEDS_CSUM;
            memory[1] = 0;
            memory[22..25].copy_from_slice(if v6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x45] });
        }
        if let Some(frame) = FrameMut::new(&mut memory, None)
            && let Some(datagram) = Datagram::read(&frame)
        {
            prop_assert!(datagram.headers() < frame.bytes.len());
        }
    }
}
