//! How each fault strikes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use notty_storage::{Flushes, MemoryStates};
use tempfile::TempDir;

use super::{Deed, FRAIL_MS, World};
use crate::{
    disk::DiskFault,
    event::Event,
    faults::{Fault, JournalDamage, Target},
    hosts::{Machine, node::Order, operator::Task},
};

/// The place of the gateway after the machines.
const GATEWAY: usize = usize::MAX;

impl World {
    /// Whom a target means now; none: nobody leads.
    fn whom(&self, target: Target) -> Option<usize> {
        match target {
            Target::Node(number) => Some(number),
            Target::Leader => self
                .machines
                .iter()
                .find(|machine| machine.node().is_some_and(|node| node.leads_now()))
                .map(|machine| machine.number),
        }
    }

    fn note(&self, fault: &Fault, on: Option<usize>) {
        let on = on.map_or_else(String::new, |number| format!(" on node {number}"));
        self.stage.tell(&Event::Fault {
            kind: fault.kind(),
            what: &format!("{fault:?}{on}"),
        });
    }

    /// Strikes.
    pub(super) fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Partition { nodes, all, ms } => {
                self.note(&fault, None);
                self.partition(nodes, all, ms);
            }
            Fault::Slow { latency_ms, ms } => {
                self.note(&fault, None);
                self.set_latency(latency_ms);
                self.after(ms, Deed::Calm);
            }
            Fault::Gateway { mix, ms } => {
                self.note(&fault, None);
                self.gateway.behave(mix);
                self.after(ms, Deed::Behave(self.stage.plan.gateway));
            }
            Fault::OneWay { from, to, ms } => {
                if let Some(from) = self.whom(from).filter(|from| *from != to) {
                    self.note(&fault, Some(from));
                    self.cut(from, to);
                    self.after(ms, Deed::Repair { from, to });
                }
            }
            Fault::Hold { one, other, ms } => {
                if let Some(one) = self.whom(one).filter(|one| *one != other) {
                    self.note(&fault, Some(one));
                    let names = (self.name(one), self.name(other));
                    self.sim.hold(names.0.as_str(), names.1.as_str());
                    self.after(ms, Deed::Release { one, other });
                }
            }
            Fault::Jump {
                target: None,
                ms,
                for_ms,
            } => {
                self.note(&fault, None);
                self.jump_all(ms, for_ms);
            }
            Fault::Jump {
                target: Some(target),
                ..
            } => self.strike_one(&fault, target),
            Fault::Transfer | Fault::Contradict => self.strike_one(&fault, Target::Leader),
            Fault::Join { node } => {
                self.note(&fault, None);
                self.idle.remove(&node);
                self.start(node);
                self.operator.give(Task::Add(node));
            }
            Fault::Leave { node } => {
                self.note(&fault, None);
                self.operator.give(Task::Remove(node));
            }
            Fault::Kill { target, .. }
            | Fault::PowerAtOperation { target, .. }
            | Fault::KillAtSend { target, .. }
            | Fault::LongOutage { target, .. }
            | Fault::Restart { target }
            | Fault::CutGateway { target, .. }
            | Fault::Skew { target, .. }
            | Fault::Disk { target, .. }
            | Fault::Flush { target }
            | Fault::Snapshot { target }
            | Fault::Suspect { target }
            | Fault::CutClients { target, .. }
            | Fault::CopyDisk { target }
            | Fault::OldDisk { target }
            | Fault::HangFlush { target }
            | Fault::Damage { target, .. }
            | Fault::DamageJournal { target, .. }
            | Fault::NewAccount { target, .. }
            | Fault::Wipe { target } => self.strike_one(&fault, target),
        }
    }

    /// Sets the wall clocks of all machines for a while.
    fn jump_all(&mut self, ms: i64, for_ms: u64) {
        for number in 0..self.machines.len() {
            self.machines[number].clock.skew(ms);
            self.after(for_ms, Deed::Right(number));
        }
    }

    /// Strikes one machine whose process runs.
    fn strike_one(&mut self, fault: &Fault, target: Target) {
        let Some(number) = self.whom(target) else {
            return;
        };
        let machine = self.machines[number].clone();
        if !machine.is_up() {
            return;
        }
        self.note(fault, Some(number));
        match *fault {
            Fault::Kill { power, down_ms, .. } => self.kill(&machine, "killed", power, down_ms),
            Fault::LongOutage { down_ms, .. } => self.long_outage(&machine, down_ms),
            Fault::PowerAtOperation { operations, .. } => {
                machine.disk.arm(operations, DiskFault::Power);
            }
            Fault::KillAtSend { steps, .. } => machine.die_at_step(steps),
            Fault::Disk {
                operations, syncs, ..
            } => {
                let fault = if syncs {
                    DiskFault::Syncs
                } else {
                    DiskFault::Writes
                };
                machine.disk.arm(operations, fault);
            }
            Fault::Flush { .. } => machine.memory.set_flushes(Flushes::Fail),
            Fault::HangFlush { .. } => machine.memory.set_flushes(Flushes::Hang),
            Fault::Damage { per_mille, .. } => machine.memory.damage(per_mille),
            Fault::Restart { .. } => drop(machine.order(Order::Stop)),
            Fault::Transfer => drop(machine.order(Order::Transfer)),
            Fault::Contradict => drop(machine.order(Order::Contradict)),
            Fault::Snapshot { .. } => drop(machine.order(Order::Snapshot)),
            Fault::Suspect { .. } => {
                machine.order(Order::Suspect);
                machine.order(Order::Stop);
            }
            Fault::Skew { ms, for_ms, .. } | Fault::Jump { ms, for_ms, .. } => {
                machine.clock.skew(ms);
                self.after(for_ms, Deed::Right(number));
            }
            Fault::CutGateway { answers, ms, .. } => {
                self.cut(GATEWAY, number);
                self.after(
                    ms,
                    Deed::Repair {
                        from: GATEWAY,
                        to: number,
                    },
                );
                if !answers {
                    self.cut(number, GATEWAY);
                    self.after(
                        ms,
                        Deed::Repair {
                            from: number,
                            to: GATEWAY,
                        },
                    );
                }
            }
            Fault::CutClients { answers, ms, .. } => {
                for client in self.clients() {
                    self.sim
                        .partition_oneway(machine.name.as_str(), client.as_str());
                    if !answers {
                        self.sim
                            .partition_oneway(client.as_str(), machine.name.as_str());
                    }
                }
                self.after(ms, Deed::LetClients(number));
            }
            Fault::Wipe { .. } => self.wipe(&machine),
            Fault::CopyDisk { .. } => self.copy_disk(&machine),
            Fault::DamageJournal {
                damage,
                place,
                down_ms,
                ..
            } => {
                self.damage_journal(&machine, damage, place, down_ms);
            }
            Fault::NewAccount { down_ms, .. } => {
                machine.open_account();
                self.kill(&machine, "to have another account", false, down_ms);
            }
            Fault::OldDisk { .. } => self.put_old_disk(&machine),
            _ => {}
        }
    }

    fn kill(&mut self, machine: &Machine, why: &str, power: bool, down_ms: u64) {
        self.away_ms.insert(machine.number, down_ms);
        machine.die(why, power);
    }

    /// While one is away, the others write snapshots and drop the log before them.
    fn long_outage(&mut self, machine: &Machine, down_ms: u64) {
        self.kill(machine, "away for long", false, down_ms);
        for number in (0..self.machines.len()).filter(|other| *other != machine.number) {
            let fault = Fault::Snapshot {
                target: Target::Node(number),
            };
            self.after(down_ms * 9 / 10, Deed::Strike(fault));
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        let (from, to) = (self.name(from), self.name(to));
        self.sim.partition_oneway(from.as_str(), to.as_str());
    }

    fn partition(&mut self, nodes: u32, all: bool, ms: u64) {
        let count = self.machines.len();
        let cut_off = |number: usize| nodes & (1 << number) != 0;
        for one in (0..count).filter(|one| cut_off(*one)) {
            let others = (0..count).filter(|other| !cut_off(*other));
            let others: Vec<_> = others.chain(all.then_some(GATEWAY)).collect();
            for other in others {
                self.cut(one, other);
                self.cut(other, one);
                self.after(
                    ms,
                    Deed::Repair {
                        from: one,
                        to: other,
                    },
                );
                self.after(
                    ms,
                    Deed::Repair {
                        from: other,
                        to: one,
                    },
                );
            }
        }
    }

    /// Takes a machine down, whose disk is then taken out.
    fn open_up(&mut self, machine: &Machine, why: &str) {
        machine.die(why, true);
        machine.take_death();
        machine.runs_no_more();
        self.stage.tell(&Event::Died {
            machine: machine.number,
            why,
            power: true,
        });
        self.sim.crash(machine.name.as_str());
        machine.take_death();
    }

    fn wipe(&mut self, machine: &Machine) {
        self.open_up(machine, "its disk is gone");
        machine.disk.wipe();
        machine.memory.wipe();
        machine.clock.reboot();
        if let Err(error) = fs::remove_dir_all(machine.data_dir()) {
            self.stage
                .violate("simulation", format!("a disk cannot be emptied: {error}"));
        }
        self.stage.tell(&Event::Wiped {
            machine: machine.number,
        });
        self.after(1_000, Deed::Start(machine.number));
        self.operator.give(Task::Remove(machine.number));
        self.operator.give(Task::Add(machine.number));
    }

    /// Takes a process down and damages its journal, on the same boot.
    fn damage_journal(
        &mut self,
        machine: &Machine,
        damage: JournalDamage,
        place: u64,
        down_ms: u64,
    ) {
        let why = "killed, and its journal is damaged";
        machine.die(why, false);
        machine.take_death();
        machine.runs_no_more();
        self.stage.tell(&Event::Died {
            machine: machine.number,
            why,
            power: false,
        });
        self.take_down(machine, false);
        let journal = machine.data_dir().join("journal");
        if let Err(error) = damage_one_file(&journal, damage, place) {
            self.stage.violate(
                "simulation",
                format!("a journal cannot be damaged: {error}"),
            );
        }
        self.stage.tell(&Event::JournalDamaged {
            machine: machine.number,
        });
        self.after(down_ms, Deed::Start(machine.number));
    }

    fn copy_disk(&mut self, machine: &Machine) {
        let files = tempfile::tempdir_in(machine.data_dir().parent().unwrap_or(Path::new(".")))
            .and_then(|files| copy(&machine.data_dir(), files.path()).map(|()| files));
        match files {
            Ok(files) => {
                let kept = DiskCopy {
                    log: machine.disk.copy(),
                    memory: machine.memory.copy(),
                    files,
                };
                self.copies.insert(machine.number, kept);
            }
            Err(error) => self
                .stage
                .violate("simulation", format!("no copy of a disk: {error}")),
        }
    }

    fn put_old_disk(&mut self, machine: &Machine) {
        let Some(kept) = self.copies.remove(&machine.number) else {
            return;
        };
        self.frail_until_ms = self.now_ms() + FRAIL_MS;
        for other in &self.machines {
            other.disk.mend();
            other.memory.mend();
            other.die_at_step(0);
        }
        self.open_up(machine, "it gets an old copy of its disk");
        machine.disk.restore(&kept.log);
        machine.memory.put_back(&kept.memory);
        machine.clock.reboot();
        let data = machine.data_dir();
        let put = fs::remove_dir_all(&data).and_then(|()| copy(kept.files.path(), &data));
        if let Err(error) = put {
            self.stage
                .violate("simulation", format!("a disk cannot be put back: {error}"));
        }
        self.stage.tell(&Event::OldDisk {
            machine: machine.number,
        });
        self.after(1_000, Deed::Start(machine.number));
    }
}

/// Damages one of a directory's files, in its place; none if there is none.
fn damage_one_file(dir: &Path, damage: JournalDamage, place: u64) -> io::Result<()> {
    let files = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = files.collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let Some(file) = files.get(place as usize % files.len().max(1)) else {
        return Ok(());
    };
    let mut bytes = fs::read(file)?;
    let at = (place / 64) as usize % bytes.len().max(1);
    match damage {
        JournalDamage::Deleted => return fs::remove_file(file),
        JournalDamage::Cut => bytes.truncate(at),
        JournalDamage::Zeroed => {
            // No shorter than a checksum, which is never all zero by itself.
            let end = bytes.len().min(at + 64);
            bytes[at.min(end.saturating_sub(32))..end].fill(0);
        }
        JournalDamage::Flipped => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (place % 8);
            }
        }
    }
    fs::write(file, bytes)
}

/// What a disk held at a moment.
pub(super) struct DiskCopy {
    log: BTreeMap<PathBuf, Vec<u8>>,
    memory: MemoryStates,
    files: TempDir,
}

/// A copy of a state's files, if there are any.
pub(super) fn keep_state(machine: &Machine) -> io::Result<Option<TempDir>> {
    let state = machine.data_dir().join("state");
    if !state.exists() {
        return Ok(None);
    }
    let kept = tempfile::tempdir_in(machine.data_dir().parent().unwrap_or(Path::new(".")))?;
    copy(&state, kept.path())?;
    Ok(Some(kept))
}

/// Puts a copy of a state's files in their place.
pub(super) fn put_state_back(machine: &Machine, kept: &TempDir) {
    let place = machine.data_dir().join("state");
    let put = fs::remove_dir_all(&place).and_then(|()| copy(kept.path(), &place));
    if let Err(error) = put {
        machine
            .stage
            .violate("simulation", format!("the state's files: {error}"));
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}
