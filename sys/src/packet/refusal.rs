//! Why the kernel did not take a frame that it was given to send.

use nix::errno::Errno;

/// By the errno of `sendmmsg` (packet(7), `net_xmit_errno` of linux/netdevice.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// ENOBUFS, EAGAIN, ENOMEM: the receiver's backlog or queue is full, or there is no memory. A
    /// bridge of the kernel loses frames in the same place.
    QueueFull,
    /// ENETDOWN, ENXIO, ENODEV: the link is down or gone.
    LinkDown,
    /// EMSGSIZE: longer than the link carries.
    TooLong,
    /// EINVAL: the kernel has no way to send what the virtio-net header says.
    Offload,
    /// Any other errno, and a tag that the kernel could not put in or take out.
    Other,
}

impl Refusal {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// In the order of [`index`](Self::index).
    pub const ALL: [Self; Self::COUNT] =
        [Self::QueueFull, Self::LinkDown, Self::TooLong, Self::Offload, Self::Other];

    /// Where it stands in arrays of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// What an errno says.
    #[must_use]
    pub fn of(errno: i32) -> Self {
        match Errno::from_raw(errno) {
            Errno::ENOBUFS | Errno::EAGAIN | Errno::ENOMEM => Self::QueueFull,
            Errno::ENETDOWN | Errno::ENXIO | Errno::ENODEV => Self::LinkDown,
            Errno::EMSGSIZE => Self::TooLong,
            Errno::EINVAL => Self::Offload,
            _ => Self::Other,
        }
    }

    /// The word that is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::LinkDown => "link-down",
            Self::TooLong => "too-long",
            Self::Offload => "offload",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_index() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), index, "{}", refusal.name());
        }
    }

    #[test]
    fn an_errno_names_its_cause() {
        assert_eq!(Refusal::of(Errno::ENOBUFS as i32), Refusal::QueueFull);
        assert_eq!(Refusal::of(Errno::ENETDOWN as i32), Refusal::LinkDown);
        assert_eq!(Refusal::of(Errno::ENXIO as i32), Refusal::LinkDown);
        assert_eq!(Refusal::of(Errno::EMSGSIZE as i32), Refusal::TooLong);
        assert_eq!(Refusal::of(Errno::EINVAL as i32), Refusal::Offload);
        assert_eq!(Refusal::of(Errno::EPERM as i32), Refusal::Other);
    }
}
