//! What the leader knows of grants that would find nothing, so that it does not propose them: each
//! would be an entry that every node writes and syncs, for every ask.
//!
//! The state's summaries of what waits promise too much where zones share a mark, where a message is
//! due in a closed zone only, or waits for another gateway. So once a grant found nothing, the leader
//! looks for itself before the next one, by the grant's own rules, in bounded parts; and where it
//! found nothing, it does not look again before something changed or the time for it has come.

use std::{collections::HashMap, sync::Arc};

use notty_storage::{
    Timestamp,
    model::{MailingNumber, ZoneNumber},
    query::{leases::Prospect, work::OpenMailing},
    records::{DeclaredGateway, MailingRecord, Progress},
};

/// Looks of a mailing that are remembered: one for each gateway that postmen send to. There are few;
/// what a postman says of its gateway must not fill the memory.
const GATEWAYS: usize = 8;

/// Which messages a grant would be for.
#[derive(Clone, Debug)]
pub struct Wanted {
    mailing: MailingNumber,
    gateway: u64,
    zones: Option<Vec<ZoneNumber>>,
    record: Arc<MailingRecord>,
    progress: Arc<Progress>,
}

impl Wanted {
    /// Those of a mailing as it stands, for a gateway, in some zones (none: all).
    pub fn new(mailing: &OpenMailing, gateway: u64, zones: Option<&[ZoneNumber]>) -> Self {
        Self {
            mailing: mailing.number,
            gateway,
            zones: zones.map(<[ZoneNumber]>::to_vec),
            record: mailing.record.clone(),
            progress: mailing.progress.clone(),
        }
    }

    /// Whether nothing has changed since that could give a grant something. The state replaces
    /// record and progress with each change of the mailing or of any of its messages.
    fn is_same(&self, other: &Self) -> bool {
        self.gateway == other.gateway
            && self.zones == other.zones
            && Arc::ptr_eq(&self.record, &other.record)
            && Arc::ptr_eq(&self.progress, &other.progress)
    }
}

/// A look through a mailing, from its first batch to its last.
#[derive(Debug)]
struct Search {
    /// What was wanted, as it stood when the look began.
    wanted: Wanted,
    /// The batch at which it goes on; none once it came to the end.
    next: Option<u32>,
    /// When time alone may change what it found.
    until: Timestamp,
}

impl Search {
    fn begin(wanted: Wanted) -> Self {
        Self {
            wanted,
            next: Some(0),
            until: Timestamp::from_millis(i64::MAX),
        }
    }
}

/// The mailings whose last grant found nothing, and what looking at them found.
#[derive(Debug, Default)]
pub struct Looks {
    searches: HashMap<MailingNumber, Vec<Search>>,
    /// Where the postmen sent when the looks began.
    declared: Vec<DeclaredGateway>,
}

impl Looks {
    /// Begins anew where a postman sends elsewhere than it did: a message in doubt that waited for
    /// one gateway may have nobody to wait for.
    pub fn refresh(&mut self, declared: Vec<DeclaredGateway>) {
        if self.declared != declared {
            self.searches.clear();
            self.declared = declared;
        }
    }

    /// A grant found nothing: the next one is looked for first.
    pub fn in_vain(&mut self, wanted: Wanted) {
        self.forget(wanted.mailing, wanted.gateway);
        let searches = self.searches.entry(wanted.mailing).or_default();
        searches.insert(0, Search::begin(wanted));
        searches.truncate(GATEWAYS);
    }

    /// A grant found all that it was to: the next one is made without a look.
    pub fn forget(&mut self, mailing: MailingNumber, gateway: u64) {
        if let Some(searches) = self.searches.get_mut(&mailing) {
            searches.retain(|search| search.wanted.gateway != gateway);
        }
    }

    /// Keeps what is known of some mailings alone.
    pub fn retain(&mut self, keep: impl Fn(&MailingNumber) -> bool) {
        self.searches
            .retain(|mailing, searches| keep(mailing) && !searches.is_empty());
    }

    /// Whether a grant would find nothing, as far as is known without a look.
    pub fn is_in_vain(&self, wanted: &Wanted, now: Timestamp) -> bool {
        let search = self.search(wanted.mailing, wanted.gateway);
        search.is_some_and(|search| {
            search.next.is_none() && search.wanted.is_same(wanted) && now < search.until
        })
    }

    /// The batch at which to look first; none if a grant is to be made without a look.
    pub fn next(&mut self, wanted: &Wanted) -> Option<u32> {
        let searches = self.searches.get_mut(&wanted.mailing)?.iter_mut();
        let mut searches = searches.filter(|search| search.wanted.gateway == wanted.gateway);
        let search = searches.next()?;
        if search.next.is_none() || search.wanted.zones != wanted.zones {
            *search = Search::begin(wanted.clone());
        }
        search.next
    }

    /// Takes in what a look found; whether it came to the end, and found nothing at all.
    pub fn note(&mut self, wanted: &Wanted, found: Prospect) -> bool {
        let searches = self.searches.get_mut(&wanted.mailing).into_iter().flatten();
        let mut searches = searches.filter(|search| search.wanted.gateway == wanted.gateway);
        let Some(search) = searches.next() else {
            return false;
        };
        match found {
            Prospect::Something { .. } => *search = Search::begin(wanted.clone()),
            Prospect::Nothing { stopped, until } => {
                search.next = stopped;
                search.until = search.until.min(until);
            }
        }
        search.next.is_none()
    }

    fn search(&self, mailing: MailingNumber, gateway: u64) -> Option<&Search> {
        let searches = self.searches.get(&mailing)?;
        searches
            .iter()
            .find(|search| search.wanted.gateway == gateway)
    }
}

#[cfg(test)]
mod tests {
    use notty_storage::{
        model::{Epoch, Filter, MailingId, MailingSpec},
        records::{MailingRecord, Progress},
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
        };
        let record = MailingRecord {
            id: MailingId::parse("m").expect("an id"),
            spec,
            created_at: at(0),
            started_at: Some(at(0)),
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
        assert_eq!(looks.searches[&mailing.number].len(), GATEWAYS);
    }
}
