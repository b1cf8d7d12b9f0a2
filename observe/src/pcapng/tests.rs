use super::*;

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
