//! The documentation of the API as a page: rendered from its description, without a script, and with nothing from
//! anywhere else.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::problem::ProblemKind;

/// The page may have its own style and nothing else.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
code{font-family:ui-monospace,monospace}
section{border-top:1px solid #8888;margin-top:1.5rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}
.m{font-weight:bold}
";

/// The page.
pub(super) fn docs(description: &OpenApi) -> String {
    let whole = json!(description);
    let empty = Map::new();
    let paths = whole["paths"].as_object().unwrap_or(&empty);
    let schemas = whole["components"]["schemas"].as_object().unwrap_or(&empty);
    let calls: Vec<(&str, &str, &Value)> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().filter_map(move |(method, call)| {
                call["responses"].is_object().then_some((path.as_str(), method.as_str(), call))
            })
        })
        .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Focus Server: HTTP API" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Focus Server: HTTP API" }
                    @for paragraph in text(&whole["info"]["description"]).split("\n\n") { p { (paragraph) } }
                    p { "Version " (text(&whole["info"]["version"])) ". For programs: " a href="/api/v1/openapi.json" { "OpenAPI 3.1" } "." }
                    h2 id="calls" { "Calls" }
                    ul {
                        @for (path, method, call) in &calls {
                            li { a href={ "#" (anchor(method, path)) } { code { (method.to_uppercase()) " " (path) } } " " (text(&call["summary"])) }
                        }
                    }
                    @for (path, method, call) in &calls { (section(path, method, call)) }
                    h2 id="schemas" { "Forms" }
                    @for (name, schema) in schemas { (form(name, schema)) }
                    h2 id="errors" { "Errors" }
                    p { "An error is a problem document (RFC 9457) with " code { "type" } ", " code { "title" } ", " code { "status" } ", " code { "detail" } " and, where one is to blame, " code { "field" } "." }
                    @for kind in ProblemKind::ALL {
                        section id={ "error-" (kind.name()) } {
                            h3 { code { (kind.name()) } ": " (kind.title()) }
                            p { "Status " (kind.status().as_u16()) ". " (kind.remedy()) }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn section(path: &str, method: &str, call: &Value) -> Markup {
    let parameters = call["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    let responses = call["responses"].as_object().cloned().unwrap_or_default();
    html! {
        section id=(anchor(method, path)) {
            h3 { span.m { (method.to_uppercase()) } " " code { (path) } }
            p { (text(&call["summary"])) "." }
            @if let Some(words) = call["description"].as_str() { p { (words) } }
            @if call["security"].is_array() { p { "It needs a token, as " code { "Authorization: Bearer TOKEN" } "." } }
            @if !parameters.is_empty() {
                table {
                    thead { tr { th { "Parameter" } th { "Form" } th { "Meaning" } } }
                    tbody {
                        @for parameter in parameters {
                            tr {
                                td { code { (text(&parameter["name"])) } }
                                td { (kind(&parameter["schema"])) }
                                td { (text(&parameter["description"])) }
                            }
                        }
                    }
                }
            }
            @if let Some(body) = call["requestBody"]["content"].as_object() {
                @for (media_type, content) in body {
                    p { "Body: " code { (media_type) } ", " (kind(&content["schema"])) ". " (text(&call["requestBody"]["description"])) }
                }
            }
            table {
                thead { tr { th { "Answer" } th { "Form" } th { "Meaning" } } }
                tbody {
                    @for (code, answer) in &responses {
                        @if answer["$ref"].is_null() {
                            tr {
                                td { (code) }
                                td { @for content in answer["content"].as_object().into_iter().flatten() { (kind(&content.1["schema"])) " " } }
                                td { (text(&answer["description"])) }
                            }
                        }
                    }
                    tr { td { "others" } td { a href="#errors" { "an error" } } td { } }
                }
            }
        }
    }
}

fn form(name: &str, schema: &Value) -> Markup {
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    html! {
        section id={ "form-" (name) } {
            h3 { code { (name) } }
            p { (text(&schema["description"])) }
            @if fields.is_empty() { p { (kind(schema)) } } @else {
                table {
                    thead { tr { th { "Field" } th { "Form" } th { "Meaning" } } }
                    tbody {
                        @for (field, schema) in &fields {
                            tr { td { code { (field) } } td { (kind(schema)) } td { (text(&schema["description"])) } }
                        }
                    }
                }
            }
        }
    }
}

/// What a schema takes, in words.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return html! { a href={ "#form-" (name) } { (name) } };
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[key].as_array() {
            let join = if key == "allOf" { " and " } else { " or " };
            return html! { @for (n, one) in all.iter().enumerate() { @if n > 0 { (join) } (kind(one)) } };
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return html! { @for (n, word) in words.iter().enumerate() { @if n > 0 { ", " } code { (plain(word)) } } };
    }
    if schema["items"].is_object() {
        return html! { "list of " (kind(&schema["items"])) };
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(plain).collect::<Vec<_>>().join(" or "),
        Value::Null => "any".to_owned(),
        one => plain(one),
    };
    html! {
        (types)
        @if let Some(format) = schema["format"].as_str() { " (" (format) ")" }
        @if !schema["minimum"].is_null() { ", from " (plain(&schema["minimum"])) }
        @if !schema["maximum"].is_null() { ", to " (plain(&schema["maximum"])) }
        @if !schema["default"].is_null() { ", else " code { (plain(&schema["default"])) } }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn anchor(method: &str, path: &str) -> String {
    let path: String = path.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    format!("{method}{path}")
}
