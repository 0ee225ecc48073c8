//! Reports: the results of a lease's messages, put together for the state.

use notty_storage::{
    command::Report,
    model::{LeaseId, MailingNumber, Run, SendResult},
};

use super::{
    desk::Left,
    floor::Settled,
    journal::{Remains, SendToken, TokenFate},
};

/// A report of results; a doubt in it belongs to the gateway.
pub(super) fn report(
    lease: LeaseId,
    mailing: MailingNumber,
    gateway: u64,
    settled: Vec<Settled>,
) -> Report {
    Report {
        lease,
        mailing,
        gateway,
        results: group(settled),
    }
}

/// The report of a lease that an earlier run left, by what the journal proves: a message was never
/// begun, has a result, or neither.
pub(super) fn recovered(left: &Left, remains: &Remains) -> Report {
    let settled = tokens(left.lease.n, left.mailing, &left.runs).map(|token| {
        let result = match remains.fate(&token) {
            None if remains.is_whole(left.lease.n) => SendResult::HandedBack,
            None => SendResult::Unsure,
            Some(TokenFate::Settled(result)) => result,
            Some(TokenFate::Begun) => SendResult::Unsure,
        };
        Settled { token, result }
    });

    // Its doubts belong to the gateway that the run before sent to.
    report(
        left.lease,
        left.mailing,
        remains.run.gateway,
        settled.collect(),
    )
}

/// The tokens of a lease's messages.
pub(super) fn tokens(
    n: u64,
    mailing: MailingNumber,
    runs: &[Run],
) -> impl Iterator<Item = SendToken> + '_ {
    // A run's attempt holds for all of its positions.
    let positions = |run: &Run| {
        let attempt = run.attempt;
        run.positions().map(move |position| (position, attempt))
    };

    runs.iter()
        .flat_map(positions)
        .map(move |(position, attempt)| SendToken {
            n,
            mailing,
            position,
            attempt,
        })
}

/// Groups results by kind, positions that follow each other as runs.
fn group(mut settled: Vec<Settled>) -> Vec<(SendResult, Vec<Run>)> {
    settled.sort_unstable_by_key(|settled| settled.token.position);
    let mut groups: Vec<(SendResult, Vec<Run>)> = Vec::new();

    for Settled { token, result } in settled {
        // Results are few kinds, so that a search is as good as a table.
        let known = groups.iter().position(|(other, _)| *other == result);
        let place = known.unwrap_or_else(|| {
            groups.push((result, Vec::new()));
            groups.len() - 1
        });
        let runs = &mut groups[place].1;

        match runs.last_mut() {
            Some(run) if run.attempt == token.attempt && run.end() == u64::from(token.position) => {
                run.len += 1;
            }
            _ => runs.push(Run {
                first: token.position,
                len: 1,
                attempt: token.attempt,
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(position: u32, attempt: u16, result: SendResult) -> Settled {
        let token = SendToken {
            n: 1,
            mailing: MailingNumber(1),
            position,
            attempt,
        };
        Settled { token, result }
    }

    #[test]
    fn neighbours_of_one_attempt_and_result_are_one_run() {
        let results = vec![
            settled(3, 1, SendResult::Done),
            settled(1, 1, SendResult::Done),
            settled(2, 1, SendResult::Done),
            settled(4, 2, SendResult::Done),
            settled(6, 2, SendResult::Done),
            settled(5, 2, SendResult::Unsure),
        ];
        let run = |first, len, attempt| Run {
            first,
            len,
            attempt,
        };
        let done = vec![run(1, 3, 1), run(4, 1, 2), run(6, 1, 2)];
        let wanted = [
            (SendResult::Done, done),
            (SendResult::Unsure, vec![run(5, 1, 2)]),
        ];
        assert_eq!(group(results), wanted);
    }
}
