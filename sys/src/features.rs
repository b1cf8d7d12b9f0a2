//! The features of a network device, by the kernel's own names (`ethtool -k`): turning some off.
//!
//! By the ioctl SIOCETHTOOL (`linux/ethtool.h`), in the network namespace of the calling thread;
//! a device of a user namespace's own is changed with the privilege one has there.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::netns::operation;

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
/// `ETH_SS_FEATURES`: the set of strings that are features' names.
const FEATURES: u32 = 4;
/// `ETH_GSTRING_LEN`, in bytes.
const NAME: usize = 32;
/// More features than any kernel has; what one tells of beyond is left alone.
const MOST: usize = 1024;

/// Turns off the features of `interface` that are on, can be changed and whose name is `unwanted`.
/// Gives back those that stay on all the same.
///
/// # Errors
/// ENODEV for no such interface, EPERM without CAP_NET_ADMIN there, EOPNOTSUP from a kernel that
/// knows no features.
pub fn turn_off(interface: &str, unwanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let device = Device::open(interface)?;
    let names = device.names()?;
    let is_unwanted = |bit: &usize| names.get(*bit).is_some_and(|name| unwanted(name));
    let bits: Vec<usize> = (0..names.len()).filter(is_unwanted).collect();
    let before = device.read(names.len())?;
    let mut request = vec![0; 2 + 2 * before.len()];
    request[0] = ETHTOOL_SFEATURES;
    request[1] = count(before.len());
    for bit in &bits {
        let block = before[bit / 32];
        if block.available & block.active & 1 << (bit % 32) != 0 {
            // Valid, and not requested: off.
            request[2 + bit / 32 * 2] |= 1 << (bit % 32);
        }
    }
    device.ask(&mut request, "turning offloads off")?;
    let after = device.read(names.len())?;
    let stays = |bit: &&usize| after[**bit / 32].active & 1 << (**bit % 32) != 0;
    Ok(bits.iter().filter(stays).map(|bit| names[*bit].clone()).collect())
}

/// `struct ethtool_get_features_block`, but for the features that never change.
#[derive(Clone, Copy)]
struct Block {
    available: u32,
    active: u32,
}

struct Device {
    socket: std::os::fd::OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Device {
    fn open(interface: &str) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
        let mut name = [0; libc::IFNAMSIZ];
        if interface.len() >= name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from.cast_signed();
        }
        Ok(Self { socket, name })
    }

    /// The kernel's names, by bit; the same for every device.
    fn names(&self) -> io::Result<Vec<String>> {
        // cmd, reserved, a mask of sets (64 bits), one length.
        let mut info = [ETHTOOL_GSSET_INFO, 0, 0, 0, 0];
        let mask = (1u64 << FEATURES).to_ne_bytes();
        let half =
            |at: usize| u32::from_ne_bytes([mask[at], mask[at + 1], mask[at + 2], mask[at + 3]]);
        (info[2], info[3]) = (half(0), half(4));
        self.ask(&mut info, "asking how many features there are")?;
        let known = usize::try_from(info[4]).unwrap_or(0).min(MOST);
        let mut strings = vec![0u32; 3 + MOST * NAME / 4];
        strings[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, FEATURES, count(known)]);
        self.ask(&mut strings, "asking for the features' names")?;
        let bytes: Vec<u8> = strings[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let name = |bytes: &[u8]| {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        Ok(bytes.chunks(NAME).take(known).map(name).collect())
    }

    fn read(&self, features: usize) -> io::Result<Vec<Block>> {
        let blocks = features.div_ceil(32);
        let mut answer = vec![0; 2 + 4 * blocks];
        answer[..2].copy_from_slice(&[ETHTOOL_GFEATURES, count(blocks)]);
        self.ask(&mut answer, "reading the features")?;
        // Available, requested, active, never changed.
        let block = |words: &[u32]| Block { available: words[0], active: words[2] };
        Ok(answer[2..].chunks_exact(4).map(block).collect())
    }

    /// One request; the kernel answers into `words`, which are as long as the request says.
    fn ask(&self, words: &mut [u32], what: &str) -> io::Result<()> {
        let data = libc::__c_anonymous_ifr_ifru { ifru_data: words.as_mut_ptr().cast() };
        let mut request = libc::ifreq { ifr_name: self.name, ifr_ifru: data };
        // SAFETY: the request names a command whose answer fits `words` (each caller sizes it by
        // the count that stands in it, the kernel's strings by more than it has); both outlive the
        // call, and the kernel keeps neither.
        let done =
            unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
        if done >= 0 { Ok(()) } else { Err(operation(what, io::Error::last_os_error())) }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(0)
}
