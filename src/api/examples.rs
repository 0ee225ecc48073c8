//! Examples of the OpenAPI document that no declaration can have: those of lists, of fields that may be
//! absent or that refer to another schema, and of parameters.
//!
//! The example of a list or of a reference is made of the examples of its parts, so that it never differs
//! from them.

use std::mem;

use serde_json::{Value, json};
use utoipa::openapi::{
    Components, RefOr,
    path::{Operation, Parameter, ParameterIn},
    schema::{AllOf, OneOf, Schema},
};

/// Values of parameters that have no list of words, by name.
const PARAMETERS: [(&str, &str); 11] = [
    ("after", "100"),
    ("customer", "customer-0000001"),
    ("error", "34"),
    ("from", "2026-03-01"),
    ("Idempotency-Key", "order-2026-03-02-0001"),
    ("k", "5VhsFjVIzUpXKtRllNa1rg"),
    ("mailing", "spring-sale"),
    ("operator", "mts%"),
    ("phone", "+7916%"),
    ("tag", "vip%"),
    ("to", "2026-03-31"),
];

/// Adds the missing examples to the fields of all schemas, and moves descriptions to the fields themselves.
pub(super) fn add_to_fields(components: &mut Components) {
    let all = json!(components.schemas);
    for schema in components.schemas.values_mut() {
        if let RefOr::T(Schema::Object(schema)) = schema {
            for field in schema.properties.values_mut() {
                complete_field(field, &all);
            }
        }
    }
}

fn complete_field(field: &mut RefOr<Schema>, all: &Value) {
    let example = example_of(&json!(field), all);
    match field {
        RefOr::T(Schema::Array(list)) => list.example = Some(example),
        RefOr::T(Schema::OneOf(choice)) => {
            choice.example = Some(example);
            lift_description(choice);
        }

        // A reference has no place for an example: it becomes a part of a schema that has one.
        RefOr::Ref(reference) => {
            let mut whole = AllOf::new();
            whole.description = Some(mem::take(&mut reference.description));
            whole.example = Some(example);
            whole.items = vec![RefOr::Ref(reference.clone())];
            *field = RefOr::T(Schema::AllOf(whole));
        }
        RefOr::T(_) => {}
    }
}

/// Moves the description of a field that may be absent to the field, where readers look for it.
fn lift_description(choice: &mut OneOf) {
    if let Some(RefOr::Ref(reference)) = choice.items.first_mut()
        && choice.description.is_none()
    {
        choice.description = Some(mem::take(&mut reference.description));
    }
}

/// The example of a schema: its own, or one made of its parts.
fn example_of(schema: &Value, all: &Value) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return example_of(&all[name], all);
    }
    if let Some(items) = schema.get("items") {
        return json!([example_of(items, all)]);
    }

    if let Some(first) = schema.pointer("/oneOf/0") {
        return example_of(first, all);
    }
    let fields = schema.get("properties").and_then(Value::as_object);
    let of_fields = fields.into_iter().flatten();
    let examples = of_fields.map(|(name, field)| (name.clone(), example_of(field, all)));
    Value::Object(examples.collect())
}

/// Adds examples to the parameters that an operation declares by itself.
pub(super) fn add_to_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            add_to_parameter(parameter);
        }
    }
}

/// Adds an example to a parameter that may be absent. It is switched off: the page would fill it in
/// otherwise, and a first try with all filters set finds nothing.
pub(super) fn add_to_parameter(parameter: &mut Parameter) {
    if parameter.parameter_in == ParameterIn::Path {
        return;
    }
    let schema = json!(parameter.schema);
    let Some(value) = value_of(&parameter.name, &schema) else {
        return;
    };
    let examples = json!({ "example": { "value": value, "x-disabled": true } });
    let extensions = parameter.extensions.get_or_insert_default();
    extensions.insert("examples".to_owned(), examples);
}

/// The value of a parameter: the first of its words, its default, or one by its name.
fn value_of(name: &str, schema: &Value) -> Option<Value> {
    let word = schema.pointer("/enum/0").or_else(|| schema.get("default"));
    if word.is_some() {
        return word.cloned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => Some(json!(true)),
        Some("integer") => Some(json!(1234)),
        _ => {
            let mut named = PARAMETERS.iter().filter(|(of, _)| *of == name);
            named.next().map(|(_, value)| json!(value))
        }
    }
}
