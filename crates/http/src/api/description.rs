//! The description of the API, OpenAPI 3.1: what stands in no handler, the file that is served and checked in,
//! and the documentation at `/docs`.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, Response as Described, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::ask::{Ask, Nothing};
use super::problem::{MEDIA_TYPE, ProblemBody, ProblemKind};
use super::{manners, pages, routes};

/// The name of the security scheme: a token with the right that the call names.
pub(super) const TOKEN: &str = "token";

/// What every call can be answered, besides what its handler says.
const OF_ALL: [ProblemKind; 9] = [
    ProblemKind::BadRequest,
    ProblemKind::OtherSite,
    ProblemKind::UnknownPath,
    ProblemKind::WrongMethod,
    ProblemKind::TooSlow,
    ProblemKind::TooLarge,
    ProblemKind::WrongHost,
    ProblemKind::Unavailable,
    ProblemKind::NoToken,
];

/// The description as it is served and checked in.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&whole()).unwrap_or_default();
    text.push('\n');
    text
});

/// The documentation, rendered.
static PAGE: LazyLock<String> = LazyLock::new(|| pages::docs(&whole()));

/// What stands in no handler.
pub(super) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Focus Server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("description.md").trim_end()))
        .license(Some(
            LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ))
        .build();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token in `server.json` of the state folder, or one of `[[tokens]]` with the right that the call needs",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(TOKEN, SecurityScheme::Http(scheme))
        .schema(ProblemBody::name(), ProblemBody::schema())
        .response("Problem", problem("What happened and what to do (RFC 9457)"))
        .response("ProblemResponse", problem("What happened and what to do (RFC 9457)"))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// An error, as handlers name it among their answers.
#[derive(utoipa::ToResponse)]
#[response(
    description = "What happened and what to do (RFC 9457)",
    content_type = "application/problem+json"
)]
#[expect(dead_code, reason = "it names a part of the description")]
pub(super) struct ProblemResponse(ProblemBody);

fn problem(words: &str) -> Described {
    let schema = Ref::from_schema_name(ProblemBody::name());
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(schema))).build();
    ResponseBuilder::new().description(words).content(MEDIA_TYPE, content).build()
}

/// The whole description.
pub(super) fn whole() -> OpenApi {
    let mut whole = routes::described().into_openapi();
    for item in whole.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten();
        for operation in operations {
            for kind in OF_ALL {
                let code = kind.status().as_u16().to_string();
                operation
                    .responses
                    .responses
                    .entry(code)
                    .or_insert_with(|| RefOr::Ref(Ref::from_response_name("Problem")));
            }
        }
    }
    whole
}

/// `GET /api/v1/openapi.json`.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "server",
    summary = "This description",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
pub(super) async fn openapi(headers: HeaderMap, Ask(Nothing {}): Ask<Nothing>) -> Response {
    manners::tagged(&headers, TEXT.as_bytes(), "application/json")
}

/// `GET /docs`.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "server",
    summary = "The documentation of this API, for people",
    responses((status = 200, description = "A page that needs nothing else", body = String, content_type = "text/html"))
)]
pub(super) async fn docs(headers: HeaderMap, Ask(Nothing {}): Ask<Nothing>) -> Response {
    let mut response = manners::tagged(&headers, PAGE.as_bytes(), "text/html; charset=utf-8");
    let policy = HeaderValue::from_static(pages::POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_as_the_code_says(name: &str, wanted: &str) {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("FOCUS_UPDATE_DOCS").is_some() {
            std::fs::write(&path, wanted).expect("written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/{name} is not as the code says: FOCUS_UPDATE_DOCS=1 cargo test --workspace --lib writes it anew"
        );
    }

    #[test]
    fn the_description_that_is_checked_in_is_the_one_of_the_code() {
        is_as_the_code_says("openapi.json", &TEXT);
    }

    #[test]
    fn the_document_about_http_follows_from_the_description() {
        let whole = serde_json::json!(whole());
        let mut text = format!("# HTTP\n\n{}\n", include_str!("description.md"));
        text.push_str("[openapi.json](openapi.json) describes every call for programs, and a server shows the same at `/docs`.\n\n");
        text.push_str("## Calls\n\n| call | answer | parameters |\n|---|---|---|\n");
        for (path, item) in whole["paths"].as_object().expect("paths") {
            for (method, call) in item.as_object().expect("calls") {
                let summary = call["summary"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
                let token = if call["security"].is_array() { ". Needs a token" } else { "" };
                let parameters = call["parameters"].as_array().map_or(&[][..], Vec::as_slice);
                let names: Vec<String> = parameters
                    .iter()
                    .filter_map(|parameter| Some(format!("`{}`", parameter["name"].as_str()?)))
                    .collect();
                let names = names.join(", ");
                let method = method.to_uppercase();
                text.push_str(&format!("| `{method} {path}` | {summary}{token} | {names} |\n"));
            }
        }
        text.push_str(
            "\n## Errors\n\n| `type` | status | title | what to do |\n|---|---|---|---|\n",
        );
        for kind in ProblemKind::ALL {
            let (name, status) = (kind.name(), kind.status().as_u16());
            let (title, remedy) = (kind.title(), kind.remedy());
            text.push_str(&format!("| `/docs#error-{name}` | {status} | {title} | {remedy} |\n"));
        }
        is_as_the_code_says("http.md", &text);
    }

    #[test]
    fn every_parameter_and_every_answer_says_what_it_means() {
        let whole = serde_json::json!(whole());
        for (path, item) in whole["paths"].as_object().expect("paths") {
            for (method, call) in item.as_object().expect("calls") {
                for parameter in call["parameters"].as_array().map_or(&[][..], Vec::as_slice) {
                    assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
                }
                let only_asks = path == "/recordings_in_time_range" || path.starts_with("/fdsnws/");
                let changes = method != "get" && !only_asks;
                assert_eq!(call["security"].is_array(), changes, "{method} {path}");
            }
        }
    }

    #[test]
    fn the_page_has_every_call_and_every_kind_of_error_and_asks_nobody_else() {
        for path in whole().paths.paths.keys() {
            assert!(PAGE.contains(path.as_str()), "{path}");
        }
        for kind in ProblemKind::ALL {
            assert!(PAGE.contains(&format!("id=\"error-{}\"", kind.name())), "{kind:?}");
        }
        assert!(
            !PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("<script")
        );
    }
}
