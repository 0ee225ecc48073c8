//! Customers: create, read, list, replace, delete.
//!
//! The checks of their fields are in [`check`](mod@check); an import checks its rows by the same ones.
//! [`zones`] looks time zones up.

pub(super) mod check;
pub(super) mod zones;

use std::time::Duration;

use axum::{
    extract::State,
    http::{Method, StatusCode},
};
use notty_raft::ProposeError;
use notty_storage::{
    Command, Error, Rejection,
    command::{DeleteCustomer, PutCustomer, PutMode},
    model::{Customer, CustomerId, Filter, Seq, fold},
    query::{self, Page, customers::CustomerFilter},
};
use serde::Serialize;
use utoipa::ToSchema;

use self::{
    check::{CheckedCustomer, IdFrom, check},
    zones::FoundZones,
};
use super::{
    Api, ApiError, ApiResult, IdempotencyKey, WRITE_TIME,
    code::Code,
    done,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    input::{JsonBody, Params, PathId},
    reply, to_bodies, with_location,
};
use crate::config::Role;

/// The path of the import; a customer may have the id `import` all the same.
const IMPORT_PATH: &str = "/customers/import";
/// The most repeats of a write while the messages of a deleted customer are being cancelled.
const BUSY_TRIES: u32 = 20;
/// Pause between two such repeats.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// A person who can get messages.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CustomerBody {
    /// Id of 1 to 64 letters and digits of any script, and `-_.@+`; absent in a create: a UUID is generated.
    #[schema(example = "customer-0000001")]
    pub(super) id: String,
    /// Name of the customer; may be empty.
    #[schema(example = "Анастасия Алексеева")]
    pub(super) name: String,
    /// Phone number in E.164: `+` and 10 to 15 digits.
    #[schema(example = "+79161112233")]
    pub(super) phone: String,
    /// The mobile operator; may be empty.
    #[schema(example = "МТС")]
    pub(super) operator: String,
    /// Any text to filter by; may be empty.
    #[schema(example = "clients.moscow.new")]
    pub(super) tag: String,
    /// IANA name of the time zone; absent: the configured default.
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

/// The body of a create and of a replace.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(super) struct CustomerInput {
    /// Id of 1 to 64 letters and digits of any script, and `-_.@+`; absent in a create: a UUID is generated.
    #[schema(example = "customer-0000001")]
    id: Option<String>,
    /// Name of the customer; absent: empty.
    #[schema(example = "Анастасия Алексеева")]
    name: Option<String>,
    /// Phone number: `+` and 10 to 15 digits. Spaces, no-break spaces and `-`, `(`, `)`, `.` are dropped.
    #[schema(example = "+79161112233")]
    phone: String,
    /// The mobile operator; absent: empty.
    #[schema(example = "МТС")]
    operator: Option<String>,
    /// Any text to filter by; absent: empty.
    #[schema(example = "clients.moscow.new")]
    tag: Option<String>,
    /// IANA name of the time zone; absent: the configured default.
    #[schema(example = "Europe/Moscow")]
    timezone: Option<String>,
}

/// A page of customers.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomerPage {
    /// Customers in the order of their creation.
    items: Vec<CustomerBody>,
    /// Value of `after` for the page that follows; null at the end.
    #[schema(example = "100")]
    next: Option<String>,
}

impl From<Page<Customer, Seq>> for CustomerPage {
    fn from(page: Page<Customer, Seq>) -> Self {
        Self {
            items: to_bodies(page.items),
            next: page.next.map(|seq| seq.0.to_string()),
        }
    }
}

/// The action that writes one customer.
fn put_one(customer: CheckedCustomer, mode: PutMode) -> PutCustomer {
    let CheckedCustomer {
        id,
        has_new_id: _,
        name,
        phone,
        operator,
        tag,
        zone,
    } = customer;

    // Folded here and not while the entry is applied: all nodes must compare the same text.
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

/// Writes one customer. Waits a while if a customer of this id was just deleted: its messages must be
/// cancelled before the id is used again.
async fn write_one(api: &Api, command: Command<PutCustomer>) -> Result<(Customer, u64), ApiError> {
    let mut attempt = 0;
    loop {
        let proposed = api.propose(command.clone(), WRITE_TIME).await;

        // A repeat keeps the key: the state does not note a key whose write was rejected as busy.
        match proposed {
            Err(ProposeError::Rejected {
                rejection: Rejection::CustomerBusy,
                ..
            }) if attempt < BUSY_TRIES => {
                attempt += 1;
                tokio::time::sleep(BUSY_PAUSE).await;
            }

            // An outcome that is not known may be a write: only the client may repeat it.
            Err(error) => return Err(error.into()),
            Ok(applied) => return Ok((*applied.reply, applied.index)),
        }
    }
}

/// Parses the id in a path. A text that cannot be an id is answered with 404: no customer has it.
pub(super) fn parse_id(id: &str) -> Result<CustomerId, ApiError> {
    CustomerId::parse(id).map_err(|_| ApiError::not_found("customer"))
}

/// Faults that the fields of a customer can have.
const FIELD_FAULTS: &[Code] = &[
    Code::InvalidPhone,
    Code::InvalidTimezone,
    Code::InvalidId,
    Code::TooLong,
    Code::ControlCharacter,
    Code::EmptyText,
    Code::Missing,
    Code::WrongType,
];

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        route_of_create(),
        endpoint!(list, Role::Reader, Effect::Reads)
            .paged()
            .codes(&[Code::InvalidFilter, Code::InvalidLimit, Code::InvalidAfter]),
        // A customer may have the id `import`, although another route ends in that word.
        endpoint!(read, Role::Reader, Effect::Reads)
            .finds("customer")
            .alias(Method::GET, "/customer/{id}")
            .word_as_id(IMPORT_PATH),
        route_of_replace(),
        endpoint!(remove, Role::Operator, Effect::Writes)
            .finds("customer")
            .codes(&[Code::CustomerBusy])
            .alias(Method::DELETE, "/customer/{id}")
            .word_as_id(IMPORT_PATH),
    ]
}

fn route_of_create() -> Endpoint {
    endpoint!(create, Role::Operator, Effect::KeyedWrite)
        .takes(Takes::Json)
        .codes(FIELD_FAULTS)
        .codes(&[Code::CustomerExists, Code::CustomerBusy])
        .alias(Method::POST, "/customer")
}

fn route_of_replace() -> Endpoint {
    endpoint!(replace, Role::Operator, Effect::KeyedWrite)
        .takes(Takes::Json)
        .finds("customer")
        .codes(FIELD_FAULTS)
        .codes(&[Code::IdMismatch])
        .alias(Method::POST, "/customer/{id}")
        .word_as_id(IMPORT_PATH)
}

/// Create a customer
///
/// If the body has no id, a UUID is generated.
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
    let checked = check(&mut fields, &IdFrom::Body, &mut FoundZones::default());
    let customer = fields.finish(checked)?;

    let command = key.bind(put_one(customer, PutMode::Create), &bytes);
    let (customer, index) = write_one(&api, command).await?;

    // The client may not know it yet: an id that was absent is generated.
    let id = customer.id.clone();
    let response = reply(StatusCode::CREATED, index, &CustomerBody::from(customer));
    Ok(with_location(response, "/customers", id.as_str()))
}

/// List customers
///
/// Filters are SQL `ILIKE` patterns. A page can have fewer items than `limit` although more follow: `next`
/// is null at the end only.
#[utoipa::path(get, path = "/customers", tag = "customers", operation_id = "listCustomers",
    params(
        ("tag" = Option<String>, Query, description = "Only those whose tag matches: an SQL `ILIKE` pattern"),
        ("operator" = Option<String>, Query,
            description = "Only those whose operator matches: an SQL `ILIKE` pattern"),
        ("phone" = Option<String>, Query,
            description = "Only those whose phone matches: an SQL `ILIKE` pattern; `+` is written as `%2B`"),
    ),
    responses((status = 200, body = CustomerPage)))]
async fn list(State(api): State<Api>, mut params: Params) -> ApiResult {
    let filter = parse_filter(&mut params);
    let limit = params.limit();
    let from = Seq(params.after_or(0));
    // Before the filter is used: a filter with a fault matches everything.
    params.finish()?;

    let index = api.position();
    let page = api
        .aside(move |api| {
            let gathered = api.gather(limit, from, |reader, from, wanted| {
                query::customers::list(reader, &filter, from, wanted)
            });
            gathered.map(CustomerPage::from)
        })
        .await?;
    Ok(reply(StatusCode::OK, index, &page))
}

fn parse_filter(params: &mut Params) -> CustomerFilter {
    let tag = params.parse("tag", Filter::parse);
    let operator = params.parse("operator", Filter::parse);
    // No phone has a space: it is a `+` that was not encoded.
    let phone = params.parse("phone", |text| Filter::parse(&text.replace(' ', "+")));

    CustomerFilter {
        tag: tag.unwrap_or_default(),
        operator: operator.unwrap_or_default(),
        phone: phone.unwrap_or_default(),
    }
}

/// Read a customer by its id
#[utoipa::path(get, path = "/customers/{id}", tag = "customers", operation_id = "getCustomer",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    responses((status = 200, body = CustomerBody)))]
async fn read(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let index = api.position();
    let customer = api.find("customer", |reader| query::customers::get(reader, &id))?;
    Ok(reply(StatusCode::OK, index, &CustomerBody::from(customer)))
}

/// Replace a customer
///
/// The body is the whole object. The id comes from the path.
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

    // The path decides: the body may repeat the id, and cannot change it.
    let id = parse_id(&id)?;
    let checked = check(&mut fields, &IdFrom::Path(&id), &mut FoundZones::default());
    let customer = fields.finish(checked)?;

    let command = key.bind(put_one(customer, PutMode::Update), &bytes);
    let (customer, index) = write_one(&api, command).await?;
    Ok(reply(StatusCode::OK, index, &CustomerBody::from(customer)))
}

/// Delete a customer
///
/// The customer's data is erased, its waiting messages are cancelled, and it gets no more messages.
#[utoipa::path(delete, path = "/customers/{id}", tag = "customers", operation_id = "deleteCustomer",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    responses((status = 204, description = "Deleted")))]
async fn remove(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let applied = api.write(Command::new(DeleteCustomer { id })).await?;
    Ok(done(applied.index))
}

/// Finds the number of a customer; `None` if no customer has this id now.
pub(super) fn number<S: notty_storage::Source>(
    source: &S,
    id: &CustomerId,
) -> Result<Option<Seq>, Error> {
    match source.find_customer(id)? {
        Some(seq) => Ok(query::customers::by_seq(source, seq)?.map(|_| seq)),
        None => Ok(None),
    }
}
