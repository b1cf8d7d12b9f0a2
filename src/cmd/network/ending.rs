//! Which networks cannot be ended, looked at before any is.

use control::Client;
use control::api::Node;

use crate::door::Which;
use crate::{exit, say};

/// Says which of these networks are not there or have nodes attached; the exit code, 0 where none is.
pub(super) fn cannot(which: &Which, client: &Client, networks: &[String]) -> anyhow::Result<u8> {
    let known = which.answer(client.networks())?;
    let lab = which.answer(client.topology())?;
    let mut code = 0;
    for asked in networks {
        let lab_name = which.name.to_string();
        let error = if known.iter().any(|network| network.name == *asked) {
            let of = |node: &&Node| {
                let further = node.further.iter().map(|own| &own.network);
                further.chain([&node.network]).any(|own| own.as_ref() == Some(asked))
            };
            let nodes: Vec<_> =
                lab.nodes.iter().filter(of).map(|node| node.name.as_str()).collect();
            let joined = lab.links.iter().find(|link| link.networks.contains(asked));
            match (nodes.as_slice(), joined) {
                ([], None) => continue,
                ([], Some(link)) => lab::Error::NetworkJoined {
                    lab: lab_name,
                    network: asked.clone(),
                    link: link.name.clone(),
                },
                (nodes, _) => lab::Error::NetworkBusy {
                    lab: lab_name,
                    network: asked.clone(),
                    nodes: lab::network::few(nodes),
                },
            }
        } else {
            let all: Vec<_> = known.iter().map(|network| network.name.as_str()).collect();
            let networks = all.join(", ");
            lab::Error::NoNetwork { lab: lab_name, network: asked.clone(), networks }
        };
        say::error(&error.to_string());
        let its =
            if matches!(error, lab::Error::NoNetwork { .. }) { exit::USAGE } else { exit::FAILED };
        code = code.max(its);
    }
    Ok(code)
}
