//! `on` and `off`: how settings are written, as `bridge` and `ip` write them.

/// A setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnOff {
    /// It is in force.
    On,
    /// It is not.
    Off,
}

impl std::fmt::Display for OnOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_on() { "on" } else { "off" })
    }
}

impl OnOff {
    /// The word for it.
    pub(crate) fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// Whether it is `on`.
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}
