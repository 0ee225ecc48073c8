//! The gateway's moods: mostly good, now and then slow, refusing, unclear, silent, frozen, dead.

use std::{sync::Arc, time::Duration};

use super::super::{dice::Dice, gateway::Behaviour, world::World};

/// Changes the mood until the round ends, and leaves the gateway alive.
pub async fn run(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        let latency_ms = dice.weigh(&[(4, 0), (3, 5), (1, 40)]);
        let good = Behaviour {
            latency_ms,
            ..Behaviour::default()
        };
        let mood = match dice.draw(0..12) {
            0 => Behaviour {
                refused: 200,
                ..good
            },
            1 => Behaviour {
                invalid: 30,
                ..good
            },
            2 => Behaviour { unsure: 30, ..good },
            3 => Behaviour { hangs: 5, ..good },
            4 => Behaviour {
                refused: 50,
                invalid: 5,
                unsure: 10,
                hangs: 2,
                ..good
            },
            5 => Behaviour {
                latency_ms: 300,
                ..good
            },
            _ => good,
        };
        world.gateway.behave(mood);
        pause(&mut dice, 100..500).await;
        match dice.draw(0..16) {
            0 => {
                world.gateway.kill().await;
                pause(&mut dice, 20..300).await;
                world.gateway.revive();
            }
            1 => {
                world.gateway.freeze(true);
                pause(&mut dice, 100..1_200).await;
                world.gateway.freeze(false);
            }
            _ => {}
        }
    }
    world.gateway.behave(Behaviour::default());
}

async fn pause(dice: &mut Dice, ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(dice.draw(ms))).await;
}
