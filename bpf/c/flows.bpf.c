// What userspace has decided, repeated: learned unicast between two ports.
//
// Two programs share three arrays with the switch's process, which maps them (BPF_F_MMAPABLE) and
// writes the flows. `tap` is the filter of the switch's packet socket. It sees a frame first, asks
// the flows, and leaves word for `forward` in a cell of its core, for a core has one frame at hand
// at a time. `forward` runs next, at tcx ingress of the same interface, and does what the word says.
// So a frame goes either to the ring or to the other port, never to both and never to neither.
//
// The layout stands once more in bpf/src/layout.rs; a test compares the two.

#include "kernel.h"

#define ENTRIES 16384
#define BUCKET 4
#define BUCKETS (ENTRIES / BUCKET)
/* A longer frame is the ring's to refuse (sys/src/packet/long.rs). */
#define LONGEST 0x3f000
/* All of a frame, as a socket filter says it. */
#define TO_RING -1

#define POP 1
#define PUSH 2
#define PEER 4

struct flow {
	u64 addresses;  /* the frame's first eight bytes */
	u64 rest;       /* its next four, and above them the ingress interface */
	u32 tag;        /* its tag, protocol above control information; 0 without */
	u32 egress;     /* the interface it leaves by */
	u64 generation; /* holds while this is the one in `control`; 0: no flow */
	u64 until;      /* and until then, in nanoseconds of the monotonic clock */
	u32 mtu;        /* of the egress port */
	u32 action;     /* POP, PUSH, PEER */
	u32 push;       /* the tag to push */
	u32 unused;
	u64 ticket;     /* of its last frame that went to the ring; 0: none is there any more */
};

struct bucket {
	struct flow flows[BUCKET];
};

struct count {
	u64 frames, bytes;
	u64 failed; /* frames above 40 bits of their bytes */
	u64 seen;
};

struct control {
	u64 generation;
	u64 secrets[2];
	u64 slack; /* frames that may be between their ticket and the ring: one a core */
	u64 unused[4];
	u64 came; /* tickets given out: frames let through to the ring */
	u64 apart[7];
	u64 gone; /* frames of the ring that have been sent on */
	u64 apart_too[7];
};

struct word {
	u32 flow; /* its number + 1; 0: not for `forward` */
	u32 ifindex;
	u32 length;
	u32 egress;
	u32 action;
	u32 push;
};

_Static_assert(sizeof(struct flow) == 64, "layout.rs");
_Static_assert(sizeof(struct count) == 32, "layout.rs");
_Static_assert(sizeof(struct control) == 192, "layout.rs");

MAP(control, BPF_MAP_TYPE_ARRAY, struct control, 1, BPF_F_MMAPABLE);
MAP(flows, BPF_MAP_TYPE_ARRAY, struct bucket, BUCKETS, BPF_F_MMAPABLE);
/* A row a flow, for each core; made as long as there are cores. */
MAP(counts, BPF_MAP_TYPE_ARRAY, struct count, ENTRIES, BPF_F_MMAPABLE);
MAP(words, BPF_MAP_TYPE_PERCPU_ARRAY, struct word, 1, 0);

static inline u64 hash(const struct control *c, u64 addresses, u64 rest, u32 tag)
{
	u64 h = (addresses ^ c->secrets[0]) * c->secrets[1];

	h ^= h >> 29;
	h = (h + (rest ^ (u64)tag << 13)) * (c->secrets[0] | 1);
	h ^= h >> 31;
	h *= c->secrets[1];
	return h ^ h >> 32;
}

/* Bytes of the largest layer-3 packet a frame becomes; 0 where that takes userspace to tell. */
static inline u32 packet_length(struct __sk_buff *skb)
{
	u8 first, protocol, offset;
	u32 header;

	if (!skb->gso_size)
		return skb->len - 14;
	if (bpf_skb_load_bytes(skb, 14, &first, 1))
		return 0;
	if (skb->protocol == be16(0x0800) && first >> 4 == 4) {
		header = (first & 15) * 4;
		if (bpf_skb_load_bytes(skb, 14 + 9, &protocol, 1))
			return 0;
	} else if (skb->protocol == be16(0x86dd) && first >> 4 == 6) {
		header = 40;
		if (bpf_skb_load_bytes(skb, 14 + 6, &protocol, 1))
			return 0;
	} else {
		return 0;
	}
	/* TCP alone: of other kinds it cannot be told here how long their headers are. */
	if (protocol != 6 || bpf_skb_load_bytes(skb, 14 + header + 12, &offset, 1))
		return 0;
	return header + (offset >> 4) * 4 + skb->gso_size;
}

static inline int to_ring(struct control *c)
{
	__sync_fetch_and_add(&c->came, 1);
	return TO_RING;
}

/* To the ring, and those of the flow that come after it until it has been sent on. */
static inline int in_order(struct control *c, struct flow *flow)
{
	flow->ticket = __sync_fetch_and_add(&c->came, 1) + 1;
	return TO_RING;
}

static inline struct flow *find(struct bucket *b, u32 *at, u64 addresses, u64 rest, u32 tag)
{
	for (u32 n = 0; n < BUCKET; n++) {
		struct flow *f = &b->flows[n];

		if (f->addresses == addresses && f->rest == rest && f->tag == tag && f->generation) {
			*at = n;
			return f;
		}
	}
	return 0;
}

SEC("socket")
int tap(struct __sk_buff *skb)
{
	u32 zero = 0, at = 0, slot, tag = 0, length;
	u64 addresses, rest, generation, h, ticket;
	u32 last, egress, action, push, mtu;
	struct control *c = bpf_map_lookup_elem(&control, &zero);
	struct word *word = bpf_map_lookup_elem(&words, &zero);
	struct bucket *b;
	struct flow *flow;

	if (!c || !word)
		return TO_RING;
	word->flow = 0;
	generation = READ(c->generation);
	if (bpf_skb_load_bytes(skb, 0, &addresses, 8) || bpf_skb_load_bytes(skb, 8, &last, 4) ||
	    (u8)addresses & 1)
		return to_ring(c);
	if (skb->vlan_present)
		tag = (u32)be16(skb->vlan_proto) << 16 | (skb->vlan_tci & 0xffff);
	rest = (u64)skb->ifindex << 32 | last;
	h = hash(c, addresses, rest, tag);
	slot = h & (BUCKETS - 1);
	b = bpf_map_lookup_elem(&flows, &slot);
	if (!b)
		return to_ring(c);
	flow = find(b, &at, addresses, rest, tag);
	if (!flow) {
		slot = h >> 32 & (BUCKETS - 1);
		b = bpf_map_lookup_elem(&flows, &slot);
		if (!b)
			return to_ring(c);
		flow = find(b, &at, addresses, rest, tag);
		if (!flow)
			return to_ring(c);
	}
	egress = READ(flow->egress);
	action = READ(flow->action);
	push = READ(flow->push);
	mtu = READ(flow->mtu);
	ticket = READ(flow->ticket);
	/* Read after all that it vouches for. */
	if (READ(flow->generation) != generation ||
	    bpf_ktime_get_coarse_ns() >= READ(flow->until))
		return in_order(c, flow);
	length = packet_length(skb);
	if (!length || length > mtu || skb->len > LONGEST)
		return in_order(c, flow);
	if (ticket) {
		u64 gone = READ(c->gone);

		if (gone < ticket + c->slack && gone != READ(c->came))
			return in_order(c, flow);
		flow->ticket = 0;
	}
	word->ifindex = skb->ifindex;
	word->length = skb->len;
	word->egress = egress;
	word->action = action;
	word->push = push;
	word->flow = slot * BUCKET + at + 1;
	return 0;
}

SEC("classifier")
int forward(struct __sk_buff *skb)
{
	u32 zero = 0, row, flow, egress, action, push, failed = 0;
	struct word *word = bpf_map_lookup_elem(&words, &zero);
	struct count *count;

	if (!word || !word->flow)
		return TCX_NEXT;
	flow = word->flow - 1;
	word->flow = 0;
	if (word->ifindex != skb->ifindex || word->length != skb->len)
		return TCX_NEXT;
	egress = word->egress;
	action = word->action;
	push = word->push;
	row = bpf_get_smp_processor_id() * ENTRIES + flow;
	count = bpf_map_lookup_elem(&counts, &row);
	if (!count)
		return TCX_NEXT;
	count->bytes += skb->len;
	count->seen = bpf_ktime_get_coarse_ns();
	count->frames++;
	if (action & POP)
		failed = bpf_skb_vlan_pop(skb) != 0;
	if (action & PUSH && !failed)
		failed = bpf_skb_vlan_push(skb, be16(push >> 16), push & 0xffff) != 0;
	if (failed) {
		count->failed += (1ull << 40) + skb->len;
		return TCX_DROP;
	}
	if (!(action & PEER))
		return bpf_redirect(egress, 0);
	/* It is to the peer's own address, and the peer does not look again. */
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(egress, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
