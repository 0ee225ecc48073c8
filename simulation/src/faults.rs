//! What may strike, and how often.

use rand::{Rng, rngs::StdRng};

use crate::plan::{GatewayMix, Plan, USUAL_MOODS};

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A node by its number.
    Node(usize),
    /// Whoever leads then.
    Leader,
}

/// A kind of damage to a postman's journal while nothing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalDamage {
    /// A bit of a file is another.
    Flipped,
    /// A file is shorter.
    Cut,
    /// A part of a file is zero.
    Zeroed,
    /// A file is gone.
    Deleted,
}

/// All kinds of damage to a journal.
pub const JOURNAL_DAMAGES: [JournalDamage; 4] = [
    JournalDamage::Flipped,
    JournalDamage::Cut,
    JournalDamage::Zeroed,
    JournalDamage::Deleted,
];

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process ends; with power, its machine too: what was not synced is lost at random.
    Kill {
        /// Whose.
        target: Target,
        /// Whether the machine loses its power.
        power: bool,
        /// How long it is away.
        down_ms: u64,
    },
    /// The power goes in the middle of an operation of a disk.
    PowerAtOperation {
        /// Whose.
        target: Target,
        /// Which operation from now.
        operations: u64,
    },
    /// A process ends at a step of sending.
    KillAtSend {
        /// Whose.
        target: Target,
        /// Which step from now.
        steps: u64,
    },
    /// A node is away so long that its log no longer meets the others': they write snapshots.
    LongOutage {
        /// Whose.
        target: Target,
        /// How long.
        down_ms: u64,
    },
    /// A process ends cleanly and starts again.
    Restart {
        /// Whose.
        target: Target,
    },
    /// Nodes cannot reach the others.
    Partition {
        /// A bit for each node that is cut off.
        nodes: u32,
        /// Whether the gateway and the clients are on the others' side.
        all: bool,
        /// How long.
        ms: u64,
    },
    /// Nothing comes through from one node to another.
    OneWay {
        /// From.
        from: Target,
        /// To.
        to: usize,
        /// How long.
        ms: u64,
    },
    /// What two nodes send each other waits, and then comes all at once.
    Hold {
        /// One.
        one: Target,
        /// The other.
        other: usize,
        /// How long.
        ms: u64,
    },
    /// The network is slow.
    Slow {
        /// What a message takes, at most.
        latency_ms: u64,
        /// How long.
        ms: u64,
    },
    /// A postman is cut off from the gateway, in one direction or in both.
    CutGateway {
        /// Whose postman.
        target: Target,
        /// Whether only answers are lost.
        answers: bool,
        /// How long.
        ms: u64,
    },
    /// A wall clock is set wrong.
    Skew {
        /// Whose.
        target: Target,
        /// By how much.
        ms: i64,
        /// For how long.
        for_ms: u64,
    },
    /// A disk is full, or its syncs fail.
    Disk {
        /// Whose.
        target: Target,
        /// Which operation from now.
        operations: u64,
        /// Whether syncs fail, or writes.
        syncs: bool,
    },
    /// The state cannot be flushed.
    Flush {
        /// Whose.
        target: Target,
    },
    /// Leadership is handed over.
    Transfer,
    /// A snapshot is written, the log before it dropped.
    Snapshot {
        /// By whom.
        target: Target,
    },
    /// A state is marked suspect, and its node restarted: it is rebuilt.
    Suspect {
        /// Whose.
        target: Target,
    },
    /// The gateway has a bad day.
    Gateway {
        /// How it behaves.
        mix: GatewayMix,
        /// How long.
        ms: u64,
    },
    /// A node comes back with an empty disk; the operator takes it out and in again.
    Wipe {
        /// Which.
        target: Target,
    },
    /// A copy of a disk is made, for later.
    CopyDisk {
        /// Whose.
        target: Target,
    },
    /// A node comes back with the copy of its disk that was made before. It has forgotten what it
    /// acknowledged: until it has caught up, the others must have all of it, and stay.
    OldDisk {
        /// Which.
        target: Target,
    },
    /// A spare node is started and taken in.
    Join {
        /// Which.
        node: usize,
    },
    /// A node is taken out.
    Leave {
        /// Which.
        node: usize,
    },
    /// A postman contradicts what it reported: what it had reported done, it now hands back.
    Contradict,
    /// Clients are cut off from a node, in one direction or in both.
    CutClients {
        /// From which.
        target: Target,
        /// Whether only answers are lost.
        answers: bool,
        /// How long.
        ms: u64,
    },
    /// A flush of the state does not come to its end.
    HangFlush {
        /// Whose.
        target: Target,
    },
    /// A part of the state is damaged: what lies there can neither be read nor replaced.
    Damage {
        /// Whose.
        target: Target,
        /// Where, in thousandths of its keys.
        per_mille: usize,
    },
    /// Wall clocks are set far, and are right again after some seconds.
    Jump {
        /// Whose; none: those of all machines.
        target: Option<Target>,
        /// By how much.
        ms: i64,
        /// For how long.
        for_ms: u64,
    },
    /// A process ends, and its postman's journal is damaged before the next starts.
    DamageJournal {
        /// Whose.
        target: Target,
        /// What is done to it.
        damage: JournalDamage,
        /// Which file, and where in it: wherever this falls.
        place: u64,
        /// How long it is away.
        down_ms: u64,
    },
    /// A process ends and starts again with another account at the gateway.
    NewAccount {
        /// Whose.
        target: Target,
        /// How long it is away.
        down_ms: u64,
    },
}

impl Fault {
    /// Kinds that are drawn.
    pub const KINDS: usize = 18;

    /// What is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill { power: true, .. } => "power loss",
            Fault::Kill { .. } => "kill",
            Fault::PowerAtOperation { .. } => "power loss during a disk operation",
            Fault::KillAtSend { .. } => "kill at a step of sending",
            Fault::LongOutage { .. } => "long outage",
            Fault::Restart { .. } => "restart",
            Fault::Partition { .. } => "partition",
            Fault::OneWay { .. } => "one-way partition",
            Fault::Hold { .. } => "held link",
            Fault::Slow { .. } => "slow network",
            Fault::CutGateway { .. } => "gateway cut off",
            Fault::Skew { .. } => "clock jump",
            Fault::Disk { syncs: true, .. } => "failing syncs",
            Fault::Disk { .. } => "full disk",
            Fault::Flush { .. } => "failing flush",
            Fault::Transfer => "leader transfer",
            Fault::Snapshot { .. } => "snapshot",
            Fault::Suspect { .. } => "suspect state",
            Fault::Gateway { .. } => "bad gateway",
            Fault::Wipe { .. } => "wiped disk",
            Fault::CopyDisk { .. } => "copied disk",
            Fault::OldDisk { .. } => "old copy of a disk",
            Fault::Join { .. } => "node taken in",
            Fault::Leave { .. } => "node taken out",
            Fault::Contradict => "contradicting report",
            Fault::CutClients { .. } => "clients cut off",
            Fault::HangFlush { .. } => "hanging flush",
            Fault::Damage { .. } => "damaged state",
            Fault::Jump { target: None, .. } => "jump of all clocks",
            Fault::Jump { .. } => "far clock jump",
            Fault::DamageJournal { .. } => "damaged journal",
            Fault::NewAccount { .. } => "new account at the gateway",
        }
    }

    /// Whether it takes nodes away, or from each other.
    pub fn harms_nodes(&self) -> bool {
        !matches!(
            self,
            Fault::Gateway { .. }
                | Fault::CutGateway { .. }
                | Fault::CutClients { .. }
                | Fault::Skew { .. }
                | Fault::Contradict
                | Fault::CopyDisk { .. }
                | Fault::Jump { .. }
        )
    }

    /// Draws one, by how much of each kind there is.
    pub fn draw(rng: &mut StdRng, plan: &Plan, appetite: &[u32; Self::KINDS]) -> Option<Self> {
        let mut drawn = rng.random_range(0..appetite.iter().sum::<u32>().max(1));
        let kind = appetite.iter().position(|share| {
            let hit = drawn < *share;
            drawn = drawn.saturating_sub(*share);
            hit
        })?;
        Some(Self::of_kind(kind, rng, plan))
    }

    fn of_kind(kind: usize, rng: &mut StdRng, plan: &Plan) -> Self {
        // What strikes a process or a postman may strike any machine.
        let any = [0, 1, 3, 5, 10, 11].contains(&kind);
        let node = rng.random_range(0..if any { plan.machines() } else { plan.nodes });
        let target = if rng.random_ratio(1, 3) {
            Target::Leader
        } else {
            Target::Node(node)
        };
        let other = rng.random_range(0..plan.nodes);
        let ms = rng.random_range(500..8_000);
        let down_ms = rng.random_range(100..7_000);
        match kind {
            0 => Fault::Kill {
                target,
                power: true,
                down_ms,
            },
            1 => Fault::Kill {
                target,
                power: false,
                down_ms,
            },
            2 => Fault::PowerAtOperation {
                target,
                operations: rng.random_range(1..60),
            },
            3 => Fault::KillAtSend {
                target,
                steps: rng.random_range(1..40),
            },
            4 => Fault::LongOutage {
                target,
                down_ms: rng.random_range(8_000..20_000),
            },
            5 => Fault::Restart { target },
            6 => Fault::Partition {
                nodes: rng.random_range(1..(1 << plan.nodes) - 1),
                all: rng.random(),
                ms,
            },
            7 => Fault::OneWay {
                from: target,
                to: other,
                ms,
            },
            8 => Fault::Hold {
                one: target,
                other,
                ms,
            },
            9 => Fault::Slow {
                latency_ms: rng.random_range(40..400),
                ms,
            },
            10 => Fault::CutGateway {
                target,
                answers: rng.random(),
                ms,
            },
            11 => Fault::Skew {
                target,
                ms: rng.random_range(-20_000..20_000),
                for_ms: ms,
            },
            12 => Fault::Disk {
                target,
                operations: rng.random_range(1..60),
                syncs: rng.random(),
            },
            13 if plan.sled => Fault::Snapshot { target },
            13 => Fault::Flush { target },
            14 => Fault::Transfer,
            15 if rng.random_ratio(1, 4) => Fault::Suspect { target },
            15 if rng.random_ratio(1, 3) => Fault::Contradict,
            15 => Fault::Snapshot { target },
            16 => Fault::CutClients {
                target,
                answers: rng.random_ratio(2, 3),
                ms,
            },
            _ => Fault::Gateway {
                mix: bad_day(rng, plan),
                ms,
            },
        }
    }
}

/// A gateway on a bad day does one or two things all the time.
fn bad_day(rng: &mut StdRng, plan: &Plan) -> GatewayMix {
    let mut mix = plan.gateway;
    for _ in 0..rng.random_range(1..=2) {
        mix.shares[rng.random_range(0..USUAL_MOODS)] += rng.random_range(100..450);
    }
    mix
}
