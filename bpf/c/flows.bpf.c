// What userspace has decided, repeated: learned unicast between two ports, groups flooded to many, and
// packets that the gateway sends on, translated or not.
//
// Two programs share four arrays with the switch's process, which maps them (BPF_F_MMAPABLE) and
// writes the flows. `tap` is the filter of the switch's packet socket. It sees a frame first, asks
// the flows, and leaves word for `forward` in a cell of its core, for a core has one frame at hand
// at a time. `forward` runs next, at tcx ingress of the same interface, and does what the word says.
// So a frame goes either to the ring or to the other port, never to both and never to neither.
//
// An uplink that is an interface of the host lies in another namespace, and no program can send a
// frame from one to the other but to the far end of a pair (bpf_redirect_peer). So there is such a
// pair, the crossing, which nothing else uses: `tap_uplink` and `forward_uplink` do on the host's
// side what `tap` and `forward` do here, and `onward` at either end sends on what came across.
//
// The layout stands once more in bpf/src/layout.rs; a test compares the two.

#include "kernel.h"

#define ENTRIES 16384
#define BUCKET 4
#define BUCKETS (ENTRIES / BUCKET)
/* Flows between ports, then routes. */
#define ROWS (2 * ENTRIES)
/* Sets of ports that frames are flooded to, and ports of one. */
#define SETS 64
#define MEMBERS 128
/* A longer frame is the ring's to refuse (sys/src/packet/long.rs). */
#define LONGEST 0x3f000
/* All of a frame, as a socket filter says it. */
#define TO_RING -1
#define TO_NOBODY 0

#define POP 1
#define PUSH 2
#define PEER 4
/* Only packets that nobody may cut (RFC 6864): of others the gateway numbers anew. */
#define ATOMIC 8
/* By the crossing, into the other namespace, and on by `onward` there. */
#define BEYOND 16
/* By all ports of a set, whose number stands for the interface. */
#define FLOOD 32
/* As it came: to a kernel that has the gateway's address too. */
#define KEPT 64
/* What answers a SYN goes first; nothing else does before it. */
#define ANSWERS 128
/* Of `ended`: the answer was sent on. */
#define ANSWERED (1ull << 63)
/* Set in the number of an interface that lies in another namespace than the switch's. */
#define ELSEWHERE (1u << 31)

/* What a send to an interface that is no more says (EINVAL), and one to a link that is down: its
   queueing discipline is then the kernel's own that takes nothing (NET_XMIT_CN). */
#define NO_SUCH -22
#define DOWN 2

#define ETHERNET 14
#define IPV4 20
#define ICMP 1
#define TCP 6
#define UDP 17
/* Of a route for all of TCP between two hosts: reserved (IANA), and of no packet that is read. */
#define ALL_TCP 255
#define FIN 1
#define SYN 2
#define RST 4
#define ACK 16
#define ECHO_REPLY 0
#define UNREACHABLE 3
#define TIME_EXCEEDED 11
#define PARAMETER_PROBLEM 12
#define TIMESTAMP_REPLY 14

struct flow {
	u64 addresses;  /* the frame's first eight bytes */
	u64 rest;       /* its next four, and above them the ingress interface */
	u32 tag;        /* its tag, protocol above control information; 0 without */
	u32 egress;     /* the interface it leaves by, or the number of a set */
	u64 generation; /* holds while this is the one in `control`; 0: no flow */
	u64 until;      /* and until then, in nanoseconds of the monotonic clock */
	u32 mtu;        /* of the egress port */
	u32 action;     /* POP, PUSH, PEER, … */
	u32 push;       /* the tag to push */
	u32 source;     /* the address that its packets come from, or of a flood their EtherType, as it lies
			   there; 0: whatever they are */
	u64 ticket;     /* of its last frame that went to the ring; 0: none is there any more */
};

struct bucket {
	struct flow flows[BUCKET];
};

/* A flow of packets that the gateway sends on: further what they are told apart by, and what they
   become. Addresses and ports as they lie in the packet; an echo's identifier stands for the port of
   whoever asked. */
struct route {
	struct flow flow;
	u64 ends;      /* source and destination */
	u32 ports;     /* theirs */
	u32 protocol;
	u64 new_ends;
	u32 new_ports;
	u32 addresses; /* what the new addresses add to a sum over them */
	u32 others;    /* the same of the ports */
	u32 link[3];   /* the new hardware addresses */
	u32 beyond;    /* the interface they leave by in the other namespace */
	u32 awaits;    /* the number + 1 of the route that has the answer before it; 0: of none */
	u64 ended;     /* when the first segment with FIN was sent on; 0: none was. Above, ANSWERED */
};

struct routes {
	struct route routes[BUCKET];
};

struct count {
	u64 frames, bytes;
	u64 failed; /* frames above 40 bits of their bytes */
	u64 seen;
	u64 packets; /* of routes: what the frames stand for */
	u64 gone;    /* of the frames that failed: those whose port was no more */
	u64 misplaced; /* no others of these: frames above 40 bits of their bytes (`is_misplaced`) */
};

/* How far a ring is. */
struct lane {
	u64 came; /* tickets given out: frames let through to the ring */
	u64 apart[7];
	u64 gone; /* frames of the ring that have been sent on */
	u64 apart_too[7];
};

struct control {
	u64 generation;
	u64 secrets[2];
	u64 slack; /* frames that may be between their ticket and the ring: one a core */
	/* Of an uplink in another namespace: the address it is shared at, as it lies in a packet, and
	   the block of ports; and our end of the crossing there. */
	u32 own;
	u32 crossing;
	u32 first, last;
	u64 open; /* 1 once there has been a route for all ports of two hosts (`route`) */
	u64 unused;
	struct lane lanes[2]; /* of the ports' ring; of that of an uplink elsewhere */
};

/* Ports of an uplink elsewhere that are the gateway's, of the block or not: of TCP, of UDP; and behind
   them bits of what comes by protocols without ports (`is_remote`). */
struct held {
	u64 ports[3][65536 / 64];
};

struct word {
	u32 flow; /* its number + 1; 0: not for `forward` */
	u32 ifindex;
	u32 length;
	u32 egress;
	u32 action;
	u32 push;
	/* Of a route. */
	u32 protocol; /* 0: of none */
	u32 packets;
	u32 new_ports;
	u64 new_ends;
	u32 addresses;
	u32 others;
	u32 link[3];
	u16 fin;     /* it is the last one of its direction */
	u16 answers; /* it is the first one, and answers a SYN */
	/* For `onward`. */
	u32 beyond;
	u32 passing; /* the flow's number + 1 */
};

/* A port of a set, and frames that could not be sent there: above 40 bits of their bytes. Apart those
   whose port was no more, or down. */
struct member {
	u32 ifindex, unused;
	u64 failed, gone;
};

struct set {
	u32 count, unused;
	struct member members[MEMBERS];
};

_Static_assert(sizeof(struct set) == 3080, "layout.rs");
_Static_assert(sizeof(struct flow) == 64, "layout.rs");
_Static_assert(sizeof(struct route) == 128, "layout.rs");
_Static_assert(sizeof(struct count) == 56, "layout.rs");
_Static_assert(sizeof(struct control) == 320, "layout.rs");
_Static_assert(sizeof(struct held) == 24576, "layout.rs");

MAP(control, BPF_MAP_TYPE_ARRAY, struct control, 1, BPF_F_MMAPABLE);
MAP(flows, BPF_MAP_TYPE_ARRAY, struct bucket, BUCKETS, BPF_F_MMAPABLE);
MAP(routes, BPF_MAP_TYPE_ARRAY, struct routes, BUCKETS, BPF_F_MMAPABLE);
/* A row a flow, those of routes last, for each core; made as long as there are cores. */
MAP(counts, BPF_MAP_TYPE_ARRAY, struct count, ROWS, BPF_F_MMAPABLE);
MAP(sets, BPF_MAP_TYPE_ARRAY, struct set, SETS, BPF_F_MMAPABLE);
MAP(held, BPF_MAP_TYPE_ARRAY, struct held, 1, BPF_F_MMAPABLE);
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

static inline int to_ring(struct lane *lane)
{
	__sync_fetch_and_add(&lane->came, 1);
	return TO_RING;
}

/* To the ring, and those of the flow that come after it until it has been sent on. */
static inline int in_order(struct lane *lane, struct flow *flow)
{
	flow->ticket = __sync_fetch_and_add(&lane->came, 1) + 1;
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

/* Whether a flow may have a frame whose largest packet has so many bytes; else it is the ring's. */
static inline int may(struct control *c, struct lane *lane, struct flow *flow, u64 generation,
		      u32 length, u32 mtu, u64 ticket)
{
	/* Read after all that it vouches for. */
	if (READ(flow->generation) != generation ||
	    bpf_ktime_get_coarse_ns() >= READ(flow->until))
		return 0;
	if (!length || length > mtu)
		return 0;
	if (ticket) {
		u64 gone = READ(lane->gone);

		if (gone < ticket + c->slack && gone != READ(lane->came))
			return 0;
		flow->ticket = 0;
	}
	return 1;
}

/* An IPv4 header without options, and what lies behind it. */
struct packet {
	u8 version, tos;
	u16 total, id, fragment;
	u8 ttl, protocol;
	u16 sum;
	union {
		u32 ends[2];
		u16 halves[4];
	};
	union {
		struct {
			u16 from, to, length, sum;
		} udp;
		struct {
			u8 type, code;
			u16 sum, id, sequence;
		} icmp;
		u32 ports;
	};
};

/* Whether a frame is a packet from this address that gives nobody an address or a router (DHCP, ICMP
   redirects and router advertisements): all else that comes from a guarded port is userspace's to judge
   (switch/src/core/source_guard.rs). */
static inline int is_from(struct __sk_buff *skb, u32 source)
{
	struct packet p;

	if (skb->protocol != be16(0x0800) || bpf_skb_load_bytes(skb, ETHERNET, &p, IPV4 + 4))
		return 0;
	if (p.version != 0x45 || p.ends[0] != source)
		return 0;
	if (p.protocol == UDP)
		return p.udp.from != be16(67) && p.udp.to != be16(68);
	return p.protocol != ICMP || (p.icmp.type != 5 && p.icmp.type != 9);
}

struct facts {
	u64 ends;
	u32 ports, length, packets;
	u16 to; /* the destination port */
	u8 protocol, atomic, aside, fin, opens, answers;
};

static inline u32 folded(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static inline u32 header_sum(const struct packet *p)
{
	const u16 *words = (const u16 *)p;
	u32 sum = 0;

	for (u32 n = 0; n < IPV4 / 2; n++)
		sum += words[n];
	return folded(sum);
}

/* Two ports as they lie side by side. */
static inline u32 ports_of(u16 from, u16 to)
{
	union {
		u16 each[2];
		u32 both;
	} ports = { { from, to } };

	return ports.both;
}

/* Reads a packet that may be a route's; false where it takes userspace to judge it. */
static inline int read(struct __sk_buff *skb, struct facts *facts)
{
	struct packet p;
	u32 total = skb->len - ETHERNET, header = 8;

	if (skb->protocol != be16(0x0800) || bpf_skb_load_bytes(skb, ETHERNET, &p, sizeof(p)))
		return 0;
	if (p.version != 0x45 || p.fragment & be16(0xbfff) || p.ttl <= 1 || header_sum(&p) != 0xffff)
		return 0;
	/* Longer than the field can say is a GSO frame's alone. */
	if (be16(p.total) != total && (p.total || total <= 0xffff || !skb->gso_size))
		return 0;
	__builtin_memcpy(&facts->ends, p.ends, 8);
	facts->ports = p.ports;
	facts->to = p.udp.to;
	facts->protocol = p.protocol;
	facts->atomic = p.fragment != 0;
	facts->length = total;
	facts->packets = 1;
	facts->aside = facts->fin = facts->opens = facts->answers = 0;
	if (p.protocol == TCP) {
		u8 bits[2];
		u32 data;

		if (bpf_skb_load_bytes(skb, ETHERNET + IPV4 + 12, bits, 2))
			return 0;
		/* SYN begins another session; what answers one may be waited for. RST, and what
		   acknowledges nothing, userspace judges, and what comes after it waits for that. FIN is
		   told. */
		header = (bits[0] >> 4) * 4;
		if (header < 20 || IPV4 + header > total)
			return 0;
		facts->opens = bits[1] & SYN;
		facts->answers = (bits[1] & (SYN | ACK | FIN | RST)) == (SYN | ACK);
		facts->aside = (bits[1] & (ACK | RST)) != ACK;
		facts->fin = bits[1] & FIN;
		if (!skb->gso_size)
			return 1;
		data = total - IPV4 - header;
		facts->length = IPV4 + header + skb->gso_size;
		facts->packets = (data + skb->gso_size - 1) / skb->gso_size;
		if (!facts->packets)
			facts->packets = 1;
		return 1;
	}
	if (skb->gso_size)
		return 0;
	if (p.protocol == UDP)
		return be16(p.udp.length) == total - IPV4;
	if (p.protocol != ICMP || p.icmp.code)
		return 0;
	/* An echo, or a reply to one. */
	if (p.icmp.type == 8)
		facts->ports = ports_of(p.icmp.id, 0);
	else if (p.icmp.type == 0)
		facts->ports = ports_of(0, p.icmp.id);
	else
		return 0;
	return 1;
}

/* The destination port of DNS, as it lies in a packet. */
#define DNS be16(53)

static inline struct route *find_route(struct routes *b, u32 *at, u64 addresses, u64 rest, u32 tag,
				       const struct facts *facts)
{
	for (u32 n = 0; n < BUCKET; n++) {
		struct route *r = &b->routes[n];

		if (r->ends == facts->ends && r->ports == facts->ports &&
		    r->protocol == facts->protocol && r->flow.addresses == addresses &&
		    r->flow.rest == rest && r->flow.tag == tag && r->flow.generation) {
			*at = n;
			return r;
		}
	}
	return 0;
}

/* The route of a packet, and its number; 0 where there is none. */
static inline struct route *look_up(const struct control *c, u32 *number, u64 addresses, u64 rest,
				    u32 tag, const struct facts *facts)
{
	struct routes *b;
	struct route *r;
	u32 slot, at = 0;
	u64 h;

	h = hash(c, addresses, rest, tag);
	h = hash(c, facts->ends ^ h, (u64)facts->ports << 8 | facts->protocol, 0);
	slot = h & (BUCKETS - 1);
	b = bpf_map_lookup_elem(&routes, &slot);
	if (!b)
		return 0;
	r = find_route(b, &at, addresses, rest, tag, facts);
	if (!r) {
		slot = h >> 32 & (BUCKETS - 1);
		b = bpf_map_lookup_elem(&routes, &slot);
		if (!b)
			return 0;
		r = find_route(b, &at, addresses, rest, tag, facts);
	}
	*number = slot * BUCKET + at;
	return r;
}

/* Whether a route's answer has been sent on. */
static inline int is_answered(u32 number)
{
	u32 slot = number / BUCKET & (BUCKETS - 1), at = number & (BUCKET - 1);
	struct routes *b = bpf_map_lookup_elem(&routes, &slot);

	return b && READ(b->routes[at].ended) >> 63;
}

/* Whether it is a segment's turn: an answer is the first one that a route for answers has, and the only
   one; and who waits for it comes after it. */
static inline int may_pass(const struct route *r, const struct facts *facts)
{
	u32 awaits = READ(r->awaits);

	if (READ(r->flow.action) & ANSWERS)
		return facts->answers != (READ(r->ended) >> 63);
	return !facts->opens && (!awaits || is_answered(awaits - 1));
}

/* The same for a frame that no flow between ports knows. What goes on as it came to a kernel that has
   the gateway's address too has a route for all of TCP between two hosts: no session begins or ends
   with it. Only the gateway's resolver may be asked for there too. */
static inline int route(struct __sk_buff *skb, struct control *c, struct lane *lane,
			struct word *word, u64 addresses, u64 rest, u32 tag, u64 generation)
{
	struct facts facts;
	struct route *r = 0;
	u32 number = 0, mtu, action, any;
	u64 ticket;

	if (!read(skb, &facts))
		return to_ring(lane);
	if (!facts.opens || facts.answers)
		r = look_up(c, &number, addresses, rest, tag, &facts);
	if (r && !may_pass(r, &facts)) {
		/* As it is with what has no route. */
		if (facts.opens)
			return to_ring(lane);
		return in_order(lane, &r->flow);
	}
	any = !r && facts.protocol == TCP && READ(c->open) && facts.to != DNS;
	if (any) {
		facts.protocol = ALL_TCP;
		facts.ports = facts.aside = facts.fin = facts.answers = 0;
		r = look_up(c, &number, addresses, rest, tag, &facts);
	}
	if (!r)
		return to_ring(lane);
	word->egress = READ(r->flow.egress);
	word->action = action = READ(r->flow.action);
	word->push = READ(r->flow.push);
	word->new_ends = READ(r->new_ends);
	word->new_ports = READ(r->new_ports);
	word->addresses = READ(r->addresses);
	word->others = READ(r->others);
	word->link[0] = READ(r->link[0]);
	word->link[1] = READ(r->link[1]);
	word->link[2] = READ(r->link[2]);
	word->beyond = READ(r->beyond);
	mtu = READ(r->flow.mtu);
	ticket = READ(r->flow.ticket);
	if (facts.aside || (action & ATOMIC && !facts.atomic))
		return in_order(lane, &r->flow);
	if (!may(c, lane, &r->flow, generation, facts.length, mtu, ticket))
		return in_order(lane, &r->flow);
	word->ifindex = rest >> 32;
	word->length = skb->len;
	word->protocol = facts.protocol;
	/* The answer is told, and counted as a packet by whoever is told. */
	word->packets = facts.answers ? 0 : facts.packets;
	word->fin = facts.fin;
	word->answers = facts.answers;
	word->flow = ENTRIES + number + 1;
	return 0;
}

SEC("socket")
int tap(struct __sk_buff *skb)
{
	u32 zero = 0, at = 0, slot, tag = 0;
	u64 addresses, rest, generation, h, ticket;
	u32 last, egress, action, push, source, mtu;
	struct control *c = bpf_map_lookup_elem(&control, &zero);
	struct word *word = bpf_map_lookup_elem(&words, &zero);
	struct bucket *b;
	struct flow *flow;
	struct lane *lane;

	if (!c || !word)
		return TO_RING;
	/* On its way from the other namespace, decided there. */
	if (skb->ifindex == c->crossing)
		return TO_NOBODY;
	lane = &c->lanes[0];
	word->flow = 0;
	generation = READ(c->generation);
	if (bpf_skb_load_bytes(skb, 0, &addresses, 8) || bpf_skb_load_bytes(skb, 8, &last, 4) ||
	    skb->len > LONGEST)
		return to_ring(lane);
	if (skb->vlan_present)
		tag = (u32)be16(skb->vlan_proto) << 16 | (skb->vlan_tci & 0xffff);
	rest = (u64)skb->ifindex << 32 | last;
	h = hash(c, addresses, rest, tag);
	slot = h & (BUCKETS - 1);
	b = bpf_map_lookup_elem(&flows, &slot);
	if (!b)
		return to_ring(lane);
	flow = find(b, &at, addresses, rest, tag);
	if (!flow) {
		slot = h >> 32 & (BUCKETS - 1);
		b = bpf_map_lookup_elem(&flows, &slot);
		if (!b)
			return to_ring(lane);
		flow = find(b, &at, addresses, rest, tag);
		if (!flow && (u8)addresses & 1)
			return to_ring(lane);
		if (!flow)
			return route(skb, c, lane, word, addresses, rest, tag, generation);
	}
	egress = READ(flow->egress);
	action = READ(flow->action);
	push = READ(flow->push);
	source = READ(flow->source);
	mtu = READ(flow->mtu);
	ticket = READ(flow->ticket);
	/* Not of those whose order is kept. Of a flood it is the EtherType. */
	if (source && !(action & FLOOD ? skb->protocol == source : is_from(skb, source)))
		return to_ring(lane);
	if (!may(c, lane, flow, generation, packet_length(skb), mtu, ticket))
		return in_order(lane, flow);
	word->ifindex = skb->ifindex;
	word->length = skb->len;
	word->egress = egress;
	word->action = action;
	word->push = push;
	word->protocol = 0;
	word->packets = 0;
	word->fin = 0;
	word->answers = 0;
	word->flow = slot * BUCKET + at + 1;
	return 0;
}

static inline int in_block(struct __sk_buff *skb, const struct control *c, u32 at)
{
	u16 port;

	if (bpf_skb_load_bytes(skb, at, &port, 2))
		return 0;
	return be16(port) >= c->first && be16(port) <= c->last;
}

/* Whether a port of TCP or UDP is the gateway's: the block's, or held. */
static inline int is_its(struct __sk_buff *skb, const struct control *c, u32 at, u8 protocol)
{
	u32 zero = 0;
	struct held *h = bpf_map_lookup_elem(&held, &zero);
	u16 port;

	if (bpf_skb_load_bytes(skb, at, &port, 2))
		return 0;
	port = be16(port);
	if (port >= c->first && port <= c->last)
		return 1;
	return h && READ(h->ports[protocol == UDP][port >> 6]) >> (port & 63) & 1;
}

/* Whether what an address sends by a protocol without ports may be the gateway's: the bit that the two
   share with few others. */
static inline int is_remote(u32 address, u8 protocol)
{
	u32 zero = 0;
	struct held *h = bpf_map_lookup_elem(&held, &zero);
	u16 bit = be16((u16)(address ^ address >> 16)) ^ protocol << 8;

	return h && READ(h->ports[2][bit >> 6]) >> (bit & 63) & 1;
}

/* Whether an ICMP error quotes a packet from there. */
static inline int quotes_ours(struct __sk_buff *skb, const struct control *c, u32 at)
{
	struct packet p;

	if (bpf_skb_load_bytes(skb, at, &p, IPV4) || p.ends[0] != c->own || p.fragment & be16(0x1fff))
		return 0;
	at += (p.version & 15) * 4;
	if (p.protocol == ICMP)
		return in_block(skb, c, at + 4);
	if (p.protocol == TCP || p.protocol == UDP)
		return is_its(skb, c, at, p.protocol);
	return is_remote(p.ends[1], p.protocol);
}

/* What of the host's frames may be the gateway's: as lab/src/uplink/filter/shared.rs has it. */
static inline int is_ours(struct __sk_buff *skb, const struct control *c)
{
	struct packet p;
	u32 at, ends[2];
	u8 type;

	/* A tag that names a VLAN makes the frame somebody else's. */
	if (skb->vlan_present && skb->vlan_tci & 0xfff)
		return 0;
	if (skb->protocol == be16(0x0806)) {
		if (bpf_skb_load_bytes(skb, ETHERNET + 14, ends, 4) ||
		    bpf_skb_load_bytes(skb, ETHERNET + 24, ends + 1, 4))
			return 0;
		return ends[1] == c->own || ends[1] == ends[0];
	}
	if (skb->protocol != be16(0x0800) || bpf_skb_load_bytes(skb, ETHERNET, &p, IPV4) ||
	    p.ends[1] != c->own)
		return 0;
	if (p.fragment & be16(0x3fff))
		return 1;
	at = ETHERNET + (p.version & 15) * 4;
	if (p.protocol == TCP || p.protocol == UDP)
		return is_its(skb, c, at + 2, p.protocol);
	if (p.protocol != ICMP)
		return is_remote(p.ends[0], p.protocol);
	if (bpf_skb_load_bytes(skb, at, &type, 1))
		return 0;
	if (type == ECHO_REPLY || type == TIMESTAMP_REPLY)
		return in_block(skb, c, at + 4);
	if (type == UNREACHABLE || type == TIME_EXCEEDED || type == PARAMETER_PROBLEM)
		return quotes_ours(skb, c, at + 8);
	return 0;
}

/* `tap` for the ring of an uplink that the switch shares with its host, in the host's namespace. */
SEC("socket")
int tap_uplink(struct __sk_buff *skb)
{
	u32 zero = 0, last;
	u64 addresses, rest;
	struct control *c = bpf_map_lookup_elem(&control, &zero);
	struct word *word = bpf_map_lookup_elem(&words, &zero);
	struct lane *lane;

	if (!c || !word)
		return TO_NOBODY;
	word->flow = 0;
	if (!is_ours(skb, c))
		return TO_NOBODY;
	lane = &c->lanes[1];
	if (bpf_skb_load_bytes(skb, 0, &addresses, 8) || bpf_skb_load_bytes(skb, 8, &last, 4) ||
	    (u8)addresses & 1 || skb->len > LONGEST || skb->vlan_present)
		return to_ring(lane);
	rest = (u64)(skb->ifindex | ELSEWHERE) << 32 | last;
	return route(skb, c, lane, word, addresses, rest, 0, READ(c->generation));
}

/* Whether the kernel has yet to write a sum, and not at `field` or behind it, where it harms nobody but
   its sender: who sends by a packet socket says where (PACKET_VNET_HDR), and would write over what is
   translated. No program is told; but a sum that is neither seen to be right, nor to be looked at, nor
   had from the device is one to be written, and a packet is cut to no less than where its end is
   (net/core/filter.c, __bpf_skb_min_len). A packet that has such a sum is cut. */
static inline int is_misplaced(struct __sk_buff *skb, u32 protocol, u32 field)
{
	long seen;

	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0 || bpf_csum_update(skb, 0) >= 0)
		return 0;
	/* Makes of one that is to be looked at one that was, and takes it back. */
	bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
	seen = bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY);
	bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
	if (seen >= 0)
		return 0;
	/* Nobody leaves that of ICMP to a device. */
	return protocol == ICMP || !bpf_skb_change_tail(skb, field + 1, 0);
}

/* Where the sum of a packet of a route is. */
static inline u32 sum_of(u32 protocol)
{
	return ETHERNET + IPV4 + (protocol == TCP ? 16 : protocol == UDP ? 6 : 2);
}

/* Makes of a packet what a route says; false where the kernel has no room for it. */
static inline int rewrite(struct __sk_buff *skb, const struct word *word)
{
	struct packet p;
	u32 sum, at = sum_of(word->protocol), whole = 0, flags = 0;
	u32 link[3] = { word->link[0], word->link[1], word->link[2] };

	if (bpf_skb_load_bytes(skb, ETHERNET, &p, sizeof(p)))
		return 0;
	if (word->protocol == UDP) {
		/* A partial sum is that of the pseudo-header. Another is whole, even where the kernel
		   calls it partial: then it is that of what a tunnel carries. */
		u32 pseudo = folded((u32)p.halves[0] + p.halves[1] + p.halves[2] + p.halves[3] +
				    p.udp.length + be16(UDP));

		flags = BPF_F_MARK_MANGLED_0;
		whole = p.udp.sum && p.udp.sum != pseudo;
		if (whole) {
			sum = folded((u16)~p.udp.sum + folded(word->addresses) + folded(word->others));
			p.udp.sum = ~sum;
			if (!p.udp.sum)
				p.udp.sum = 0xffff;
		}
	}
	if (!whole) {
		if (word->protocol != ICMP && word->addresses &&
		    bpf_l4_csum_replace(skb, at, 0, word->addresses, flags | BPF_F_PSEUDO_HDR))
			return 0;
		if (word->others && bpf_l4_csum_replace(skb, at, 0, word->others, flags))
			return 0;
	}
	p.ttl--;
	__builtin_memcpy(p.ends, &word->new_ends, 8);
	p.sum = 0;
	p.sum = ~header_sum(&p);
	if (word->protocol == ICMP) {
		/* One of the two is the other side's, which has none. */
		u16 id = word->new_ports | word->new_ports >> 16;

		if (bpf_skb_store_bytes(skb, at + 2, &id, 2, 0) ||
		    bpf_skb_store_bytes(skb, ETHERNET, &p, IPV4, 0))
			return 0;
	} else {
		p.ports = word->new_ports;
		if (whole) {
			if (bpf_skb_store_bytes(skb, ETHERNET, &p, IPV4 + 8, BPF_F_RECOMPUTE_CSUM))
				return 0;
		} else if (bpf_skb_store_bytes(skb, ETHERNET, &p, IPV4 + 4, 0)) {
			return 0;
		}
	}
	return !bpf_skb_store_bytes(skb, 0, link, sizeof(link), 0);
}

/* Whether an interface is no more. A redirect to one is told nobody; nor is one to an interface that
   is down, which no program can ask for, and userspace hears of. */
static inline int is_gone(struct __sk_buff *skb, u32 ifindex)
{
	u32 mtu = 0;

	return bpf_check_mtu(skb, ifindex, &mtu, 0, 0) < 0;
}

/* Ends a flow: its next frames go to the ring, for userspace to refuse. */
static inline void end(u32 flow)
{
	u32 slot = flow / BUCKET & (BUCKETS - 1), at = flow & (BUCKET - 1);

	if (flow < ENTRIES) {
		struct bucket *b = bpf_map_lookup_elem(&flows, &slot);

		if (b)
			b->flows[at].until = 0;
	} else {
		struct routes *b = bpf_map_lookup_elem(&routes, &slot);

		if (b)
			b->routes[at].flow.until = 0;
	}
}

/* A direction of a connection begins or ends, by a frame that has been counted. */
static inline void turned(u32 flow, u32 fin)
{
	u32 slot = flow / BUCKET & (BUCKETS - 1), at = flow & (BUCKET - 1);
	struct routes *b = bpf_map_lookup_elem(&routes, &slot);
	u64 was, now = bpf_ktime_get_coarse_ns();

	/* In this order: whoever sees it finds the frame in the counts. */
	if (!b)
		return;
	if (!fin) {
		__sync_fetch_and_or(&b->routes[at].ended, ANSWERED);
		return;
	}
	was = READ(b->routes[at].ended);
	if (!(was & ~ANSWERED))
		__sync_val_compare_and_swap(&b->routes[at].ended, was, was | now);
}

/* Sends a frame to an interface of this namespace. */
static inline int leave(struct __sk_buff *skb, u32 egress, u32 action)
{
	if (!(action & PEER))
		return bpf_redirect(egress, 0);
	/* It is to the peer's own address, and the peer does not look again. */
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(egress, 0);
}

/* Sends a copy of a frame to each port of a set. To the last one as well, which could have the frame
   itself: of a redirect nobody is told whether it was sent. */
static inline int flood(struct __sk_buff *skb, u32 number, u32 flow)
{
	struct set *set = bpf_map_lookup_elem(&sets, &number);
	u32 count, length = skb->len;

	if (!set)
		return TCX_DROP;
	count = READ(set->count);
	for (u32 n = 0; n < MEMBERS && n < count; n++) {
		struct member *to = &set->members[n];
		long refused = bpf_clone_redirect(skb, to->ifindex, 0);

		if (!refused)
			continue;
		if (refused == NO_SUCH || refused == DOWN) {
			/* Before the other, and so before it counts as failed. */
			__sync_fetch_and_add(&to->gone, 1);
			end(flow);
		}
		__sync_fetch_and_add(&to->failed, (1ull << 40) + length);
	}
	return TCX_DROP;
}

/* What is left to do for a frame that came in by an interface, if `tap` left word of it. */
static inline int go_on(struct __sk_buff *skb, u32 ingress)
{
	u32 zero = 0, row, flow, egress, action, push, failed = 0;
	struct word *word = bpf_map_lookup_elem(&words, &zero);
	struct count *count;

	if (!word || !word->flow)
		return TCX_NEXT;
	flow = word->flow - 1;
	word->flow = 0;
	if (word->ifindex != ingress || word->length != skb->len)
		return TCX_NEXT;
	egress = word->egress;
	action = word->action;
	push = word->push;
	row = bpf_get_smp_processor_id() * ROWS + flow;
	count = bpf_map_lookup_elem(&counts, &row);
	if (!count)
		return TCX_NEXT;
	if (word->protocol && !(action & KEPT) &&
	    is_misplaced(skb, word->protocol, sum_of(word->protocol))) {
		count->misplaced += (1ull << 40) + word->length;
		return TCX_DROP;
	}
	count->bytes += word->length;
	count->seen = bpf_ktime_get_coarse_ns();
	count->packets += word->packets;
	count->frames++;
	if (word->fin || word->answers)
		turned(flow, word->fin);
	if (!(action & FLOOD) && is_gone(skb, egress)) {
		/* Before the call below, and so before it counts as failed. */
		count->gone++;
		end(flow);
		failed = 1;
	}
	if (word->protocol && !(action & KEPT) && !failed)
		failed = !rewrite(skb, word);
	if (action & POP && !failed)
		failed = bpf_skb_vlan_pop(skb) != 0;
	if (action & PUSH && !failed)
		failed = bpf_skb_vlan_push(skb, be16(push >> 16), push & 0xffff) != 0;
	if (failed) {
		/* As many bytes as above, whatever has become of the frame. */
		count->failed += (1ull << 40) + word->length;
		return TCX_DROP;
	}
	if (action & FLOOD)
		return flood(skb, egress, flow);
	if (!(action & BEYOND))
		return leave(skb, egress, action);
	word->passing = flow + 1;
	return bpf_redirect_peer(egress, 0);
}

SEC("classifier")
int forward(struct __sk_buff *skb)
{
	return go_on(skb, skb->ifindex);
}

SEC("classifier")
int forward_uplink(struct __sk_buff *skb)
{
	return go_on(skb, skb->ifindex | ELSEWHERE);
}

/* At both ends of the crossing: what has come to this namespace leaves by its interface here. All
   else that comes by it is nobody's. */
SEC("classifier")
int onward(struct __sk_buff *skb)
{
	u32 zero = 0, row, flow;
	struct word *word = bpf_map_lookup_elem(&words, &zero);
	struct count *count;

	if (!word || !word->passing)
		return TCX_DROP;
	flow = word->passing - 1;
	word->passing = 0;
	row = bpf_get_smp_processor_id() * ROWS + flow;
	count = bpf_map_lookup_elem(&counts, &row);
	if (!count)
		return TCX_DROP;
	if (is_gone(skb, word->beyond)) {
		count->gone++;
		end(flow);
		count->failed += (1ull << 40) + word->length;
		return TCX_DROP;
	}
	return leave(skb, word->beyond, word->action);
}

char _license[] SEC("license") = "Dual MIT/GPL";
