//! The documentation of the API: made from its description in OpenAPI, with nothing written twice.
//!
//! What is read here is our own document, so what has another shape than expected is just not shown.

use askama::Template;
use serde_json::Value;

use super::frame::{self, Frame, Part};
use crate::error::Result;
use crate::http::{Answer, Request};

/// What stands for a parameter of a path in an example.
const EXAMPLES: [(&str, &str); 4] = [
    ("name", "news"),
    ("id", "1"),
    ("range", "2026-11-22T14:00:00Z--2026-11-22T15:00:00Z"),
    ("ranges", "2026-11-22T14:00:00Z--2026-11-22T15:00:00Z"),
];

#[derive(Template)]
#[template(path = "apidocs.html")]
struct Page {
    frame: Frame,
    description: Prose,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

/// The operations of one tag.
struct Group {
    name: String,
    description: Prose,
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    summary: Prose,
    description: Prose,
    parameters: Vec<Parameter>,
    body: Option<Type>,
    responses: Vec<Response>,
    curl: String,
}

struct Parameter {
    name: String,
    place: String,
    required: bool,
    shape: Type,
    description: Prose,
}

struct Response {
    status: String,
    description: Prose,
    shape: Option<Type>,
}

struct Schema {
    name: String,
    description: Prose,
    properties: Vec<Property>,
    /// What it is, where it has no properties.
    shape: Type,
}

struct Property {
    name: String,
    shape: Type,
    description: Prose,
}

/// A type, and the schema that it leads to.
struct Type {
    text: String,
    link: Option<String>,
}

/// Text with code in it, as comments have it.
#[derive(Default)]
struct Prose {
    pieces: Vec<Piece>,
}

struct Piece {
    is_code: bool,
    text: String,
}

impl Prose {
    fn of(value: &Value) -> Prose {
        let text = text(value);
        let pieces = text.split('`').enumerate().filter(|(_, text)| !text.is_empty());
        let piece = |(n, text): (usize, &str)| match n % 2 {
            1 => Piece { is_code: true, text: text.to_owned() },
            // Emphasis is left out: what is emphasised here is a word that stands for itself.
            _ => Piece { is_code: false, text: text.replace('*', "") },
        };
        Prose { pieces: pieces.map(piece).collect() }
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// The page of an OpenAPI `document`.
///
/// # Errors
/// Where the template cannot be filled in: a mistake in the program.
pub(in crate::http) fn apidocs(request: &Request, document: &Value) -> Result<Answer> {
    let frame = Frame::new(request, Part::Api, "API");
    let operations = operations(&frame, document);
    let mut groups: Vec<Group> = Vec::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let (name, description) = (text(&tag["name"]), Prose::of(&tag["description"]));
        groups.push(Group { name, description, operations: Vec::new() });
    }
    for (tag, operation) in operations {
        match groups.iter_mut().find(|group| group.name == tag) {
            Some(group) => group.operations.push(operation),
            None => {
                groups.push(Group { name: tag, description: Prose::default(), operations: vec![operation] })
            }
        }
    }
    groups.retain(|group| !group.operations.is_empty());
    let description = Prose::of(&document["info"]["description"]);
    frame::answer(&Page { frame, description, groups, schemas: schemas(document) })
}

/// Every operation with its tag, in the order of the document.
fn operations(frame: &Frame, document: &Value) -> Vec<(String, Operation)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or("other").to_owned();
            all.push((tag, one(frame, path, method, operation)));
        }
    }
    all
}

fn one(frame: &Frame, path: &str, method: &str, operation: &Value) -> Operation {
    let parameter = |value: &Value| Parameter {
        name: text(&value["name"]),
        place: text(&value["in"]),
        required: value["required"].as_bool().unwrap_or(false),
        shape: shape(&value["schema"]),
        description: Prose::of(&value["description"]),
    };
    let response = |(status, value): (&String, &Value)| Response {
        status: status.clone(),
        description: Prose::of(&value["description"]),
        shape: content(value),
    };
    let method = method.to_uppercase();
    Operation {
        parameters: operation["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
        body: content(&operation["requestBody"]),
        responses: operation["responses"].as_object().into_iter().flatten().map(response).collect(),
        summary: Prose::of(&operation["summary"]),
        description: Prose::of(&operation["description"]),
        curl: curl(frame, path, &method, !operation["requestBody"].is_null()),
        path: path.to_owned(),
        method,
    }
}

/// The operation as a command.
fn curl(frame: &Frame, path: &str, method: &str, has_body: bool) -> String {
    let path = EXAMPLES
        .iter()
        .fold(path.to_owned(), |path, (name, example)| path.replace(&format!("{{{name}}}"), example));
    let method = if method == "GET" { String::new() } else { format!("-X {method} ") };
    let body = if has_body { "-H 'Content-Type: application/json' -d @body.json " } else { "" };
    format!("curl {method}{body}'{}'", frame.url(&path))
}

fn schemas(document: &Value) -> Vec<Schema> {
    let all = document["components"]["schemas"].as_object().into_iter().flatten();
    let schema = |(name, value): (&String, &Value)| Schema {
        name: name.clone(),
        description: Prose::of(&value["description"]),
        properties: properties(value),
        shape: shape(value),
    };
    all.map(schema).collect()
}

/// Those of a schema, and of what it is put together of.
fn properties(schema: &Value) -> Vec<Property> {
    let own = schema["properties"].as_object().into_iter().flatten();
    let own = own.map(|(name, value)| Property {
        name: name.clone(),
        shape: shape(value),
        description: Prose::of(&value["description"]),
    });
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(properties);
    own.chain(parts).collect()
}

/// The type of what a request or a response holds.
fn content(value: &Value) -> Option<Type> {
    let (media, content) = value["content"].as_object()?.iter().next()?;
    match content.get("schema") {
        Some(schema) if media.contains("json") => Some(shape(schema)),
        _ => Some(Type { text: media.clone(), link: None }),
    }
}

/// A schema in a few words.
fn shape(schema: &Value) -> Type {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return Type { text: name.to_owned(), link: Some(name.to_owned()) };
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let parts: Vec<Type> = schema[key].as_array().into_iter().flatten().map(shape).collect();
        if !parts.is_empty() {
            let text = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(" or ");
            return Type { text, link: parts.into_iter().find_map(|part| part.link) };
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        kind => text(kind),
    };
    if let Some(items) = schema.get("items").filter(|_| kind.starts_with("array")) {
        let items = shape(items);
        return Type {
            text: kind.replacen("array", &format!("array of {}", items.text), 1),
            link: items.link,
        };
    }
    let words: Vec<String> =
        schema["enum"].as_array().into_iter().flatten().map(|word| word.to_string()).collect();
    let format = schema["format"].as_str().map(|format| format!(" ({format})")).unwrap_or_default();
    let text = match (kind.as_str(), words.is_empty()) {
        (_, false) => words.join(" | "),
        ("", true) => "anything".to_owned(),
        (kind, true) => format!("{kind}{format}"),
    };
    Type { text, link: None }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;
    use crate::http::tests::{body, request};

    #[test]
    fn what_the_document_says_is_on_the_page_with_a_command_that_can_be_typed() {
        let document = json!({
            "info": {"description": "All of it"},
            "tags": [{"name": "channels", "description": "What is archived"}],
            "paths": {"/api/v1/channels/{name}": {"get": {
                "tags": ["channels"], "summary": "One channel",
                "parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string"},
                                "description": "<Its> `name`"}],
                "responses": {"200": {"description": "It", "content": {"application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Channel"}}}}}},
            }}},
            "components": {"schemas": {"Channel": {"properties": {
                "enabled": {"type": ["boolean", "null"], "description": "Whether check looks at it"}}}}},
        });
        let request = request(Method::GET, "/apidocs", &[("host", "tv:80"), ("x-path-prefix", "/npvr")]);
        let answer = apidocs(&request, &document).unwrap();
        let page = body(&answer);
        for part in [
            "What is archived",
            "curl &#39;http://tv:80/npvr/api/v1/channels/news&#39;",
            "&#60;Its&#62; <code>name</code>",
            "<a href=\"#schema-Channel\">array of Channel</a>",
            "id=\"schema-Channel\"",
            "boolean or null",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
