// What the header before a frame on a packet socket has no word for, done behind the socket.
//
// `struct virtio_net_hdr` can say of a frame that it is segments of TCP or UDP, but not that these lie
// inside a tunnel's datagram; and a packet socket counts tags that it need not as a frame's length.
// So the switch sends such a frame by the loopback of its namespace, with a mark that says what it is
// and where it is to leave. `finish`, at tcx egress there, makes it what it is and sends it there.
//
// The mark's layout stands once more in bpf/src/finish.rs; a test compares the two.

#include "kernel.h"

/* What a mark asks for; all else on the loopback is none of ours. */
#define KIND(mark) ((mark) >> 30)
#define TUNNEL 1
#define TAGGED 2
/* The interface to leave by. */
#define IFINDEX(mark) ((mark) & 0x1fffff)
/* Bytes before the inner IP header, from the outer one on, in pairs. */
#define HEADERS(mark) (((mark) >> 21 & 0xff) * 2)
#define INNER_V6 (1u << 29)

#define ETHERNET 14
#define IPV4 20
#define UDP 8
/* What the stack of a program has room for. */
#define MOST 400

/* Makes of a frame of segments one of a tunnel's: what lies before the inner IP header is taken away and
   put back as what it is, an IPv4 header, a UDP header, and bytes that each segment gets. */
static inline int is_told(struct __sk_buff *skb, u32 length, u32 v6)
{
	u8 head[MOST];
	u32 udp;

	if (length < IPV4 + UDP || length > MOST || bpf_skb_load_bytes(skb, ETHERNET, head, length))
		return 0;
	udp = (head[0] & 15) * 4;
	if (udp < IPV4 || udp + UDP > length || udp > 60)
		return 0;
	/* The outer sum covers the segments together, and the kernel has no flag left to be told that
	   each wants one (SKB_GSO_UDP_TUNNEL_CSUM): none is computed (RFC 768, RFC 7348 section 5). */
	head[udp + 6] = 0;
	head[udp + 7] = 0;
	if (bpf_skb_adjust_room(skb, -(s32)length, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO |
				(v6 ? BPF_F_ADJ_ROOM_DECAP_L3_IPV6 : BPF_F_ADJ_ROOM_DECAP_L3_IPV4)))
		return 0;
	if (bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
				BPF_F_ADJ_ROOM_ENCAP_L4_UDP))
		return 0;
	return !bpf_skb_store_bytes(skb, ETHERNET, head, length, 0);
}

/* Moves the outermost tag to where the kernel keeps one, beside the frame: there it adds nothing to the
   length by which links are judged. */
static inline int is_beside(struct __sk_buff *skb)
{
	u16 tag[2];

	if (bpf_skb_load_bytes(skb, ETHERNET - 2, tag, sizeof(tag)) || bpf_skb_vlan_pop(skb))
		return 0;
	return !bpf_skb_vlan_push(skb, tag[0], be16(tag[1]));
}

SEC("classifier")
int finish(struct __sk_buff *skb)
{
	u32 mark = skb->mark, done = 0;

	if (KIND(mark) != TUNNEL && KIND(mark) != TAGGED)
		return TCX_NEXT;
	skb->mark = 0;
	if (KIND(mark) == TUNNEL)
		done = is_told(skb, HEADERS(mark), mark & INNER_V6);
	else
		done = is_beside(skb);
	/* Of a redirect nobody is told whether it was sent. Of a copy's we are, and what we then say of the
	   frame itself is what its sender hears: nothing for one that goes nowhere, ENOBUFS for one that is
	   dropped. */
	if (!done || bpf_clone_redirect(skb, IFINDEX(mark), 0))
		return TCX_DROP;
	return bpf_redirect(0, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
