//! Ports that are shut and opened as the workers have agreed ([`super::Guards`]), in a worker's bridge.

use wire::Timestamp;

use super::bridge::Bridge;
use super::port::PortId;

impl Bridge {
    /// Whether a port has been shut or opened since [`Bridge::heed`].
    #[must_use]
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.guards.version() != self.heeded
    }

    /// Shuts and opens ports as the workers have agreed, and forgets who was heard by what was left of a
    /// loop; says when there is more to do.
    pub fn heed(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (faded, fades) = self.guards.faded(now);
        for id in faded {
            self.fdb().flush(Some(id));
        }
        let next = self.guards.settle(now).into_iter().chain(fades).min();
        if self.is_behind() {
            self.heeded = self.guards.version();
            let closed = self.guards.closed_ports(now);
            let opened: Vec<PortId> = self
                .ports_mut()
                .filter_map(|(id, port)| {
                    let was = port.shut;
                    port.close(closed.contains(&id));
                    (was && !port.shut && port.state.up).then_some(id)
                })
                .collect();
            for id in opened {
                let snoop =
                    self.get(id).and_then(|port| self.network(port.state.network)?.snoop.as_ref());
                snoop.inspect(|snoop| snoop.greet(id, |_| true));
            }
        }
        next
    }
}
