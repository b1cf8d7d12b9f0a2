//! What `--json` prints: an object for each event, one for the summary. Times are microseconds.

use icmp::session::{Odd, Refusal, Reply};
use icmp::{Event, Stats, text};
use serde_json::{Value, json};

use crate::units::micros;

/// Something that was seen.
pub(super) fn event(dest: &str, event: &Event) -> Value {
    match event {
        Event::Reply(reply) => answer(dest, reply),
        Event::Error { seq, from, kind, code, info } => json!({
            "type": "error", "destination": dest, "seq": seq, "from": from, "icmp_type": kind,
            "icmp_code": code, "info": info, "reason": text::reason(*kind, *code, *info),
        }),
        Event::Silent { seq } => json!({"type": "silent", "destination": dest, "seq": seq}),
        Event::Refused { seq, why } => {
            let (mtu, errno) = match why {
                Refusal::TooLong { mtu } => (Some(mtu), None),
                Refusal::Errno(errno) => (None, Some(errno)),
            };
            json!({"type": "refused", "destination": dest, "seq": seq, "mtu": mtu, "errno": errno})
        }
    }
}

fn answer(dest: &str, reply: &Reply) -> Value {
    let Reply { seq, from, ttl, bytes, rtt, odd, .. } = reply;
    let Odd { duplicate, bad_checksum, truncated, elsewhere, ttl_was, late, reordered, .. } = odd;
    let changed = odd.changed.as_ref();
    json!({
        "type": "reply", "destination": dest, "seq": seq, "from": from, "ttl": ttl,
        "bytes": bytes, "rtt_us": micros(*rtt), "duplicate": duplicate,
        "bad_checksum": bad_checksum, "truncated": truncated, "wrong_source": elsewhere,
        "ttl_was": ttl_was, "late": late, "reordered": reordered,
        "changed": changed.map(|c| json!({"at": c.at, "sent": c.sent, "got": c.got})),
    })
}

/// What a run came to.
pub(super) fn summary(dest: &str, stats: &Stats) -> Value {
    let rtt = stats.summary().map(|s| {
        json!({
            "min_us": micros(s.min), "avg_us": micros(s.avg), "max_us": micros(s.max),
            "mdev_us": micros(s.mdev), "jitter_us": micros(stats.jitter()),
            "ewma_us": micros(stats.ewma()),
            "p50_us": stats.percentile(50).map(micros),
            "p90_us": stats.percentile(90).map(micros),
            "p99_us": stats.percentile(99).map(micros),
        })
    });
    let kinds: Vec<Value> = (stats.kinds.iter())
        .map(|kind| {
            json!({"icmp_type": kind.kind, "icmp_code": kind.code, "from": kind.from,
                "count": kind.count})
        })
        .collect();
    let outage = stats.outage.longest().map(|gap| {
        json!({"gap_us": micros(gap.time), "after_seq": gap.after & 0xffff, "lost": gap.lost})
    });
    json!({
        "type": "summary", "destination": dest, "transmitted": stats.sent,
        "received": stats.received, "lost": stats.lost(), "loss_percent": stats.loss_percent(),
        "duplicates": stats.duplicates, "corrupt": stats.corrupt, "changed": stats.changed,
        "truncated": stats.truncated, "wrong_source": stats.elsewhere,
        "ttl_changes": stats.ttl_changes, "late": stats.late, "reordered": stats.reordered,
        "errors": stats.errors, "icmp_errors": kinds, "elapsed_us": micros(stats.elapsed),
        "pipe": stats.pipe, "rtt": rtt, "outage": outage,
    })
}
