//! Nodes admitted to the cluster and dismissed from it: their numbers, and whose disks they are.
//!
//! Who is a member is not decided here but by the consensus itself, in entries of its own. The state
//! keeps what must outlive a member: that a number is never given twice, and that a disk that was
//! let go never comes back.

use super::ruled::Ruled;
use crate::{
    changes::Changes,
    command::{AdmitNode, Admitted, DismissNode, Rejection},
    keys::NodesKey,
    limits::{ID_CHARS, NODES},
    records::{NodeRecord, Nodes},
    source::Source,
};

/// Gives a disk its number; the same disk gets the same one again. Of one name, only the newest disk
/// stays admitted.
pub(super) fn admit(changes: &mut Changes<'_>, admit: &AdmitNode) -> Ruled<Admitted> {
    let AdmitNode { name, disk, above } = admit;
    check(name, disk)?;
    let mut nodes = changes.get_or_default(&NodesKey)?;
    match nodes.of_disk(disk) {
        Some(record) if record.dismissed => return Err(Rejection::NodeDismissed.into()),
        Some(record) => return Ok(Admitted { node: record.node }),
        None => {}
    }
    for record in nodes.nodes.iter_mut().filter(|record| record.name == *name) {
        record.dismissed = true;
    }
    nodes.last = nodes.last.max(*above) + 1;
    let node = nodes.last;
    note(
        &mut nodes,
        NodeRecord {
            node,
            name: name.into(),
            disk: disk.into(),
            dismissed: false,
        },
    )?;
    changes.put(&NodesKey, &nodes);
    Ok(Admitted { node })
}

/// Lets a disk go, for good.
pub(super) fn dismiss(changes: &mut Changes<'_>, dismiss: &DismissNode) -> Ruled<()> {
    let DismissNode { node, name, disk } = dismiss;
    let node = *node;
    check(name, disk)?;
    let mut nodes = changes.get_or_default(&NodesKey)?;
    // A member from the beginning has no record: its number counts from now on.
    nodes.last = nodes.last.max(node);
    match nodes.nodes.iter_mut().find(|record| record.disk == *disk) {
        Some(record) => record.dismissed = true,
        None => {
            let (name, disk) = (name.to_owned(), disk.to_owned());
            note(
                &mut nodes,
                NodeRecord {
                    node,
                    name,
                    disk,
                    dismissed: true,
                },
            )?;
        }
    }
    changes.put(&NodesKey, &nodes);
    Ok(())
}

fn check(name: &str, disk: &str) -> Result<(), Rejection> {
    let fits = |text: &str| !text.is_empty() && text.chars().count() <= ID_CHARS;
    match fits(name) && fits(disk) {
        true => Ok(()),
        false => Err(Rejection::OutOfBounds {
            what: format!("a name and a disk of a node have 1 to {ID_CHARS} characters"),
        }),
    }
}

fn note(nodes: &mut Nodes, record: NodeRecord) -> Result<(), Rejection> {
    if nodes.nodes.len() >= NODES {
        let oldest = nodes.nodes.iter().position(|record| record.dismissed);
        let Some(oldest) = oldest else {
            return Err(Rejection::OutOfBounds {
                what: format!("{NODES} nodes are admitted"),
            });
        };
        nodes.nodes.remove(oldest);
    }
    nodes.nodes.push(record);
    Ok(())
}
