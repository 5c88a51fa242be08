//! Messages that were acknowledged and died with the node that had acknowledged them.
//!
//! A client's ack for `sendToGroup` says that its node has the message. If the node ends before Redis has taken it, others
//! cannot get it, and nothing shows them that it was there.

use std::time::Duration;

use super::died;
use crate::record::{Incident, Publication, Trouble};

/// How long a message may take from its ack until Redis has it while all is well, on a busy machine.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// How long a node takes to go on when its link is good again.
const CATCHING_UP: Duration = Duration::from_secs(2);

/// Whether the node that acknowledged it may have ended before it could pass it on.
pub(super) fn died_with_its_node(incidents: &[Incident], publication: &Publication) -> bool {
    let Some(acknowledged) = publication.acknowledged else {
        return false;
    };
    let deaths = incidents.iter().filter_map(|incident| died(incident, publication.node));
    deaths.filter(|death| acknowledged <= *death + UNDER_WAY).any(|death| {
        acknowledged + UNDER_WAY >= death
            || incidents.iter().any(|incident| {
                let may_hinder = match incident.trouble {
                    Trouble::Redis => true,
                    Trouble::Cut(run) => run == publication.node,
                    _ => false,
                };
                may_hinder
                    && acknowledged + UNDER_WAY >= incident.from
                    && acknowledged <= incident.until.saturating_add(CATCHING_UP)
                    && death <= incident.until.saturating_add(CATCHING_UP)
            })
    })
}
