//! The OpenAPI 3.1 document: paths, methods and roles from the table of routes, shapes from the types that are read and sent.
//!
//! Each package of functions adds its operations to an [`OpenApi`]. Doc comments of the types are the document's descriptions.

use analytics_domain::access::{Access, Operation, Role, Route};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::error::Problem;

/// The document while operations are added to it.
#[derive(Debug)]
pub struct OpenApi {
    paths: Map<String, Value>,
    tags: Vec<Value>,
    /// Of what is read.
    inputs: SchemaGenerator,
    /// Of what is sent.
    answers: SchemaGenerator,
}

/// An operation of the document.
#[derive(Debug)]
pub struct OperationDoc<'d> {
    document: &'d mut OpenApi,
    route: &'static Route,
}

impl Default for OpenApi {
    fn default() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.meta_schema = None;
            settings.definitions_path = "/components/schemas".into();
            settings
        };
        Self {
            paths: Map::new(),
            tags: Vec::new(),
            inputs: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }
}

impl OpenApi {
    /// Operations that are added from now on are shown together, under this name.
    pub fn tag(&mut self, name: &str, description: &str) {
        self.tags.push(json!({"name": name, "description": description}));
    }

    /// Adds an operation. What every operation of its kind has is there already: its id, its roles, how it is refused.
    pub fn operation(&mut self, operation: Operation, summary: &str, description: &str) -> OperationDoc<'_> {
        let route = operation.route();
        let mut value = json!({
            "operationId": operation.id(), "summary": summary, "description": description, "responses": {},
            "tags": self.tags.last().map(|tag| vec![tag["name"].clone()]),
        });
        match route.roles {
            Access::Everyone => value["security"] = json!([]),
            Access::Roles(roles) => {
                value["security"] = json!([{"token": []}]);
                value["x-roles"] = json!(roles.iter().copied().map(Role::name).collect::<Vec<_>>());
            }
        }
        let path = self.paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = value;
        let mut described = OperationDoc { document: self, route };
        if route.roles != Access::Everyone {
            described.refuse(401, "The token is missing or invalid: see `code`");
            described.refuse(403, "The token's role may not call this operation");
            described.refuse(503, "A dependency is unavailable: retry after `Retry-After`");
            described.sends(503, "Retry-After", "Seconds to wait");
        }
        described.refuse_as("default", "A defect of the service: see `code`");
        described
    }

    /// The whole document.
    #[must_use]
    pub fn finish(mut self, title: &str, version: &str, description: &str) -> Value {
        let _ = self.answers.subschema_for::<Problem<'_>>();
        let mut schemas = self.inputs.take_definitions(true);
        let mut answers = self.answers.take_definitions(true);
        answers.values_mut().for_each(close_answer);
        schemas.values_mut().for_each(close_request);
        for (name, answer) in answers {
            let request = schemas.insert(name, answer.clone());
            debug_assert!(request.is_none_or(|request| request == answer), "two types have one name: {answer}");
        }
        schemas.values_mut().for_each(unwrap_descriptions);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": title, "version": version, "description": description,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            // From where this document is, which is below `/api`.
            "servers": [{"url": "..", "description": "The API that this document was read from"}],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "Claims: iss, aud, exp, accountId (the tenant), role (ingest, viewer, analyst, admin)"}},
                "schemas": schemas,
            },
        })
    }
}

impl OperationDoc<'_> {
    fn value(&mut self) -> &mut Value {
        &mut self.document.paths[self.route.path][self.route.method.to_ascii_lowercase()]
    }

    fn parameter(&mut self, parameter: Value) {
        match &mut self.value()["parameters"] {
            Value::Array(parameters) => parameters.push(parameter),
            none => *none = json!([parameter]),
        }
    }

    fn refuse(&mut self, status: u16, description: &str) {
        self.refuse_as(&status.to_string(), description);
    }

    fn refuse_as(&mut self, status: &str, description: &str) {
        let schema = self.document.answers.subschema_for::<Problem<'_>>();
        self.value()["responses"][status] =
            json!({"description": description, "content": {"application/problem+json": {"schema": schema}}});
    }

    /// The id of the thing, in the path. `format` names its rules.
    pub fn id(&mut self, name: &str, format: &str, description: &str) -> &mut Self {
        let schema = json!({"type": "string", "minLength": 1, "format": format});
        self.parameter(
            json!({"name": name, "in": "path", "required": true, "schema": schema, "description": description}),
        );
        self.refuse(404, "Not found: see `code`");
        self
    }

    /// Query parameters: the fields of a struct.
    ///
    /// # Panics
    /// If the type is no struct.
    pub fn query<P: JsonSchema>(&mut self) -> &mut Self {
        let schema = P::json_schema(&mut self.document.inputs);
        let fields = schema.get("properties").and_then(Value::as_object).cloned().expect("parameters are fields");
        for (name, mut schema) in fields {
            without_null(&mut schema);
            unwrap_descriptions(&mut schema);
            // An object is written as a parameter for each of its members.
            let (style, explode) = ("form", schema["type"] == "object");
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let mut parameter =
                json!({"name": name, "in": "query", "style": style, "explode": explode, "schema": schema});
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameter(parameter);
        }
        self.refuse(422, "The request breaks a rule: see `code` and `errors`");
        self
    }

    /// A header that a request may have.
    pub fn header(&mut self, name: &str, schema: &Value, description: &str) -> &mut Self {
        self.parameter(json!({"name": name, "in": "header", "schema": schema, "description": description}));
        self
    }

    /// The version that a change was made from, in `If-Match`.
    pub fn if_match(&mut self) -> &mut Self {
        let schema = json!({"type": "string", "pattern": "^(\\*|(W/)?\"[0-9]{1,9}\")$"});
        self.refuse(409, "The definition cannot be changed or deleted: see `code`");
        self.refuse(412, "`If-Match` names another version: read the definition again");
        self.header("If-Match", &schema, "ETag of the version that the change was made from")
    }

    /// A body, as JSON.
    pub fn body<B: JsonSchema>(&mut self) -> &mut Self {
        let schema = self.document.inputs.subschema_for::<B>();
        self.value()["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        self.refuse(400, "The body cannot be read: see `code`");
        self.refuse(413, "The body is too large");
        self.refuse(415, "The `Content-Type` or `Content-Encoding` is not supported");
        self.refuse(422, "The request breaks a rule: see `code` and `errors`");
        self
    }

    /// The body in another form.
    pub fn or_body(&mut self, kind: &str, description: &str) -> &mut Self {
        let schema = json!({"type": "string", "description": description});
        self.value()["requestBody"]["content"][kind] = json!({"schema": schema});
        self
    }

    /// An answer, as JSON.
    pub fn answer<A: JsonSchema>(&mut self, status: u16, description: &str) -> &mut Self {
        let schema = self.document.answers.subschema_for::<A>();
        self.answer_as(status, description, "application/json", schema)
    }

    /// An answer in a form of its own, or a further form of an answer.
    pub fn file(&mut self, status: u16, description: &str, kind: &str) -> &mut Self {
        let schema = Schema::try_from(json!({"type": "string"})).expect("is a schema");
        self.answer_as(status, description, kind, schema)
    }

    fn answer_as(&mut self, status: u16, description: &str, kind: &str, schema: Schema) -> &mut Self {
        let answer = &mut self.value()["responses"][status.to_string()];
        if answer["description"].is_null() {
            answer["description"] = json!(description);
        }
        answer["content"][kind] = json!({"schema": schema});
        self
    }

    /// A header of an answer.
    pub fn sends(&mut self, status: u16, name: &str, description: &str) -> &mut Self {
        self.value()["responses"][status.to_string()]["headers"][name] =
            json!({"description": description, "schema": {"type": "string"}});
        self
    }

    /// An answer without content.
    pub fn empty(&mut self, status: u16, description: &str) -> &mut Self {
        self.value()["responses"][status.to_string()] = json!({"description": description});
        self
    }

    /// A refusal that only this operation has.
    pub fn refusal(&mut self, status: u16, description: &str) -> &mut Self {
        self.refuse(status, description);
        self
    }
}

/// Applies a change to the schemas right within a schema.
fn within(schema: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    for (keyword, value) in schema.as_object_mut().into_iter().flatten() {
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(fields)) => fields.values_mut().for_each(&mut *change),
            ("oneOf" | "anyOf" | "allOf", Value::Array(schemas)) => schemas.iter_mut().for_each(&mut *change),
            ("items" | "additionalProperties", schema @ Value::Object(_)) => change(schema),
            _ => {}
        }
    }
}

/// Describes an answer exactly: an optional field is never null, and there are no other fields.
fn close_answer(schema: &mut Value) {
    within(schema, &mut close_answer);
    // Anything at all, such as the value of a property, is described by `true`.
    if !schema.is_object() {
        return;
    }
    let required = schema["required"].take();
    let is_required = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    if let Value::Object(fields) = &mut schema["properties"] {
        fields.iter_mut().filter(|(name, _)| !is_required(name)).for_each(|(_, field)| without_null(field));
        if schema["additionalProperties"].is_null() {
            schema["additionalProperties"] = json!(false);
        }
    }
    schema["required"] = required;
    remove_nulls(schema);
}

/// Replaces `unevaluatedProperties` by `additionalProperties`, which every reader knows.
fn close_request(schema: &mut Value) {
    within(schema, &mut close_request);
    if let Some(unevaluated) = schema.as_object_mut().and_then(|schema| schema.remove("unevaluatedProperties")) {
        schema["additionalProperties"] = unevaluated;
    }
}

/// Joins the wrapped lines of doc comments.
fn unwrap_descriptions(schema: &mut Value) {
    within(schema, &mut unwrap_descriptions);
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace("\n\n", "\0").replace('\n', " ").replace('\0', "\n\n");
    }
}

/// Removes the nulls that indexing a schema has inserted.
fn remove_nulls(schema: &mut Value) {
    if let Value::Object(keywords) = schema {
        keywords.retain(|_, value| !value.is_null());
    }
}

fn without_null(field: &mut Value) {
    for keyword in ["type", "enum"] {
        if let Some(Value::Array(values)) = field.get_mut(keyword) {
            values.retain(|value| !value.is_null() && value != "null");
        }
    }
    if let Some([only]) = field.get("type").and_then(Value::as_array).map(Vec::as_slice) {
        field["type"] = only.clone();
    }
    let Some(Value::Array(kinds)) = field.get_mut("anyOf") else { return };
    kinds.retain(|kind| kind["type"] != "null");
    if let [only] = kinds.as_slice() {
        let (only, description) = (only.clone(), field.get("description").cloned());
        *field = only;
        if let Some(description) = description {
            field["description"] = description;
        }
    }
}

/// A type that exists only for the schema that is written here.
#[macro_export]
macro_rules! shape {
    ($name:ident, $schema:expr) => {
        pub struct $name;

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    /// What a test sends.
    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Thing {
        its_name: String,
        next: Option<String>,
        /// How
        /// many.
        properties: Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    }

    #[test]
    fn an_answer_is_described_as_it_is_sent() {
        let mut document = OpenApi::default();
        document.tag("Things", "Tests");
        document.operation(Operation::SearchEvents, "Things", "All of them").answer::<Thing>(200, "Some");
        let document = document.finish("Test", "1", "A test");
        let thing = &document["components"]["schemas"]["Thing"];
        assert_eq!(thing["required"], json!(["itsName", "next", "properties"]));
        assert_eq!(thing["properties"]["next"]["type"], json!(["string", "null"]));
        assert_eq!(thing["properties"]["count"]["type"], "integer");
        assert_eq!(thing["properties"]["properties"]["description"], "How many.");
        assert_eq!(thing["additionalProperties"], false);
        assert_eq!(
            thing["properties"]["properties"]["additionalProperties"], true,
            "a field of any name is no keyword"
        );
        let search = &document["paths"]["/api/events/search"]["get"];
        assert_eq!(search["operationId"], "search-events");
        assert_eq!(search["x-roles"], json!(["viewer", "analyst", "admin"]));
        assert!(["401", "403", "503", "default"].iter().all(|status| search["responses"][status].is_object()));
        assert_eq!(
            search["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Thing"
        );
    }
}
