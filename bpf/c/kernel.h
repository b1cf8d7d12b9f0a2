// What programs need of the kernel's own headers and of libbpf's, so that nothing but clang builds
// them: helpers by their numbers and `struct __sk_buff` by its layout (linux/bpf.h, which is ABI).

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define inline inline __attribute__((always_inline))

/* A load that the compiler neither repeats nor moves past another. */
#define READ(place) (*(volatile typeof(place) *)&(place))
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define be16(n) ((u16)__builtin_bswap16((u16)(n)))
#else
#define be16(n) ((u16)(n))
#endif

#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_F_MMAPABLE (1u << 10)

/* A map as BTF describes it. */
#define MAP(name, kind, value_type, count, flags)          \
	struct {                                           \
		int (*type)[kind];                         \
		u32 *key;                                  \
		value_type *value;                         \
		int (*max_entries)[count];                 \
		int (*map_flags)[flags];                   \
	} name SEC(".maps")

#define BPF_F_RECOMPUTE_CSUM 1
#define BPF_F_PSEUDO_HDR (1u << 4)
#define BPF_F_MARK_MANGLED_0 (1u << 5)

#define BPF_ADJ_ROOM_MAC 1
#define BPF_F_ADJ_ROOM_FIXED_GSO (1ull << 0)
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 (1ull << 1)
#define BPF_F_ADJ_ROOM_ENCAP_L4_UDP (1ull << 4)
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV4 (1ull << 7)
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)

#define BPF_CSUM_LEVEL_QUERY 0
#define BPF_CSUM_LEVEL_INC 1
#define BPF_CSUM_LEVEL_DEC 2

#define TCX_NEXT -1
#define TCX_DROP 2
#define PACKET_HOST 0

struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
	u32 protocol;
	u32 vlan_present;
	u32 vlan_tci;
	u32 vlan_proto;
	u32 priority;
	u32 ingress_ifindex;
	u32 ifindex;
	u32 tc_index;
	u32 cb[5];
	u32 hash;
	u32 tc_classid;
	u32 data;
	u32 data_end;
	u32 napi_id;
	u32 family;
	u32 remote_ip4;
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port;
	u32 local_port;
	u32 data_meta;
	u64 flow_keys __attribute__((aligned(8)));
	u64 tstamp;
	u32 wire_len;
	u32 gso_segs;
	u64 sk __attribute__((aligned(8)));
	u32 gso_size;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_skb_store_bytes)(struct __sk_buff *skb, u32 at, const void *from, u32 n, u64 flags) = (void *)9;
static long (*bpf_l4_csum_replace)(struct __sk_buff *skb, u32 at, u64 from, u64 to, u64 flags) = (void *)11;
static long (*bpf_clone_redirect)(struct __sk_buff *skb, u32 ifindex, u64 flags) = (void *)13;
static long (*bpf_skb_vlan_push)(struct __sk_buff *skb, u16 protocol, u16 tci) = (void *)18;
static long (*bpf_skb_vlan_pop)(struct __sk_buff *skb) = (void *)19;
static long (*bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*bpf_skb_load_bytes)(const struct __sk_buff *skb, u32 at, void *to, u32 n) = (void *)26;
static long (*bpf_skb_change_type)(struct __sk_buff *skb, u32 kind) = (void *)32;
static long (*bpf_skb_change_tail)(struct __sk_buff *skb, u32 length, u64 flags) = (void *)38;
static s64 (*bpf_csum_update)(struct __sk_buff *skb, u32 sum) = (void *)40;
static long (*bpf_skb_adjust_room)(struct __sk_buff *skb, s32 bytes, u32 where, u64 flags) = (void *)50;
static long (*bpf_csum_level)(struct __sk_buff *skb, u64 level) = (void *)135;
static long (*bpf_redirect_peer)(u32 ifindex, u64 flags) = (void *)155;
static u64 (*bpf_ktime_get_coarse_ns)(void) = (void *)160;
static long (*bpf_check_mtu)(struct __sk_buff *skb, u32 ifindex, u32 *mtu, s32 longer, u64 flags) = (void *)163;
