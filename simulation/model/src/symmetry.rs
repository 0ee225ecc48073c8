//! States that differ only in which message, postman or leader is called the first are one.

use stateright::Representative;

use crate::state::{Command, State};

impl Representative for State {
    fn representative(&self) -> Self {
        let other = self.with_messages_swapped();
        let all = [
            *self,
            other,
            self.with_postmen_swapped(),
            other.with_postmen_swapped(),
        ];
        let all = all.map(|mut state| {
            state.leaders.sort_unstable();
            state
        });
        all.into_iter().min().unwrap_or(*self)
    }
}

impl State {
    fn with_messages_swapped(&self) -> Self {
        let mut state = *self;
        state.cluster.messages.swap(0, 1);
        state.tokens.swap(0, 1);
        for proposal in state.leaders.iter_mut().flatten() {
            match proposal {
                Command::Grant { among, .. } => *among = (*among >> 1 | *among << 1) & 3,
                Command::Report { message, .. }
                | Command::Expire { message, .. }
                | Command::DeleteCustomer { message } => *message ^= 1,
                Command::Register(_)
                | Command::CancelMailing
                | Command::EndMailing
                | Command::Numbered { .. } => {}
            }
        }
        if let Some(stray) = &mut state.stray {
            stray.message ^= 1;
        }
        state
    }

    fn with_postmen_swapped(&self) -> Self {
        let mut state = *self;
        state.postmen.swap(0, 1);
        state.cluster.registered.swap(0, 1);
        if !state.cluster.one_name {
            state.cluster.newest.swap(0, 1);
        }
        let tokens = state.tokens.as_flattened_mut().iter_mut();
        let holders = tokens.filter_map(|token| token.holder.as_mut());
        let newest = state.cluster.newest.iter_mut().flatten();
        for start in holders.chain(newest) {
            start.postman ^= 1;
        }
        for proposal in state.leaders.iter_mut().flatten() {
            if let Command::Register(start) | Command::Grant { to: start, .. } = proposal {
                start.postman ^= 1;
            }
        }
        state
    }
}
