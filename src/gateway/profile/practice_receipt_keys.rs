//! Reads `[[practice_receipt]]` of a profile: the calls with receipts that the practice gateway makes.
//!
//! Each says what it reports, and `[receipts]` of the profile must read the same in it: so they are examples
//! of that section as well, which are checked whenever the profile is read.

use http::Method;
use notty_storage::model::ReceiptState;
use toml::{Table, Value};

use super::{
    body::BodyForm,
    encode::id_31,
    judge::AnswerMeaning,
    keys::KeyReader,
    practice_answer::{AnswerKind, AnsweredMessage, PracticeAnswer},
    practice_keys::is_unknown,
    practice_receipt::PracticeReceipt,
    receipts::{DeliveryReceipt, ReceiptCall, ReceiptForm, ReceiptSubject, SubjectForm},
    request::{body, table_of_fields},
    rule::AnswerRule,
    spot::Spot,
    template::Template,
};

/// All states, by the names that profiles write.
const STATES: [(&str, ReceiptState); 3] = [
    ("delivered", ReceiptState::Delivered),
    ("undelivered", ReceiptState::Undelivered),
    ("progress", ReceiptState::Progress),
];

/// The rest of a profile, which its practice receipts must agree with.
pub(super) struct ReceiptAgreement<'p> {
    pub(super) form: Option<&'p ReceiptForm>,
    /// True if the profile has the section, even one with faults.
    pub(super) has_section: bool,
    pub(super) rules: &'p [AnswerRule],
    pub(super) answers: &'p [PracticeAnswer],
}

/// Reads all calls, in their order, and checks them.
pub(super) fn receipts(
    value: Option<&Value>,
    agreement: &ReceiptAgreement<'_>,
    spot: &Spot<'_>,
) -> Vec<PracticeReceipt> {
    let list = value.and_then(|value| {
        let wanted = "a list of tables; write [[practice_receipt]]";
        spot.expect(value.as_array(), value, wanted)
    });
    if list.is_some() && !agreement.has_section {
        spot.fault("there is no [receipts] that says what these calls mean; add it");
    }

    // One that cannot be read has named its faults, and is left out.
    let numbered = list.into_iter().flatten().enumerate();
    let receipts = numbered.filter_map(|(n, value)| {
        let spot = spot.entry(n);
        let table = spot.expect(value.as_table(), value, "a table")?;
        let receipt = PracticeReceipt::parse(table, &spot)?;
        receipt.check(agreement, &spot);
        Some(receipt)
    });
    receipts.collect()
}

impl PracticeReceipt {
    fn parse(table: &Table, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        let state = state(&mut keys);
        let method = method(&mut keys);
        let query = table_of_fields(&mut keys, "query");
        let body = body(&mut keys);
        keys.finish();

        Some(Self {
            state: state?,
            method: method?,
            query,
            body,
        })
    }

    fn check(&self, agreement: &ReceiptAgreement<'_>, spot: &Spot<'_>) {
        self.check_method(&spot.key("method"));
        self.check_placeholders(spot);
        if let Some(form) = agreement.form {
            self.check_meaning(form, agreement, spot);
        }
    }

    fn check_method(&self, spot: &Spot<'_>) {
        if self.method == Method::GET && self.body != BodyForm::Empty {
            spot.fault("`GET` has no body; use `query`, or the method `POST`");
        }
    }

    /// Rejects what is not known of a message, a secret above all.
    fn check_placeholders(&self, spot: &Spot<'_>) {
        let of_query = self.query.iter().map(|(_, value)| value);
        let templates = of_query.chain(self.body.templates());
        let mut placeholders = templates.flat_map(Template::placeholders);
        if let Some(unknown) = placeholders.find(|found| is_unknown(found)) {
            spot.fault(format!(
                "`{unknown}` cannot stand in a receipt; take it out, a signature is added anyway"
            ));
        }
    }

    /// Rejects a call in which `[receipts]` reads something else.
    fn check_meaning(&self, form: &ReceiptForm, agreement: &ReceiptAgreement<'_>, spot: &Spot<'_>) {
        let filled = self.filled_for_nobody();
        let read = form.read(&ReceiptCall {
            query: &filled.query,
            headers: &filled.headers,
            body: filled.body.as_bytes(),
        });

        match read.as_deref() {
            Ok([receipt]) => self.check_receipt(receipt, agreement.subject(form), spot),
            Ok(others) => spot.fault(format!(
                "[receipts] reads {} receipts in it, and must read one",
                others.len()
            )),
            Err(fault) => spot.fault(format!("[receipts] cannot read it: {fault}")),
        }
    }

    fn check_receipt(
        &self,
        receipt: &DeliveryReceipt,
        subject: Option<ReceiptSubject>,
        spot: &Spot<'_>,
    ) {
        if receipt.state != self.state {
            let read = name(receipt.state);
            let is = name(self.state);
            spot.fault(format!(
                "[receipts] reads `{read}` in it, and `is` says `{is}`"
            ));
        }

        // Receipts that come to the URL of a message name no other.
        if subject.is_some_and(|subject| subject != receipt.subject) {
            spot.fault(
                "[receipts] finds another message in it; give it the id as the request or the answer \
                 that is `taken` has it",
            );
        }
    }
}

impl ReceiptAgreement<'_> {
    /// The name of the made-up message in receipts; `None` if it is not known.
    fn subject(&self, form: &ReceiptForm) -> Option<ReceiptSubject> {
        let id = AnsweredMessage::nobody().envelope.id.as_u64();
        match form.subject() {
            SubjectForm::Url => Some(ReceiptSubject::Url),
            SubjectForm::OwnId(_) => Some(ReceiptSubject::OwnId(id)),
            SubjectForm::OwnId31(_) => Some(ReceiptSubject::OwnId31(id_31(id))),
            SubjectForm::ProviderId(_) => self.provider_id().map(ReceiptSubject::ProviderId),
        }
    }

    /// The provider's id in the first answer that takes a message.
    fn provider_id(&self) -> Option<String> {
        let mut answers = self.answers.iter();
        let taken = answers.find(|answer| answer.kind() == AnswerKind::Taken)?;
        match taken.meaning(self.rules) {
            AnswerMeaning::Taken { provider_id } => provider_id,
            _ => None,
        }
    }
}

fn name(state: ReceiptState) -> &'static str {
    let found = STATES.iter().find(|(_, known)| *known == state);
    found.map_or("", |(name, _)| name)
}

/// Reads the key `is`.
fn state(keys: &mut KeyReader<'_>) -> Option<ReceiptState> {
    let spot = keys.spot("is");
    let is = keys.required_text("is")?;
    let found = STATES.iter().find(|(name, _)| *name == is);
    let fault = || format!("`{is}` is not `delivered`, `undelivered` or `progress`");
    spot.keep(found.map(|(_, state)| *state).ok_or_else(fault))
}

fn method(keys: &mut KeyReader<'_>) -> Option<Method> {
    let spot = keys.spot("method");
    match keys.text("method").unwrap_or("POST") {
        "POST" => Some(Method::POST),
        "GET" => Some(Method::GET),
        other => spot.keep(Err(format!("`{other}` is not `GET` or `POST`"))),
    }
}
