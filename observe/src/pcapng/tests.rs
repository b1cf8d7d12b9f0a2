use super::*;

use proptest::prelude::*;

/// Splits a file into blocks, checking both lengths of each.
fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    while !file.is_empty() {
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| file[at + i]));
        let length = word(4) as usize;
        assert_eq!(length % 4, 0);
        assert_eq!(word(length - 4) as usize, length);
        found.push((word(0), file[8..length - 4].to_vec()));
        file = &file[length..];
    }
    found
}

#[test]
fn blocks_come_in_order_and_are_whole() {
    let mut writer = Writer::new("uswitch", "icmp");
    let id = writer.interface("veth1", "net1");
    for len in 0..9 {
        writer.packet(&Packet {
            interface: id,
            time: 1_700_000_000_123_456_789,
            direction: Direction::Out,
            bytes: &vec![7; len],
            length: 90,
            lost: 0,
            comment: "forwarded to veth2",
        });
    }
    writer.statistics(id, &Statistics { received: Some(3), ..Statistics::default() });
    let kinds: Vec<u32> = blocks(&writer.take()).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[..2], [block::SECTION, block::INTERFACE]);
    assert_eq!(kinds[2..11], [block::PACKET; 9]);
    assert_eq!(kinds[11..], [block::STATISTICS]);
    assert_eq!(writer.pending(), 0);
}

#[test]
fn a_long_comment_is_clipped_between_characters() {
    let mut writer = Writer::new("", "");
    let id = writer.interface("a", "");
    let comment = "ä".repeat(40_000);
    let packet = Packet {
        interface: id,
        time: 0,
        direction: Direction::In,
        bytes: &[],
        length: 0,
        lost: 1,
        comment: &comment,
    };
    writer.packet(&packet);
    let (_, body) = blocks(&writer.take()).pop().unwrap();
    // Behind the fixed part, the flags and the drop count stands the comment.
    let options = &body[20 + 8 + 12..];
    assert_eq!(u16::from_le_bytes([options[0], options[1]]), option::COMMENT);
    let length = usize::from(u16::from_le_bytes([options[2], options[3]]));
    assert!(length <= LONGEST && std::str::from_utf8(&options[4..4 + length]).is_ok());
}

#[test]
fn what_is_written_is_read_back_in_pieces_of_any_size() {
    let mut writer = Writer::new("uswitch", "icmp");
    let ids = ["veth1", "uplink"].map(|name| writer.interface(name, "net1"));
    let frames: Vec<Stored> = (0u8..20)
        .map(|n| Stored {
            interface: usize::from(n % 2),
            time: 1_700_000_000_123_456_789 + u64::from(n),
            direction: if n % 3 == 0 { Direction::Out } else { Direction::In },
            bytes: vec![n; usize::from(n)],
            length: usize::from(n) + 40,
            comment: if n % 4 == 0 { String::new() } else { format!("number {n}") },
        })
        .collect();
    for frame in &frames {
        writer.packet(&Packet {
            interface: ids[frame.interface],
            time: frame.time,
            direction: frame.direction,
            bytes: &frame.bytes,
            length: frame.length,
            lost: 0,
            comment: &frame.comment,
        });
    }
    writer.statistics(ids[1], &Statistics { lost: Some(77), ..Statistics::default() });
    let file = writer.take();
    for size in [1, 7, 4096, file.len()] {
        let (mut reader, mut blocks, mut raw) = (Reader::new(), Vec::new(), Vec::new());
        for piece in file.chunks(size) {
            reader.feed(piece);
            while let Some((block, bytes)) = reader.block().unwrap() {
                blocks.push(block);
                raw.extend(bytes);
            }
        }
        assert_eq!((reader.rest(), &raw), (0, &file));
        let interface = |name: &str| Block::Interface { name: name.into() };
        assert_eq!(blocks[..3], [Block::Other, interface("veth1"), interface("uplink")]);
        assert!(
            blocks[3..23].iter().eq(&frames.iter().cloned().map(Block::Packet).collect::<Vec<_>>())
        );
        assert_eq!(blocks[23..], [Block::Statistics { interface: 1, lost: 77 }]);
    }
}

proptest! {
    #[test]
    fn damaged_bytes_are_refused_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0usize..120, value in any::<u8>(),
    ) {
        let mut reader = Reader::new();
        reader.feed(&bytes);
        while let Ok(Some(_)) = reader.block() {}
        let mut writer = Writer::new("", "");
        let id = writer.interface("veth1", "");
        let packet = Packet {
            interface: id, time: 1, direction: Direction::In, bytes: &[1, 2, 3], length: 3,
            lost: 2, comment: "said",
        };
        writer.packet(&packet);
        let mut file = writer.take();
        let at = at % file.len();
        file[at] = value;
        let mut reader = Reader::new();
        reader.feed(&file);
        while let Ok(Some(_)) = reader.block() {}
    }
}
