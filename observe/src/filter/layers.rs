//! Where the headers begin that the words of a filter speak of, and how a frame says what it carries.
//!
//! `vlan`, `mpls` and `pppoes` move that for all words behind them, as libpcap has it: `vlan and
//! tcp` looks for TCP behind the tag. Offsets and tests are those of libpcap's gencode.c for
//! Ethernet.

use wire::ethertype::{IPV4, IPV6, QINQ, VLAN};

use super::ast::{At, Expr, Is, Size};

/// The tag type from before 802.1ad, which libpcap knows too.
const OLD_QINQ: u16 = 0x9100;
const MPLS: u16 = 0x8847;
const PPPOE_DISCOVERY: u16 = 0x8863;
const PPPOE_SESSION: u16 = 0x8864;
const ATALK: u16 = 0x809b;
const AARP: u16 = 0x80f3;
const IPX: u16 = 0x8137;
/// The longest payload that a length may say where a type may stand (IEEE 802.3).
const LONGEST: u32 = 1500;

/// Service access points of LLC (IEEE 802.2).
pub(super) mod sap {
    pub(crate) const STP: u16 = 0x42;
    pub(crate) const IPX: u16 = 0xe0;
    pub(crate) const NETBEUI: u16 = 0xf0;
    pub(crate) const ISO: u16 = 0xfe;
}

/// Where one stands in the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers {
    /// The link header.
    link: usize,
    /// The type, EtherType or PPP's.
    kind: usize,
    /// What the link carries, and the network header in it: behind labels, where there are any.
    payload: usize,
    labels: usize,
    /// Within PPP.
    ppp: bool,
}

impl Layers {
    pub(super) const ETHERNET: Self =
        Self { link: 0, kind: 12, payload: 14, labels: 0, ppp: false };

    /// The link header; an error where it has no Ethernet addresses.
    pub(super) fn ethernet(&self) -> Result<usize, String> {
        if self.ppp {
            return Err("PPP has no Ethernet addresses: look for them before `pppoes`".into());
        }
        Ok(self.link)
    }

    /// The link header, for its bytes.
    pub(super) const fn link(&self) -> usize {
        self.link
    }

    /// The network header.
    pub(super) const fn net(&self) -> usize {
        self.payload + 4 * self.labels
    }

    /// What stands behind LLC.
    pub(super) const fn behind_llc(&self) -> usize {
        self.net() + if self.ppp { 0 } else { 3 }
    }

    /// Whether words behind labels are read.
    pub(super) const fn labelled(&self) -> bool {
        self.labels > 0
    }

    /// Frames that carry `kind`: an EtherType, or an access point of LLC.
    pub(super) fn carries(&self, kind: u16) -> Result<Expr, String> {
        if self.labels > 0 {
            return self.labels_carry(kind);
        }
        if self.ppp {
            return Ok(self.is(ppp_type(kind)));
        }
        let snap = |code: u8, kind: u16| {
            let [a, b] = kind.to_be_bytes();
            let code = if code == 0 { [0, 0, 0] } else { [8, 0, code] };
            Expr::bytes(self.payload, &[0xaa, 0xaa, 3, code[0], code[1], code[2], a, b])
        };
        let pair = |sap: u16| Expr::equal(self.payload, Size::Two, u32::from(sap << 8 | sap));
        Ok(match kind {
            sap::ISO | sap::NETBEUI => self.has_length().and(pair(kind)),
            sap::IPX => {
                let novell = Expr::equal(self.payload, Size::Two, 0xffff);
                let llc = Expr::equal(self.payload, Size::One, u32::from(sap::IPX));
                let any = snap(0, IPX).or(llc.or(novell));
                self.is(IPX).or(self.has_length().and(any))
            }
            ATALK => self.is(kind).or(self.has_length().and(snap(7, kind))),
            AARP => self.is(kind).or(self.has_length().and(snap(0, kind))),
            _ if u32::from(kind) <= LONGEST => {
                let sap = Expr::equal(self.kind + 2, Size::One, u32::from(kind));
                self.has_length().and(sap)
            }
            _ => self.is(kind),
        })
    }

    fn labels_carry(&self, kind: u16) -> Result<Expr, String> {
        let version = match kind {
            IPV4 => 0x40,
            IPV6 => 0x60,
            _ => return Err("behind `mpls` only IPv4 and IPv6 can be told apart".into()),
        };
        let bottom = Expr::masked(self.net() - 2, Size::One, 1, 1);
        Ok(bottom.and(Expr::masked(self.net(), Size::One, version, 0xf0)))
    }

    fn is(&self, kind: u16) -> Expr {
        Expr::equal(self.kind, Size::Two, u32::from(kind))
    }

    /// A length stands where a type may stand.
    fn has_length(&self) -> Expr {
        Expr::field(At::Frame(self.kind), Size::Two, u32::MAX, Is::Greater, LONGEST).not()
    }

    /// Frames with an LLC header.
    pub(super) fn llc(&self) -> Result<Expr, String> {
        if self.ppp {
            return Err("PPP has no LLC header".into());
        }
        let novell = Expr::equal(self.payload, Size::Two, 0xffff);
        Ok(self.has_length().and(novell.not()))
    }

    /// Frames with an LLC header whose control field is so.
    pub(super) fn llc_control(&self, value: u32, mask: u32) -> Result<Expr, String> {
        Ok(self.llc()?.and(Expr::masked(self.payload + 2, Size::One, value, mask)))
    }

    /// A tag, of VLAN `id` where one is given; what follows looks behind it.
    pub(super) fn vlan(&mut self, id: Option<u32>) -> Result<Expr, String> {
        if self.labels > 0 {
            return Err("behind `mpls` there are no VLAN tags".into());
        }
        if self.ppp {
            return Err("behind `pppoes` there are no VLAN tags".into());
        }
        let mut test = self.is(OLD_QINQ).or(self.is(VLAN).or(self.is(QINQ)));
        if let Some(id) = id {
            if id > 0xfff {
                return Err(format!("`{id}` is no VLAN: 0 to 4095"));
            }
            test = test.and(Expr::masked(self.payload, Size::Two, id, 0xfff));
        }
        self.kind += 4;
        self.payload += 4;
        Ok(test)
    }

    /// A label, of this value where one is given; what follows looks behind it.
    pub(super) fn mpls(&mut self, label: Option<u32>) -> Result<Expr, String> {
        let mut test = match self.labels {
            0 if self.ppp => self.is(0x0281),
            0 => self.is(MPLS),
            _ => Expr::masked(self.net() - 2, Size::One, 0, 1),
        };
        if let Some(label) = label {
            if label > 0xf_ffff {
                return Err(format!("`{label}` is no MPLS label: 0 to 1048575"));
            }
            test = test.and(Expr::masked(self.net(), Size::Four, label << 12, 0xffff_f000));
        }
        self.labels += 1;
        Ok(test)
    }

    /// PPPoE's discovery.
    pub(super) fn pppoed(&self) -> Result<Expr, String> {
        self.carries(PPPOE_DISCOVERY)
    }

    /// PPPoE's sessions, or one of them; what follows looks inside.
    pub(super) fn pppoes(&mut self, session: Option<u32>) -> Result<Expr, String> {
        let mut test = self.carries(PPPOE_SESSION)?;
        if let Some(session) = session {
            if session > 0xffff {
                return Err(format!("`{session}` is no PPPoE session: 0 to 65535"));
            }
            test = test.and(Expr::masked(self.payload, Size::Four, session, 0xffff));
        }
        let link = self.payload + 6;
        *self = Self { link, kind: link, payload: link + 2, labels: 0, ppp: true };
        Ok(test)
    }
}

/// PPP's number for what Ethernet carries as `kind` (RFC 1661 and IANA).
const fn ppp_type(kind: u16) -> u16 {
    match kind {
        IPV4 => 0x21,
        IPV6 => 0x57,
        0x6003 => 0x27,
        ATALK => 0x29,
        0x0600 => 0x25,
        sap::ISO => 0x23,
        sap::STP => 0x31,
        sap::IPX => 0x2b,
        other => other,
    }
}
