//! From the hook where packets come in through the chains, rule by rule and jump by jump, with what
//! is still possible at each place. Pure, but for the sets that are asked for on the way.
//!
//! A verdict that lets packets go by before a rule is not followed: what may be forwarded counts.

use std::io;
use std::net::Ipv4Addr;

use super::condition::{Is, Value, condition};
use super::rules::{Element, Expression, Place, Rules, find, number, string, words};
use super::scope::Scope;
use super::{Ask, Forwarded, xt};

/// Jumps followed into each other.
const DEPTH: usize = 16;
/// Rules looked at before it gives up.
const RULES: usize = 200_000;
/// Registers of four bytes.
const REGISTERS: usize = 24;

/// Registers a key may take.
const KEY: usize = 8;

/// Adds what the rules forward of what is asked about.
pub(super) fn walk(rules: &mut Rules, ask: &Ask<'_>, found: &mut Vec<Forwarded>) -> io::Result<()> {
    let entries = rules.entries.clone();
    let mut walk = Walk { rules, ask, found, left: RULES };
    entries.iter().try_for_each(|place| walk.chain(place, &Scope::all(ask), 0))
}

struct Walk<'a> {
    rules: &'a mut Rules,
    ask: &'a Ask<'a>,
    found: &'a mut Vec<Forwarded>,
    left: usize,
}

/// A rule under way.
struct Rule<'a> {
    place: &'a Place,
    scope: Scope,
    registers: [Value; REGISTERS],
    depth: usize,
}

impl Walk<'_> {
    fn chain(&mut self, place: &Place, scope: &Scope, depth: usize) -> io::Result<()> {
        if depth > DEPTH || scope.is_empty() {
            return Ok(());
        }
        // Put back afterwards; a chain that leads to itself finds nothing there.
        let Some(rules) = self.rules.chains.remove(place) else { return Ok(()) };
        let mut outcome = Ok(());
        for expressions in &rules {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let registers = std::array::from_fn(|_| Value::Unread);
            let rule = Rule { place, scope: scope.clone(), registers, depth };
            outcome = self.rule(rule, expressions);
            if outcome.is_err() {
                break;
            }
        }
        self.rules.chains.insert(place.clone(), rules);
        outcome
    }

    fn rule(&mut self, mut rule: Rule<'_>, expressions: &[Expression]) -> io::Result<()> {
        for Expression { name, data } in expressions {
            if rule.scope.is_empty() {
                return Ok(());
            }
            match name.as_str() {
                "payload" | "meta" => rule.load(name, data),
                "bitwise" => rule.mask(data),
                "immediate" => self.immediate(&mut rule, data)?,
                "cmp" => {
                    let is = number(data, 2).and_then(Is::read);
                    let value = find(data, 3).and_then(|value| find(value, 1)).unwrap_or_default();
                    rule.compare(self.ask, register(data, 1), is, value);
                }
                "range" => rule.range(self.ask, data),
                "lookup" => self.lookup(&mut rule, data)?,
                "match" => xt::condition(
                    &mut rule.scope,
                    &string(data, 1).unwrap_or_default(),
                    number(data, 2).unwrap_or(0),
                    find(data, 3).unwrap_or_default(),
                ),
                "target" => {
                    let target = string(data, 1).unwrap_or_default();
                    let info = find(data, 3).unwrap_or_default();
                    if let Some(to) = xt::target(&target, number(data, 2).unwrap_or(0), info) {
                        self.forwards(&rule, to);
                    }
                }
                // 1 is dnat.
                "nat" if number(data, 1) == Some(1) => {
                    let to = rule.destination(register(data, 3), register(data, 5));
                    self.forwards(&rule, to);
                }
                "redir" => {
                    let port = rule.known_port(register(data, 1));
                    self.forwards(&rule, port.map(|port| format!("port {port} of this host")));
                }
                "tproxy" => {
                    let to = rule.destination(register(data, 2), register(data, 3));
                    self.forwards(&rule, to);
                }
                "counter" | "log" | "nat" | "masq" | "notrack" | "objref" | "dup" | "last" => {}
                // What loads a register that nobody reads here, or is a condition itself.
                "limit" | "quota" | "connlimit" | "xfrm" | "synproxy" => rule.scope.unread(),
                _ => {
                    for register in [1, 2].map(|kind| register(data, kind)) {
                        rule.put(register, Value::Unread);
                    }
                }
            }
        }
        Ok(())
    }

    fn forwards(&mut self, rule: &Rule<'_>, to: Option<String>) {
        let by = words(rule.place);
        let new = |(protocol, port)| Forwarded { protocol, port, by: by.clone(), to: to.clone() };
        self.found.extend(rule.scope.taken().into_iter().map(new));
    }

    /// A value for a register, or the verdict.
    fn immediate(&mut self, rule: &mut Rule<'_>, data: &[u8]) -> io::Result<()> {
        let value = find(data, 2).unwrap_or_default();
        if let Some(bytes) = find(value, 1) {
            rule.put(register(data, 1), Value::Known(bytes.to_vec()));
        }
        match find(value, 2).and_then(|verdict| string(verdict, 2)) {
            Some(chain) => self.jump(rule, &chain, &rule.scope),
            None => Ok(()),
        }
    }

    fn jump(&mut self, rule: &Rule<'_>, chain: &str, scope: &Scope) -> io::Result<()> {
        let (family, table, _) = rule.place;
        self.chain(&(*family, table.clone(), chain.to_owned()), scope, rule.depth + 1)
    }

    /// Goes on where a set or a map has what the registers hold, by each chain a map gives.
    fn lookup(&mut self, rule: &mut Rule<'_>, data: &[u8]) -> io::Result<()> {
        let inverted = number(data, 5).unwrap_or(0) & 1 != 0;
        let Some(from) = register(data, 2) else { return Ok(()) };
        let into = register(data, 3);
        // A set of sources or marks may be a long one, and would tell nothing.
        if into.is_none() && !rule.registers[from..].iter().take(KEY).any(Value::tells) {
            rule.scope.unread();
            return Ok(());
        }
        let (family, table, _) = rule.place;
        let set = string(data, 1).unwrap_or_default();
        let elements = self.rules.elements(*family, table, &set)?.to_vec();
        let mut met = rule.scope.none();
        let mut value = None;
        for element in &elements {
            let mut scope = rule.scope.clone();
            if !element.any {
                rule.element(self.ask, &mut scope, from, element);
            }
            if scope.is_empty() {
                continue;
            }
            if let Some(chain) = &element.chain {
                self.jump(rule, chain, &scope)?;
            }
            met.add(&scope);
            value = Some(if value.is_none() { element.value.clone() } else { Vec::new() });
        }
        if inverted {
            rule.scope.without(&met);
        } else {
            rule.scope = met;
        }
        if let Some(into) = into.filter(|into| *into >= 4) {
            // Where only one is possible, that is what it gives.
            rule.put(Some(into), Value::Known(value.unwrap_or_default()));
        }
        Ok(())
    }
}

impl Rule<'_> {
    fn put(&mut self, at: Option<usize>, value: Value) {
        let Some(at) = at else { return };
        let bytes = match &value {
            Value::Packet { length, .. } => *length,
            Value::InterfaceName => 16,
            Value::Known(bytes) => bytes.len(),
            _ => 4,
        };
        let mut value = Some(value);
        for slot in self.registers.iter_mut().skip(at).take(bytes.div_ceil(4).max(1)) {
            *slot = value.take().unwrap_or_default();
        }
    }

    fn load(&mut self, name: &str, data: &[u8]) {
        let word = |kind| number(data, kind).unwrap_or(0);
        let value = match name {
            "payload" => Value::Packet {
                base: word(2),
                offset: word(3) as usize,
                length: word(4) as usize,
                mask: None,
            },
            // `enum nft_meta_keys`
            _ => match word(2) {
                16 => Value::Protocol,
                6 => Value::InterfaceName,
                4 => Value::InterfaceIndex,
                _ => Value::Unread,
            },
        };
        self.put(register(data, 1), value);
    }

    /// Keeps some bits of a register.
    fn mask(&mut self, data: &[u8]) {
        let bits = |kind| find(data, kind).and_then(|bits| find(bits, 1)).map(<[u8]>::to_vec);
        let plain = bits(5).is_some_and(|flipped| flipped.iter().all(|byte| *byte == 0));
        let from = register(data, 1).and_then(|from| self.registers.get(from)).cloned();
        let value = match (from, bits(4)) {
            (Some(Value::Packet { base, offset, length, mask: None }), mask) if plain => {
                Value::Packet { base, offset, length, mask }
            }
            _ => Value::Unread,
        };
        self.put(register(data, 2), value);
    }

    fn compare(&mut self, ask: &Ask<'_>, at: Option<usize>, is: Option<Is>, value: &[u8]) {
        let held = at.and_then(|at| self.registers.get(at)).cloned().unwrap_or_default();
        match is {
            Some(is) => condition(&mut self.scope, ask, &held, is, value),
            None => self.scope.unread(),
        }
    }

    fn range(&mut self, ask: &Ask<'_>, data: &[u8]) {
        let bound = |kind| find(data, kind).and_then(|v| find(v, 1)).unwrap_or_default();
        let at = register(data, 1);
        if number(data, 2) == Some(0) {
            self.compare(ask, at, Some(Is::AtLeast), bound(3));
            self.compare(ask, at, Some(Is::AtMost), bound(4));
            return;
        }
        let before = self.scope.clone();
        self.compare(ask, at, Some(Is::Less), bound(3));
        let mut above = Rule { scope: before, registers: self.registers.clone(), ..*self };
        above.compare(ask, at, Some(Is::More), bound(4));
        self.scope.add(&above.scope);
    }

    /// What of `scope` an element stands for.
    fn element(&self, ask: &Ask<'_>, scope: &mut Scope, from: usize, element: &Element) {
        let mut at = 0;
        while at < element.key.len() {
            let held = self.registers.get(from + at / 4).cloned().unwrap_or_default();
            let length = match &held {
                Value::Packet { length, .. } => *length,
                Value::Protocol => 1,
                Value::InterfaceName => 16,
                _ => 4,
            };
            let part = |key: &[u8]| key.get(at..(at + length).min(key.len())).map(<[u8]>::to_vec);
            let (first, last) = (part(&element.key), part(&element.last));
            match (first, last) {
                (Some(first), Some(last)) if first != last => {
                    condition(scope, ask, &held, Is::AtLeast, &first);
                    condition(scope, ask, &held, Is::AtMost, &last);
                }
                (Some(first), _) => condition(scope, ask, &held, Is::Equal, &first),
                _ => scope.unread(),
            }
            at += length.next_multiple_of(4);
        }
    }

    fn known(&self, at: Option<usize>) -> Option<&[u8]> {
        match self.registers.get(at?)? {
            Value::Known(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn known_port(&self, at: Option<usize>) -> Option<u16> {
        Some(u16::from_be_bytes(*self.known(at)?.first_chunk()?))
    }

    /// Where dnat leads, as far as the rule says.
    fn destination(&self, address: Option<usize>, port: Option<usize>) -> Option<String> {
        let bytes = self.known(address);
        let to = bytes.and_then(|bytes| bytes.first_chunk::<4>()).map(|b| Ipv4Addr::from(*b));
        // A map of addresses with ports gives both, one behind the other.
        let behind = || Some(u16::from_be_bytes(*bytes?.get(4..)?.first_chunk()?));
        let port = port.and_then(|at| self.known_port(Some(at)).or_else(behind));
        match (to, port) {
            (Some(to), Some(port)) => Some(format!("{to}:{port}")),
            (Some(to), None) => Some(to.to_string()),
            (None, Some(port)) => Some(format!("port {port}")),
            (None, None) => None,
        }
    }
}

/// A register by its number in an attribute, counted in four bytes.
fn register(data: &[u8], kind: u16) -> Option<usize> {
    let register = number(data, kind)? as usize;
    let at = if register < 8 { register * 4 } else { register - 4 };
    (at < REGISTERS).then_some(at)
}
