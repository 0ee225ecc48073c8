//! Customers: one, a page, how many match.

use super::Page;
use crate::{
    apply::Audience,
    error::Error,
    keys::{CustomerColumnsKey, CustomerTextsKey, NumbersKey},
    limits::CUSTOMERS_PER_BLOCK,
    model::{AudienceSpan, Customer, CustomerId, Filter, MailingSpec, Phone, Seq, Timestamp},
    records::{CustomerColumns, CustomerTexts, Numbers, WordKind},
    source::Source,
};

/// Customers that one page looks at, at most: a page of a filter that matches few may hold fewer
/// than asked for, or none, and still have a next one.
const SCAN: u32 = 20_000;
/// Steps of comparing that one page makes, about: some milliseconds, for which entries wait. As
/// many distinct words as customers, all of them long, would make ten times as many.
const STEPS: u64 = 2_000_000;

/// Which customers to list.
#[derive(Clone, Debug, Default)]
pub struct CustomerFilter {
    /// Which tags.
    pub tag: Filter,
    /// Which operators.
    pub operator: Filter,
    /// Which phones.
    pub phone: Filter,
}

impl CustomerFilter {
    /// The filters of a mailing.
    pub fn of(spec: &MailingSpec) -> Self {
        Self {
            tag: spec.tag_filter.clone(),
            operator: spec.operator_filter.clone(),
            phone: spec.phone_filter.clone(),
        }
    }

    fn spec(&self) -> MailingSpec {
        MailingSpec {
            desc: String::new(),
            text: String::new(),
            start: Timestamp::default(),
            end: Timestamp::default(),
            tag_filter: self.tag.clone(),
            operator_filter: self.operator.clone(),
            phone_filter: self.phone.clone(),
            send_window: None,
            audience: AudienceSpan::default(),
            unique_phones: false,
        }
    }
}

/// A customer by its id.
pub fn get<S: Source>(source: &S, id: &CustomerId) -> Result<Option<Customer>, Error> {
    match source.find_customer(id)? {
        Some(seq) => by_seq(source, seq),
        None => Ok(None),
    }
}

/// A customer by its number, if it exists.
pub fn by_seq<S: Source>(source: &S, seq: Seq) -> Result<Option<Customer>, Error> {
    let number = seq.0 / CUSTOMERS_PER_BLOCK;
    let index = (seq.0 % CUSTOMERS_PER_BLOCK) as usize;
    let columns: CustomerColumns = source.get_or_default(&CustomerColumnsKey(number))?;
    if !columns.is_present(index) {
        return Ok(None);
    }
    let texts = source.need(&CustomerTextsKey(number), "texts of a block of customers")?;
    present(source, &columns, &texts, index).map(Some)
}

/// The id of a customer, present or deleted.
pub fn id_of<S: Source>(source: &S, seq: Seq) -> Result<CustomerId, Error> {
    let key = CustomerTextsKey(seq.0 / CUSTOMERS_PER_BLOCK);
    let texts = source.need(&key, "texts of a block of customers")?;
    let id = texts.ids.get((seq.0 % CUSTOMERS_PER_BLOCK) as usize);
    stored_id(id)
}

fn stored_id(id: Option<&String>) -> Result<CustomerId, Error> {
    let id = id.and_then(|id| CustomerId::parse(id).ok());
    id.ok_or(Error::Contradiction {
        what: "a customer without an id",
    })
}

fn present<S: Source>(
    source: &S,
    columns: &CustomerColumns,
    texts: &CustomerTexts,
    index: usize,
) -> Result<Customer, Error> {
    let word = |kind, number| {
        let word = source.word(kind, number).map(|word| word.text.clone());
        word.ok_or(Error::Contradiction {
            what: "a word of a dictionary",
        })
    };
    let zone = columns.zones[index];
    Ok(Customer {
        id: stored_id(texts.ids.get(index))?,
        name: texts.names.get(index).cloned().unwrap_or_default(),
        phone: Phone::from_digits(columns.phones[index]),
        operator: word(WordKind::Operator, columns.operators[index])?,
        tag: word(WordKind::Tag, columns.tags[index])?,
        timezone: (zone != 0)
            .then(|| word(WordKind::Zone, zone.into()))
            .transpose()?,
    })
}

/// A page of the customers that match, from a number on.
pub fn list<S: Source>(
    source: &S,
    filter: &CustomerFilter,
    from: Seq,
    limit: usize,
) -> Result<Page<Customer, Seq>, Error> {
    let spec = filter.spec();
    let mut audience = Audience::new(&spec);
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    let end = numbers.customers.min(from.0.saturating_add(SCAN));
    let mut items = Vec::new();
    let mut seq = from.0;
    while seq < end && items.len() < limit && audience.steps() < STEPS {
        let number = seq / CUSTOMERS_PER_BLOCK;
        let columns: CustomerColumns = source.get_or_default(&CustomerColumnsKey(number))?;
        let mut texts: Option<CustomerTexts> = None;
        let block_end = end.min((number + 1) * CUSTOMERS_PER_BLOCK);
        while seq < block_end && items.len() < limit {
            let index = (seq % CUSTOMERS_PER_BLOCK) as usize;
            seq += 1;
            if !audience.contains(source, &columns, index) {
                continue;
            }
            if texts.is_none() {
                texts = source.get(&CustomerTextsKey(number))?;
            }
            let texts = texts.as_ref().ok_or(Error::Contradiction {
                what: "texts of a block",
            })?;
            items.push(present(source, &columns, texts, index)?);
        }
    }
    let next = (seq < numbers.customers).then_some(Seq(seq));
    Ok(Page { items, next })
}

/// How many customers match among the next ones, and where to go on. The caller lets the reader
/// go between calls.
pub fn count_matching<S: Source>(
    source: &S,
    filter: &CustomerFilter,
    from: Seq,
) -> Result<(u64, Option<Seq>), Error> {
    let spec = filter.spec();
    let mut audience = Audience::new(&spec);
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    let end = numbers.customers.min(from.0.saturating_add(SCAN));
    let mut count = 0;
    let mut seq = from.0;
    while seq < end && audience.steps() < STEPS {
        let number = seq / CUSTOMERS_PER_BLOCK;
        let columns: CustomerColumns = source.get_or_default(&CustomerColumnsKey(number))?;
        let block_end = end.min((number + 1) * CUSTOMERS_PER_BLOCK);
        let indexes = seq % CUSTOMERS_PER_BLOCK..seq % CUSTOMERS_PER_BLOCK + (block_end - seq);
        for index in indexes {
            count += u64::from(audience.contains(source, &columns, index as usize));
        }
        seq = block_end;
    }
    Ok((count, (seq < numbers.customers).then_some(Seq(seq))))
}

/// Customers that exist.
pub fn count<S: Source>(source: &S) -> Result<u64, Error> {
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    Ok(u64::from(numbers.customers - numbers.deleted))
}
