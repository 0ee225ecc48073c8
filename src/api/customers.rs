//! Customers: create, read, list, replace, delete.

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use notty_raft::{Applied, ProposeError};
use notty_storage::{
    Command, Error, Rejection,
    command::{DeleteCustomer, PutCustomer, PutMode},
    model::{Customer, CustomerId, Filter, Name, Phone, Seq, Word, ZoneName, fold},
    query::{self, customers::CustomerFilter},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiParts, ApiResult, IdempotencyKey, WRITE_TIME,
    code::Code,
    done,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    error::InvalidValue,
    input::{Fields, JsonBody, Params, PathId},
    reply, with_location,
};
use crate::config::Role;

/// Parts of a list that one answer looks at, at most.
const PARTS: usize = 50;
/// The path of the import; a customer may be called `import` all the same.
const IMPORT_PATH: &str = "/customers/import";
/// How often a write waits for a deletion's sweep to end.
const BUSY_TRIES: u32 = 20;

/// A customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CustomerBody {
    /// Letters, digits and `-`, up to 64; absent in a create: a UUID is given.
    #[schema(example = "customer-0000001")]
    pub(super) id: String,
    /// What it is called; may be empty.
    #[schema(example = "Анастасия Алексеева")]
    pub(super) name: String,
    /// E.164: `+` and 10 to 15 digits.
    #[schema(example = "+79161112233")]
    pub(super) phone: String,
    /// The mobile operator; may be empty.
    #[schema(example = "МТС")]
    pub(super) operator: String,
    /// Anything to filter by; may be empty.
    #[schema(example = "clients.moscow.new")]
    pub(super) tag: String,
    /// IANA name; absent: the configured one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Moscow")]
    pub(super) timezone: Option<String>,
}

impl From<Customer> for CustomerBody {
    fn from(customer: Customer) -> Self {
        Self {
            id: customer.id.as_str().to_owned(),
            name: customer.name,
            phone: customer.phone.to_string(),
            operator: customer.operator,
            tag: customer.tag,
            timezone: customer.timezone,
        }
    }
}

/// What a create and a replace take.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(super) struct CustomerInput {
    /// Letters, digits and `-`, up to 64; absent in a create: a UUID is given.
    #[schema(example = "customer-0000001")]
    id: Option<String>,
    /// What it is called; absent: empty.
    #[schema(example = "Анастасия Алексеева")]
    name: Option<String>,
    /// E.164: `+` and 10 to 15 digits.
    #[schema(example = "+79161112233")]
    phone: String,
    /// The mobile operator; absent: empty.
    #[schema(example = "МТС")]
    operator: Option<String>,
    /// Anything to filter by; absent: empty.
    #[schema(example = "clients.moscow.new")]
    tag: Option<String>,
    /// IANA name; absent: the configured one counts.
    #[schema(example = "Europe/Moscow")]
    timezone: Option<String>,
}

/// A page of customers.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomerPage {
    /// In the order of their creation.
    items: Vec<CustomerBody>,
    /// What `after` takes for the page that follows; null at the end.
    #[schema(example = "100")]
    next: Option<String>,
}

/// A customer that was checked, and not yet put in a command.
pub(super) struct CheckedCustomer {
    pub(super) id: CustomerId,
    pub(super) name: String,
    pub(super) phone: Phone,
    pub(super) operator: String,
    pub(super) tag: String,
    pub(super) zone: Option<String>,
}

/// Where a customer's id comes from.
pub(super) enum IdFrom<'a> {
    /// The body, or a new UUID.
    Body,
    /// The path; the body may repeat it.
    Path(&'a CustomerId),
}

/// Checks a customer field by field.
pub(super) fn check(fields: &mut Fields, id_from: &IdFrom<'_>) -> Option<CheckedCustomer> {
    let id = fields.optional_text("id");
    let given = id.is_some();
    let id = fields.parse("id", id, CustomerId::parse);
    let id = match (id_from, id) {
        (IdFrom::Path(path), Some(id)) if id != **path => {
            fields.fault("id", Code::IdMismatch, "differs from the id in the path");
            None
        }
        (IdFrom::Path(path), _) => Some((*path).clone()),
        (IdFrom::Body, None) if !given => CustomerId::parse(&uuid::Uuid::new_v4().to_string()).ok(),
        (IdFrom::Body, id) => id,
    };
    let name = fields.optional_text("name");
    let name = fields.parse("name", Some(name.unwrap_or_default()), Name::parse);
    let phone = fields.text("phone");
    let phone = fields.parse("phone", phone, Phone::parse);
    let operator = fields.optional_text("operator");
    let operator = fields.parse("operator", Some(operator.unwrap_or_default()), Word::parse);
    let tag = fields.optional_text("tag");
    let tag = fields.parse("tag", Some(tag.unwrap_or_default()), Word::parse);
    let zone = fields.optional_text("timezone");
    let had_zone = zone.is_some();
    let zone = fields.parse("timezone", zone, known_zone);
    if had_zone && zone.is_none() {
        return None;
    }
    Some(CheckedCustomer {
        id: id?,
        name: name?.into_string(),
        phone: phone?,
        operator: operator?.into_string(),
        tag: tag?.into_string(),
        zone,
    })
}

/// A time zone that the database knows, in its own spelling.
fn known_zone(text: &str) -> Result<String, InvalidValue> {
    let name = ZoneName::parse(text)?;
    match jiff::tz::TimeZone::get(name.as_str()) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(name.as_str()).to_owned()),
        Err(_) => {
            let detail = "no such time zone; an IANA name is needed, like Europe/Moscow";
            Err(InvalidValue::new(Code::InvalidTimezone, detail))
        }
    }
}

/// The action that writes one customer.
fn put_one(customer: CheckedCustomer, mode: PutMode) -> PutCustomer {
    let CheckedCustomer {
        id,
        name,
        phone,
        operator,
        tag,
        zone,
    } = customer;
    PutCustomer {
        mode,
        folded_tag: fold(&tag),
        folded_operator: fold(&operator),
        customer: Customer {
            id,
            name,
            phone,
            operator,
            tag,
            timezone: zone,
        },
    }
}

/// Writes one customer; one whose deletion is still being swept is waited for.
async fn write_one(
    api: &Api,
    command: Command<PutCustomer>,
) -> Result<Applied<Box<Customer>>, ApiError> {
    let mut attempt = 0;
    loop {
        let proposed = tokio::time::timeout(WRITE_TIME, api.node.propose(command.clone())).await;
        match proposed.unwrap_or(Err(ProposeError::Unknown)) {
            Err(ProposeError::Rejected {
                rejection: Rejection::CustomerBusy,
                ..
            }) if attempt < BUSY_TRIES => {
                attempt += 1;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            written => return Ok(written?),
        }
    }
}

pub(super) fn parse_id(id: &str) -> Result<CustomerId, ApiError> {
    // What cannot be an id is not there.
    CustomerId::parse(id).map_err(|_| ApiError::not_found("customer"))
}

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        endpoint!(create, Role::Operator, Effect::KeyedWrite)
            .takes(Takes::Json)
            .codes(&[
                Code::InvalidPhone,
                Code::InvalidTimezone,
                Code::InvalidId,
                Code::TooLong,
                Code::ControlCharacter,
                Code::Missing,
                Code::WrongType,
                Code::CustomerExists,
                Code::CustomerBusy,
            ])
            .alias(Method::POST, "/customer"),
        endpoint!(list, Role::Reader, Effect::Reads)
            .paged()
            .codes(&[Code::InvalidFilter, Code::InvalidLimit, Code::InvalidAfter]),
        endpoint!(read, Role::Reader, Effect::Reads)
            .finds("customer")
            .alias(Method::GET, "/customer/{id}")
            .word_as_id(IMPORT_PATH),
        endpoint!(replace, Role::Operator, Effect::KeyedWrite)
            .takes(Takes::Json)
            .finds("customer")
            .codes(&[
                Code::InvalidPhone,
                Code::InvalidTimezone,
                Code::InvalidId,
                Code::IdMismatch,
                Code::TooLong,
                Code::ControlCharacter,
                Code::Missing,
                Code::WrongType,
            ])
            .alias(Method::POST, "/customer/{id}")
            .word_as_id(IMPORT_PATH),
        endpoint!(remove, Role::Operator, Effect::Writes)
            .finds("customer")
            .codes(&[Code::CustomerBusy])
            .alias(Method::DELETE, "/customer/{id}")
            .word_as_id(IMPORT_PATH),
    ]
}

/// Create a customer
///
/// Without an id, a UUID is given.
#[utoipa::path(post, path = "/customers", tag = "customers", operation_id = "createCustomer",
    request_body = CustomerInput,
    responses((status = 201, body = CustomerBody)))]
async fn create(
    State(api): State<Api>,
    key: IdempotencyKey,
    params: Params,
    body: JsonBody,
) -> ApiResult {
    let JsonBody { mut fields, bytes } = body;
    params.finish()?;
    let customer = check(&mut fields, &IdFrom::Body);
    let customer = fields.finish(customer)?;
    let command = key.bind(put_one(customer, PutMode::Create), &bytes);
    let written = write_one(&api, command).await?;
    let customer = *written.reply;
    let path = format!("/customers/{}", customer.id);
    Ok(with_location(
        reply(
            StatusCode::CREATED,
            written.index,
            &CustomerBody::from(customer),
        ),
        &path,
    ))
}

/// List customers
///
/// Filters are SQL `ILIKE` patterns. A page may hold fewer than asked for and still have a next.
#[utoipa::path(get, path = "/customers", tag = "customers", operation_id = "listCustomers",
    params(
        ("tag" = Option<String>, Query, description = "Only with such tags: an SQL `ILIKE` pattern"),
        ("operator" = Option<String>, Query,
            description = "Only of such operators: an SQL `ILIKE` pattern"),
        ("phone" = Option<String>, Query,
            description = "Only with such phones: an SQL `ILIKE` pattern; its `+` as `%2B`"),
    ),
    responses((status = 200, body = CustomerPage)))]
async fn list(State(api): State<Api>, mut params: Params) -> ApiResult {
    let any = Filter::default;
    let filter = CustomerFilter {
        tag: params.parse("tag", Filter::parse).unwrap_or_else(any),
        operator: params.parse("operator", Filter::parse).unwrap_or_else(any),
        // No phone has a space: it is a `+` that was not encoded.
        phone: params
            .parse("phone", |text| Filter::parse(&text.replace(' ', "+")))
            .unwrap_or_else(any),
    };
    let limit = params.limit();
    let after = params.after();
    params.finish()?;
    let from = Seq(after.unwrap_or(0).try_into().unwrap_or(u32::MAX));
    let index = api.node.applied_index();
    let page = api
        .aside(move |api| gather(api, &filter, from, limit))
        .await?;
    Ok(reply(StatusCode::OK, index, &page))
}

/// A page of customers, part by part.
fn gather(
    api: &ApiParts,
    filter: &CustomerFilter,
    mut from: Seq,
    limit: usize,
) -> Result<CustomerPage, ApiError> {
    let (mut items, mut next) = (Vec::new(), None);
    for _ in 0..PARTS {
        let wanted = limit - items.len();
        let page = api.ask(|reader| query::customers::list(reader, filter, from, wanted))?;
        items.extend(page.items.into_iter().map(CustomerBody::from));
        next = page.next;
        match page.next {
            Some(seq) if items.len() < limit => from = seq,
            _ => break,
        }
    }
    Ok(CustomerPage {
        items,
        next: next.map(|seq| seq.0.to_string()),
    })
}

/// Read a customer
#[utoipa::path(get, path = "/customers/{id}", tag = "customers", operation_id = "getCustomer",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    responses((status = 200, body = CustomerBody)))]
async fn read(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let index = api.node.applied_index();
    let customer = api.ask(|reader| query::customers::get(reader, &id))?;
    let customer = customer.ok_or_else(|| ApiError::not_found("customer"))?;
    Ok(reply(StatusCode::OK, index, &CustomerBody::from(customer)))
}

/// Replace a customer
///
/// Takes the whole object; the id comes from the path.
#[utoipa::path(put, path = "/customers/{id}", tag = "customers", operation_id = "replaceCustomer",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    request_body = CustomerInput,
    responses((status = 200, body = CustomerBody)))]
async fn replace(
    State(api): State<Api>,
    PathId(id): PathId,
    key: IdempotencyKey,
    params: Params,
    body: JsonBody,
) -> ApiResult {
    let JsonBody { mut fields, bytes } = body;
    params.finish()?;
    let id = parse_id(&id)?;
    let customer = check(&mut fields, &IdFrom::Path(&id));
    let customer = fields.finish(customer)?;
    let command = key.bind(put_one(customer, PutMode::Update), &bytes);
    let written = write_one(&api, command).await?;
    let customer = CustomerBody::from(*written.reply);
    Ok(reply(StatusCode::OK, written.index, &customer))
}

/// Delete a customer
///
/// Its data is erased, its messages that wait are cancelled, and it gets nothing more.
#[utoipa::path(delete, path = "/customers/{id}", tag = "customers", operation_id = "deleteCustomer",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    responses((status = 204, description = "Deleted")))]
async fn remove(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let applied = api.write(Command::new(DeleteCustomer { id })).await?;
    let response: Response = done(applied.index);
    Ok(response)
}

/// Whether an id is a customer's, and which number it has.
pub(super) fn number<S: notty_storage::Source>(
    source: &S,
    id: &CustomerId,
) -> Result<Option<Seq>, Error> {
    match source.find_customer(id)? {
        Some(seq) => Ok(query::customers::by_seq(source, seq)?.map(|_| seq)),
        None => Ok(None),
    }
}
