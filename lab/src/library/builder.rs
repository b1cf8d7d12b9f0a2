//! What a lab is asked to be, option by option.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ::topology::file::{self, Format};
use ::topology::{NatType, Spec};

use super::LabGuard;
use crate::clean;
use crate::config::{LabConfig, LabName, Topology, Uplink};
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;
use crate::lab::Lab;

/// What the names of labs begin with that were given none; the process's number follows.
const UNNAMED: &str = "lib-";

/// A lab to be. By default a switch with a gateway, two nodes `net1` and `net2`, and a simulated
/// internet behind the gateway's NAT, as `uswitch run` builds it.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `start`"]
pub struct Builder {
    name: Option<String>,
    shape: Topology,
    nodes: Option<u32>,
    spec: Option<std::result::Result<Spec, String>>,
    uplink: Option<Uplink>,
    nat: Option<NatType>,
    mtu: Option<u32>,
}

impl Lab {
    /// A lab to be, for [`Builder::start`].
    pub fn builder() -> Builder {
        Builder {
            name: None,
            shape: Topology::Switch,
            nodes: None,
            spec: None,
            uplink: None,
            nat: None,
            mtu: None,
        }
    }
}

impl Builder {
    /// How the lab is called: by default a name of its own, so that tests run side by side. A lab with a
    /// name is found by `uswitch ls` under it, and there can be one of a name.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What joins the nodes, unless it is the switch.
    pub fn topology(self, shape: Topology) -> Self {
        Self { shape, ..self }
    }

    /// How many nodes the shape has: `net1`, `net2`, … By default 2.
    pub fn nodes(self, count: u32) -> Self {
        Self { nodes: Some(count), ..self }
    }

    /// All of it as a value, in the place of a shape.
    pub fn spec(self, spec: Spec) -> Self {
        Self { spec: Some(Ok(spec)), ..self }
    }

    /// All of it as a file has it (`docs/file.md`), in YAML. What nodes are to execute is left out: that is
    /// for the caller, by [`Inside::run`](super::Inside::run).
    ///
    /// ```
    /// # if uswitch_lab::ready().is_err() { return Ok(()); }
    /// let lab = uswitch_lab::Lab::builder()
    ///     .yaml("networks: {lan: {subnet: 10.1.0.0/24}}\nnodes: {a: {network: lan}, b: {network: lan}}")
    ///     .start()?;
    /// assert_eq!(lab.node("a")?.address(), Some([10, 1, 0, 2].into()));
    /// # Ok::<(), uswitch_lab::Error>(())
    /// ```
    pub fn yaml(self, text: &str) -> Self {
        Self { spec: Some(read(text, Format::Yaml)), ..self }
    }

    /// The same from a file, whose name says whether it is YAML, JSON or TOML.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Usage`] for a name that ends otherwise.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let format = path.to_str().and_then(Format::of).ok_or_else(|| {
            Error::Usage(format!("{}: .yaml, .yml, .json or .toml", path.display()))
        })?;
        let text = std::fs::read_to_string(path).doing(|| format!("reading {}", path.display()))?;
        let spec = read(&text, format).map_err(|fault| format!("{}:{fault}", path.display()));
        Ok(Self { spec: Some(spec), ..self })
    }

    /// The way out: the simulated internet, none, or an interface of the host.
    pub fn uplink(self, uplink: Uplink) -> Self {
        Self { uplink: Some(uplink), ..self }
    }

    /// How the gateway's NAT maps and filters.
    pub fn nat(self, nat: NatType) -> Self {
        Self { nat: Some(nat), ..self }
    }

    /// The MTU of nodes and gateway, in bytes.
    pub fn mtu(self, mtu: u32) -> Self {
        Self { mtu: Some(mtu), ..self }
    }

    /// Builds it. When this returns the nodes' interfaces are up and the switch forwards.
    ///
    /// # Errors
    /// [`Error::Usage`] for what cannot be, before anything is made; [`Error::Held`] where a lab of that
    /// name runs; those of [`ready`](super::ready); whatever the kernel refuses. Nothing is left behind.
    pub fn start(self) -> Result<LabGuard> {
        let config = self.config()?;
        let ground = super::ground()?;
        sweep(&ground);
        let never = AtomicBool::new(false);
        Lab::start(config, &ground, &never, &mut |_| {}).map(LabGuard)
    }

    fn config(self) -> Result<LabConfig> {
        let name = self.name.unwrap_or_else(unnamed);
        let name: LabName = name.parse()?;
        let mut spec = match self.spec {
            Some(spec) => {
                if let Some(count) = self.nodes {
                    let said = format!("nodes({count}): the file or the spec says which there are");
                    return Err(Error::Usage(said));
                }
                spec.map_err(Error::Usage)?
            }
            None => self.shape.spec(self.nodes.unwrap_or(2))?,
        };
        spec.uplink = self.uplink.or(spec.uplink);
        if !spec.is_switched() && spec.uplink.is_none() {
            spec.uplink = Some(Uplink::None);
        }
        spec.nat = self.nat.unwrap_or(spec.nat);
        spec.mtu = self.mtu.or(spec.mtu);
        let faults = |all: Vec<::topology::Problem>| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            Error::Usage(all.join("; "))
        };
        let mut spec = spec.check().map_err(faults)?.spelled_out();
        spec.name = Some(name.clone());
        Ok(LabConfig { name, spec, ..LabConfig::of(Topology::Switch, 1)? })
    }
}

fn read(text: &str, format: Format) -> std::result::Result<Spec, String> {
    file::parse(text, format).map_err(|fault| fault.to_string())
}

/// A name that no other lab of this machine has.
fn unnamed() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{UNNAMED}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what processes that were killed have left of labs without a name.
fn sweep(ground: &Ground) {
    for lab in ground.labs().unwrap_or_default() {
        let process = lab.as_str().strip_prefix(UNNAMED).and_then(|rest| rest.split('-').next());
        let Some(process) = process.and_then(|number| number.parse::<u32>().ok()) else { continue };
        if Path::new(&format!("/proc/{process}")).exists() {
            continue;
        }
        if let Err(error) = clean::down(ground, &lab) {
            tracing::warn!("lab {lab}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: Builder) -> String {
        builder.config().and_then(|config| config.check()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_is_said_before_anything_is_made() {
        for (builder, said) in [
            (Lab::builder().nodes(0), "at least one node"),
            (Lab::builder().topology(Topology::Pair).nodes(3), "a pair has two nodes"),
            (Lab::builder().name("../x"), "../x"),
            (Lab::builder().mtu(20), "mtu: 20"),
            (Lab::builder().yaml("nodes: ["), "1:"),
            (Lab::builder().yaml("nodes: {a: {network: nosuch}}"), "nosuch"),
            (Lab::builder().yaml("nodes: {a: {}}").nodes(2), "says which there are"),
        ] {
            let line = refused(builder);
            assert!(line.contains(said) && !line.contains('\n'), "{said}: {line}");
        }
        assert!(Lab::builder().file("lab.txt").unwrap_err().to_string().contains(".yaml"));
    }

    #[test]
    fn labs_without_a_name_have_each_their_own() {
        let names: Vec<_> =
            (0..2).map(|_| Lab::builder().config().unwrap().name.to_string()).collect();
        assert_ne!(names[0], names[1]);
        assert!(names[0].starts_with("lib-"), "{names:?}");
    }
}
