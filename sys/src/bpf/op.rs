//! One eBPF instruction (`struct bpf_insn`), and how the few that are needed are written.
//!
//! Plain values: whether a program makes sense is the kernel's verifier's to say, when it is
//! loaded. Jumps are given in instructions, from the one after the jump.

/// A register: R0 is the result, R1 to R5 are arguments, R6 to R9 outlive calls, R10 is the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg(pub u8);

/// Bytes of a load or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// One.
    Byte,
    /// Two.
    Half,
    /// Four.
    Word,
    /// Eight.
    Double,
}

impl Size {
    const fn code(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }
}

/// Arithmetic on 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alu {
    /// `+`
    Add = 0x00,
    /// `-`
    Sub = 0x10,
    /// `*`
    Mul = 0x20,
    /// `|`
    Or = 0x40,
    /// `&`
    And = 0x50,
    /// `<<`
    Shl = 0x60,
    /// `>>`
    Shr = 0x70,
    /// The remainder, unsigned.
    Rem = 0x90,
    /// `^`
    Xor = 0xa0,
    /// `=`
    Mov = 0xb0,
}

/// A condition, on unsigned numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum If {
    /// `==`
    Equal = 0x10,
    /// `>`
    Above = 0x20,
    /// `>=`
    NotBelow = 0x30,
    /// `!=`
    Differs = 0x50,
    /// `<`
    Below = 0xa0,
}

/// A function of the kernel that a program may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// `bpf_map_lookup_elem(map, key)`
    MapLookup = 1,
    /// `bpf_map_update_elem(map, key, value, flags)`
    MapUpdate = 2,
    /// `bpf_map_delete_elem(map, key)`
    MapDelete = 3,
    /// `bpf_ktime_get_ns()`
    Time = 5,
    /// `bpf_get_smp_processor_id()`
    Core = 8,
    /// `bpf_skb_load_bytes(skb, offset, to, len)`
    LoadBytes = 26,
    /// `bpf_skb_load_bytes_relative(skb, offset, to, len, start)`
    LoadBytesFrom = 68,
    /// `bpf_fib_lookup(ctx, params, len, flags)`
    FibLookup = 69,
}

/// `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Op {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD: u8 = 0x61;
const STORE_REGISTER: u8 = 0x63;
/// `BPF_STX | BPF_ATOMIC | BPF_DW`
const ATOMIC: u8 = 0xdb;
/// `BPF_ADD | BPF_FETCH`, since Linux 5.12.
const FETCH_ADD: i32 = 0x01;
const JUMP: u8 = 0x05;
const JUMP_32: u8 = 0x06;
const ALU_64: u8 = 0x07;
const FROM_REGISTER: u8 = 0x08;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
/// Byte order, to big endian.
const TO_BIG_ENDIAN: u8 = 0xdc;
const WIDE_IMMEDIATE: u8 = 0x18;
/// Says that a wide immediate is a map's descriptor.
const PSEUDO_MAP: u8 = 1;
/// Says that it is the address of the map's one value.
const PSEUDO_MAP_VALUE: u8 = 2;

impl Op {
    const fn new(code: u8, dst: Reg, src: Reg, offset: i16, immediate: i32) -> Self {
        Self { code, registers: dst.0 | src.0 << 4, offset, immediate }
    }

    /// `dst = dst OP value`
    #[must_use]
    pub const fn alu(alu: Alu, dst: Reg, value: i32) -> Self {
        Self::new(ALU_64 | alu as u8, dst, Reg(0), 0, value)
    }

    /// `dst = dst OP src`
    #[must_use]
    pub const fn alu_reg(alu: Alu, dst: Reg, src: Reg) -> Self {
        Self::new(ALU_64 | FROM_REGISTER | alu as u8, dst, src, 0, 0)
    }

    /// `dst` as a 16-bit number of the network becomes one of this machine.
    #[must_use]
    pub const fn be16(dst: Reg) -> Self {
        Self::new(TO_BIG_ENDIAN, dst, Reg(0), 0, 16)
    }

    /// `dst = *(src + offset)`
    #[must_use]
    pub const fn load(size: Size, dst: Reg, src: Reg, offset: i16) -> Self {
        Self::new(LOAD | size.code(), dst, src, offset, 0)
    }

    /// `*(dst + offset) = src`
    #[must_use]
    pub const fn store(size: Size, dst: Reg, offset: i16, src: Reg) -> Self {
        Self::new(STORE_REGISTER | size.code(), dst, src, offset, 0)
    }

    /// As one step: `src` is added to the eight bytes at `dst + offset`, and becomes what they were.
    #[must_use]
    pub const fn fetch_add(dst: Reg, offset: i16, src: Reg) -> Self {
        Self::new(ATOMIC, dst, src, offset, FETCH_ADD)
    }

    /// Jumps where the low 32 bits of `reg` compare so with `value`.
    #[must_use]
    pub const fn jump_if(test: If, reg: Reg, value: i32, by: i16) -> Self {
        Self::new(JUMP_32 | test as u8, reg, Reg(0), by, value)
    }

    /// Jumps where all 64 bits of `reg` compare so with `value`: a pointer may be tested so.
    #[must_use]
    pub const fn jump_if_wide(test: If, reg: Reg, value: i32, by: i16) -> Self {
        Self::new(JUMP | test as u8, reg, Reg(0), by, value)
    }

    /// The same with another register.
    #[must_use]
    pub const fn jump_if_reg(test: If, reg: Reg, other: Reg, by: i16) -> Self {
        Self::new(JUMP | FROM_REGISTER | test as u8, reg, other, by, 0)
    }

    /// Jumps.
    #[must_use]
    pub const fn jump(by: i16) -> Self {
        Self::new(JUMP, Reg(0), Reg(0), by, 0)
    }

    /// The same jump to another place; of anything else the same instruction.
    #[must_use]
    pub const fn by(self, by: i16) -> Self {
        let class = self.code & 7;
        let jumps = (class == JUMP || class == JUMP_32) && self.code != CALL && self.code != EXIT;
        if jumps { Self { offset: by, ..self } } else { self }
    }

    /// Calls a function of the kernel.
    #[must_use]
    pub const fn call(helper: Helper) -> Self {
        Self::new(CALL, Reg(0), Reg(0), 0, helper as i32)
    }

    /// The two instructions `dst = map`.
    #[must_use]
    pub fn map(dst: Reg, map: &impl super::Map) -> [Self; 2] {
        let first = Self::new(WIDE_IMMEDIATE, dst, Reg(PSEUDO_MAP), 0, map.number());
        [first, Self::new(0, Reg(0), Reg(0), 0, 0)]
    }

    /// The two instructions `dst = address of the area`.
    #[must_use]
    pub fn area(dst: Reg, area: &super::Area) -> [Self; 2] {
        let first = Self::new(WIDE_IMMEDIATE, dst, Reg(PSEUDO_MAP_VALUE), 0, area.number());
        [first, Self::new(0, Reg(0), Reg(0), 0, 0)]
    }

    /// Ends with what is in R0.
    #[must_use]
    pub const fn exit() -> Self {
        Self::new(EXIT, Reg(0), Reg(0), 0, 0)
    }
}
