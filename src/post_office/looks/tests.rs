//! Tests of the leader's looks before grants.

use notty_storage::{
    model::{AudienceSpan, Epoch, Filter, MailingId, MailingSpec},
    records::{Begun, MailingRecord, Progress},
};

use super::*;

const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn mailing() -> OpenMailing {
    let spec = MailingSpec {
        desc: String::new(),
        text: "Hi".into(),
        start: at(0),
        end: at(1_000_000),
        tag_filter: Filter::default(),
        operator_filter: Filter::default(),
        phone_filter: Filter::default(),
        send_window: None,
        audience: AudienceSpan::default(),
        unique_phones: false,
    };
    let record = MailingRecord {
        id: MailingId::parse("m").expect("an id"),
        spec,
        created_at: at(0),
        started_at: Some(at(0)),
        begun: Begun::default(),
        paused: false,
        held: false,
        ended: None,
        cancelled_at: None,
        deleted_at: None,
        settled_at: None,
    };
    let (record, progress) = (Arc::new(record), Arc::new(Progress::default()));
    OpenMailing {
        number: MailingNumber(1),
        record,
        progress,
    }
}

fn nothing(stopped: Option<u32>, until: Timestamp) -> Prospect {
    Prospect::Nothing { stopped, until }
}

#[test]
fn a_mailing_is_looked_through_once_part_by_part_until_something_changes() {
    let mut mailing = mailing();
    let wanted = Wanted::new(&mailing, 7, None);
    let mut looks = Looks::default();
    assert_eq!(
        looks.next(&wanted),
        None,
        "without a grant in vain there is no look"
    );
    looks.in_vain(wanted.clone());
    assert_eq!(looks.next(&wanted), Some(0));
    assert!(!looks.note(&wanted, nothing(Some(50), at(900))));
    assert_eq!(looks.next(&wanted), Some(50));
    assert!(
        !looks.is_in_vain(&wanted, at(10)),
        "the rest was not looked at"
    );
    assert!(looks.note(&wanted, nothing(None, NEVER)));
    assert!(looks.is_in_vain(&wanted, at(899)));
    assert!(
        !looks.is_in_vain(&wanted, at(900)),
        "something is due in the first part"
    );

    let elsewhere = Wanted::new(&mailing, 8, None);
    assert!(!looks.is_in_vain(&elsewhere, at(10)), "another gateway");
    assert_eq!(looks.next(&elsewhere), None);
    let opened = Wanted::new(&mailing, 7, Some(&[ZoneNumber(3)]));
    assert!(!looks.is_in_vain(&opened, at(10)), "another zone is open");
    mailing.progress = Arc::new(Progress::default());
    let changed = Wanted::new(&mailing, 7, None);
    assert!(!looks.is_in_vain(&changed, at(10)), "a message has changed");
    assert_eq!(looks.next(&changed), Some(0), "and the look begins again");
}

#[test]
fn a_look_at_a_mailing_that_changes_all_the_time_still_comes_to_its_end() {
    let mut looks = Looks::default();
    looks.in_vain(Wanted::new(&mailing(), 7, None));
    for part in 0..4 {
        let changed = Wanted::new(&mailing(), 7, None);
        assert_eq!(looks.next(&changed), Some(part * 50));
        assert!(!looks.note(&changed, nothing(Some(part * 50 + 50), NEVER)));
    }
}

#[test]
fn looks_begin_anew_when_a_postman_sends_elsewhere() {
    let (mailing, mut looks) = (mailing(), Looks::default());
    let wanted = Wanted::new(&mailing, 7, None);
    let sends_to = |gateway| {
        vec![DeclaredGateway {
            by: Epoch(1),
            gateway,
            repeat_ms: Some(1),
        }]
    };
    looks.refresh(sends_to(8));
    looks.in_vain(wanted.clone());
    assert!(looks.note(&wanted, nothing(None, NEVER)));
    looks.refresh(sends_to(8));
    assert!(looks.is_in_vain(&wanted, at(10)));

    looks.refresh(sends_to(7));
    assert!(!looks.is_in_vain(&wanted, at(10)));
}

#[test]
fn gateways_that_postmen_make_up_do_not_pile_up() {
    let (mailing, mut looks) = (mailing(), Looks::default());
    for gateway in 0..1_000 {
        looks.in_vain(Wanted::new(&mailing, gateway, None));
    }
    assert_eq!(looks.scans[&mailing.number].len(), GATEWAYS);
}
