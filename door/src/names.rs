//! The names of a lab, for the door; and what its resolver is asked for, as events.

use control::api::{EventKind, Name, NameOf, Page, PageQuery};
use lab::{Named, Whose};

use crate::open::{Answer, LabDoor};

pub(crate) fn names(door: &LabDoor, page: &PageQuery) -> Answer<Page<Name>> {
    let (domain, all) = door.lab()?.names();
    // The cursor: how many are before it.
    let from = usize::try_from(page.cursor.unwrap_or(0)).unwrap_or(usize::MAX);
    let more = all.len().saturating_sub(from) > page.limit();
    let items: Vec<_> = all.into_iter().skip(from).take(page.limit()).collect();
    let next = more.then(|| (from + items.len()) as u64);
    Ok(Page { items: items.into_iter().map(|named| told(named, &domain)).collect(), next })
}

fn told(named: Named, domain: &str) -> Name {
    Name {
        fqdn: format!("{}.{domain}", named.name),
        name: named.name,
        aliases: named.aliases,
        whose: match named.whose {
            Whose::Gateway => NameOf::Gateway,
            Whose::Node => NameOf::Node,
            Whose::Beyond => NameOf::Beyond,
        },
        network: named.network,
        addresses: named.addresses,
    }
}

/// A query as an event; it came by the port of this name.
pub(crate) fn asked<W>(question: lab::resolver::Question<W>, ifname: String) -> EventKind {
    let outcome = question.outcome.as_str().to_owned();
    EventKind::Asked { name: question.name, record: question.kind, ifname, outcome }
}
