//! Reads the section `[receipts]` of a profile, and checks it.

use http::HeaderName;
use toml::{Table, Value};

use super::{
    item::{ItemField, ItemList, ItemTest},
    reader::ReceiptForm,
    receipt::ReceiptReply,
    signature::{SignatureForm, SignatureKind},
    subject::SubjectForm,
};
use crate::gateway::profile::{body::word, keys::KeyReader, pointer::AnswerPointer, spot::Spot};

/// The type of a body, unless the profile names another.
const TEXT_TYPE: &str = "text/plain";

impl ReceiptForm {
    /// Reads the section. `None` if a part is missing that nothing can stand for.
    pub(in crate::gateway::profile) fn parse(table: &Table, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        let list = list(&mut keys);
        let subject = subject(&mut keys);
        let state = required_field(&mut keys, "state");
        let form = Self {
            only: only(&mut keys),
            delivered: words(&mut keys, "delivered"),
            undelivered: words(&mut keys, "undelivered"),
            error: field(&mut keys, "error"),
            signature: signature(&mut keys),
            reply: reply(&mut keys),
            list,
            subject: subject?,
            state: state?,
        };
        keys.finish();

        form.check_states(spot);
        form.check_fields(spot);
        Some(form)
    }

    fn check_states(&self, spot: &Spot<'_>) {
        if self.delivered.is_empty() {
            let spot = spot.key("delivered");
            spot.fault("it is missing or empty, so that no message would be delivered");
        }
        if let Some(both) = self
            .undelivered
            .iter()
            .find(|word| self.delivered.contains(word))
        {
            let spot = spot.key("undelivered");
            spot.fault(format!("`{both}` is in `delivered` too"));
        }
    }

    /// Rejects a place that no receipt of the list has.
    fn check_fields(&self, spot: &Spot<'_>) {
        let is_lines = matches!(self.list, ItemList::Lines(_));
        let is_wrong = |field: &&ItemField| matches!(field, ItemField::Line(_)) != is_lines;
        for field in self.fields().filter(is_wrong) {
            let fault = "`line:` goes with `lines`, and all else without it";
            spot.fault(format!("`{}`: {fault}", field.name()));
        }
    }

    /// The places of all values.
    fn fields(&self) -> impl Iterator<Item = &ItemField> {
        let only = self.only.as_ref().map(|test| &test.at);
        let optional = [self.subject.field(), self.error.as_ref(), only];
        optional.into_iter().flatten().chain([&self.state])
    }
}

fn list(keys: &mut KeyReader<'_>) -> ItemList {
    let array = array(keys);
    let lines = keys.text("lines");
    if array.is_some() && lines.is_some() {
        let spot = keys.spot("lines");
        spot.fault("`items` is there too; receipts stand in one of them");
    }

    let lines = lines.map(|name| ItemList::Lines(name.to_owned()));
    array.or(lines).unwrap_or(ItemList::Whole)
}

fn array(keys: &mut KeyReader<'_>) -> Option<ItemList> {
    let text = keys.text("items")?;
    pointer(text, &keys.spot("items")).map(ItemList::Array)
}

/// Reads `by`, and the place of the id where it needs one.
fn subject(keys: &mut KeyReader<'_>) -> Option<SubjectForm> {
    let by = keys.required_text("by");
    let id = field(keys, "id");
    let spot = keys.spot("id");
    let needed = |make: fn(ItemField) -> SubjectForm| {
        let found = id.clone().map(make);
        spot.keep(found.ok_or_else(|| "it is missing; it names the place of the id".to_owned()))
    };

    match by? {
        "url" => of_url(id.as_ref(), &spot),
        "id" => needed(SubjectForm::OwnId),
        "id.31" => needed(SubjectForm::OwnId31),
        "provider_id" => needed(SubjectForm::ProviderId),
        other => {
            let fault = format!("`{other}` is not `url`, `id`, `id.31` or `provider_id`");
            keys.spot("by").keep(Err(fault))
        }
    }
}

fn of_url(id: Option<&ItemField>, spot: &Spot<'_>) -> Option<SubjectForm> {
    if id.is_some() {
        spot.fault("it says nothing where `by` is `url`");
    }
    Some(SubjectForm::Url)
}

fn required_field(keys: &mut KeyReader<'_>, key: &'static str) -> Option<ItemField> {
    let text = keys.required_text(key)?;
    item_field(text, &keys.spot(key))
}

fn field(keys: &mut KeyReader<'_>, key: &'static str) -> Option<ItemField> {
    let text = keys.text(key)?;
    item_field(text, &keys.spot(key))
}

/// Reads the place of a value: `name`, `/a/pointer` or `line:2`.
fn item_field(text: &str, spot: &Spot<'_>) -> Option<ItemField> {
    if text.starts_with('/') {
        return pointer(text, spot).map(ItemField::Pointer);
    }
    if let Some(number) = text.strip_prefix("line:") {
        return line(number, spot).map(ItemField::Line);
    }

    name(text, spot).map(ItemField::Name)
}

fn name(text: &str, spot: &Spot<'_>) -> Option<String> {
    let fault = "it is empty; name a field, or a place like `/status`";
    let found = (!text.is_empty()).then(|| text.to_owned());
    spot.keep(found.ok_or_else(|| fault.to_owned()))
}

fn line(number: &str, spot: &Spot<'_>) -> Option<usize> {
    let parsed = number.parse().ok().filter(|n| (1..=100).contains(n));
    spot.keep(
        parsed.ok_or_else(|| format!("`{number}` is not the number of a line, from 1 to 100")),
    )
}

/// Reads a pointer in a call, where no message is known yet.
fn pointer(text: &str, spot: &Spot<'_>) -> Option<String> {
    let pointer = spot.keep(AnswerPointer::parse(text))?;
    let fixed = pointer.fixed().map(str::to_owned);
    spot.keep(
        fixed.ok_or_else(|| format!("`{text}` has a placeholder, and no message is known yet")),
    )
}

/// Reads a list of words; a number stands for its digits.
fn words(keys: &mut KeyReader<'_>, key: &'static str) -> Vec<String> {
    let Some(value) = keys.value(key) else {
        return Vec::new();
    };
    let list = value.as_array();
    let words = list.and_then(|list| list.iter().map(word).collect());
    let spot = keys.spot(key);
    spot.expect(words, value, "a list of texts or whole numbers")
        .unwrap_or_default()
}

fn only(keys: &mut KeyReader<'_>) -> Option<ItemTest> {
    let spot = keys.spot("only");
    let mut test = KeyReader::new(keys.table("only")?, spot);
    let at = required_field(&mut test, "at");
    let values = words(&mut test, "in");
    if values.is_empty() {
        test.spot("in")
            .fault("it is missing or empty, so that no receipt fits");
    }
    test.finish();
    Some(ItemTest { at: at?, values })
}

fn signature(keys: &mut KeyReader<'_>) -> Option<SignatureForm> {
    let spot = keys.spot("signature");
    let mut form = KeyReader::new(keys.table("signature")?, spot);
    let kind = form
        .required_text("kind")
        .and_then(|kind| signature_kind(kind, &mut form));
    let secret = form.required_text("secret").map(str::to_owned);
    form.finish();
    Some(SignatureForm {
        kind: kind?,
        secret: secret?,
    })
}

fn signature_kind(kind: &str, keys: &mut KeyReader<'_>) -> Option<SignatureKind> {
    match kind {
        "sha256-texts" => texts_sha_256(keys),
        "hmac-sha256" => header_name(keys).map(|header| SignatureKind::BodyHmacSha256 { header }),
        other => {
            let fault = format!("`{other}` is not `sha256-texts` or `hmac-sha256`");
            keys.spot("kind").keep(Err(fault))
        }
    }
}

fn texts_sha_256(keys: &mut KeyReader<'_>) -> Option<SignatureKind> {
    let field = keys.required_text("field")?.to_owned();
    Some(SignatureKind::TextsSha256 { field })
}

fn header_name(keys: &mut KeyReader<'_>) -> Option<HeaderName> {
    let text = keys.required_text("header")?;
    let parsed = text
        .parse()
        .map_err(|_| format!("`{text}` is not a name of a header"));
    keys.spot("header").keep(parsed)
}

/// Reads `reply`; without it the answer is 204.
fn reply(keys: &mut KeyReader<'_>) -> ReceiptReply {
    let spot = keys.spot("reply");
    let table = keys.table("reply");
    table.map_or_else(ReceiptReply::empty, |table| reply_of(table, spot))
}

fn reply_of(table: &Table, spot: Spot<'_>) -> ReceiptReply {
    let mut keys = KeyReader::new(table, spot);
    let status = keys.number("status", 200..=299).unwrap_or(200);
    let body = reply_body(&mut keys).unwrap_or_default();
    let content_type = keys.text("type").map(str::to_owned);
    keys.finish();
    ReceiptReply::of(status, body, content_type)
}

fn reply_body(keys: &mut KeyReader<'_>) -> Option<String> {
    let value = keys.value("body")?;
    text_of(value, &keys.spot("body"))
}

fn text_of(value: &Value, spot: &Spot<'_>) -> Option<String> {
    spot.expect(word(value), value, "a text or a number")
}

impl ReceiptReply {
    fn empty() -> Self {
        Self::of(204, String::new(), None)
    }

    fn of(status: i64, body: String, content_type: Option<String>) -> Self {
        let usual = (!body.is_empty()).then(|| TEXT_TYPE.to_owned());
        Self {
            status: u16::try_from(status).unwrap_or(200),
            content_type: content_type.or(usual),
            body,
        }
    }
}
