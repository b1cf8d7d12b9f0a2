//! Big-endian reads and writes inside views that have already checked their length.
//!
//! Called by the views of this crate only; an index outside a checked header is a defect of the
//! view and panics there, never because of what a frame holds.

use std::net::Ipv4Addr;

#[inline]
pub(crate) fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
pub(crate) fn get_addr(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

#[inline]
pub(crate) fn put_addr(bytes: &mut [u8], at: usize, value: Ipv4Addr) {
    bytes[at..at + 4].copy_from_slice(&value.octets());
}
