//! `on` and `off`: how settings are written, as `bridge` and `ip` write them.

/// A setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnOff {
    /// It is in force.
    On,
    /// It is not.
    Off,
}

impl OnOff {
    /// Whether it is `on`.
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}
