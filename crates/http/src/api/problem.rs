//! Errors as RFC 9457 problem documents: each kind has a `type` that stays, and a remedy.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The media type of a problem document.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// How long a caller is asked to wait before it asks a busy server again, seconds.
const RETRY_AFTER_S: u64 = 1;

/// Declares every kind of error: its name in `type`, the status of its answer, its title, and what to do.
macro_rules! kinds {
    ($($kind:ident = $name:literal, $status:ident, $title:literal, $remedy:literal;)+) => {
        /// What kind of error it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $(#[doc = $remedy] $kind,)+
        }

        impl ProblemKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [ProblemKind] = &[$(ProblemKind::$kind),+];

            /// Its name, as `type` ends.
            pub fn name(self) -> &'static str {
                match self { $(ProblemKind::$kind => $name),+ }
            }

            /// The status of its answer.
            pub fn status(self) -> StatusCode {
                match self { $(ProblemKind::$kind => StatusCode::$status),+ }
            }

            /// The same words for every error of this kind.
            pub fn title(self) -> &'static str {
                match self { $(ProblemKind::$kind => $title),+ }
            }

            /// What to do, for the documentation.
            pub fn remedy(self) -> &'static str {
                match self { $(ProblemKind::$kind => $remedy),+ }
            }
        }
    };
}

kinds! {
    BadRequest = "bad-request", BAD_REQUEST, "The request cannot be understood",
        "Mend what `detail` names.";
    UnknownParameter = "unknown-parameter", BAD_REQUEST, "The call has no such parameter",
        "Leave the parameter out, or spell it as the description of the call does.";
    BadValue = "bad-value", BAD_REQUEST, "A value is not one that can be taken",
        "Give `field` a value as the description of the call says.";
    BadCursor = "bad-cursor", BAD_REQUEST, "The cursor belongs to another query",
        "Give the cursor with the filters and the order of the page that it came with, or begin without it.";
    BadBody = "bad-body", BAD_REQUEST, "The body is not as the call needs it",
        "Send a JSON object with the fields that the description of the call names.";
    WrongDigest = "wrong-digest", BAD_REQUEST, "The body is not the one that its digest is of",
        "Send the body again, with the SHA-256 of the bytes that are sent.";
    NoToken = "no-token", UNAUTHORIZED, "The call needs a token",
        "Send `Authorization: Bearer TOKEN`: the token of `server.json` in the state folder, or one of `[[tokens]]`.";
    NoRight = "no-right", FORBIDDEN, "The token does not have the right that the call needs",
        "Use a token whose `allow` names the right that `detail` names.";
    IngestOff = "ingest-off", FORBIDDEN, "The root takes no recordings",
        "Set `ingest = true` in the root's table of focus.toml, and have the server read its settings again.";
    NoCsrf = "no-csrf", FORBIDDEN, "The call does not say that a page of its session made it",
        "Send the value that the page has in `<meta name=\"csrf\">`, as the header `Focus-Csrf` or as the form's field `csrf`.";
    OtherSite = "other-site", FORBIDDEN, "A page of another site asks",
        "Ask from this server's own page, or from a program.";
    UnknownPath = "unknown-path", NOT_FOUND, "There is nothing at this path",
        "Use a path that `/docs` lists.";
    NotFound = "not-found", NOT_FOUND, "There is no such thing",
        "List what there is, and use an id from there.";
    WrongMethod = "wrong-method", METHOD_NOT_ALLOWED, "The path takes another method",
        "Use a method that the header `Allow` names.";
    TooSlow = "too-slow", REQUEST_TIMEOUT, "The body took too long",
        "Send the whole body at once.";
    Conflict = "conflict", CONFLICT, "It does not go with how things stand",
        "Mend what `detail` names, then ask again.";
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Send less at a time.";
    WrongMediaType = "wrong-media-type", UNSUPPORTED_MEDIA_TYPE, "The body has another media type",
        "Send JSON with `Content-Type: application/json`, or what the description of the call names.";
    WrongHost = "wrong-host", MISDIRECTED_REQUEST, "This server is not called by that name",
        "Use its address or localhost, or put the name into `allowed_hosts`.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Something that the answer needs is not there now",
        "Ask again after as many seconds as `Retry-After` says.";
    Busy = "busy", SERVICE_UNAVAILABLE, "Too many requests are in work",
        "Ask again after as many seconds as `Retry-After` says.";
    TimedOut = "timed-out", SERVICE_UNAVAILABLE, "The request took too long",
        "Ask for less at a time, or ask again after as many seconds as `Retry-After` says.";
    NoSpace = "no-space", INSUFFICIENT_STORAGE, "The disk is too full",
        "Make room on the disk of the root, then ask again.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The server made a mistake",
        "Tell the makers what the log says.";
}

/// An error that the caller can act on, with the HTTP status of its answer.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemKind,
    status: StatusCode,
    detail: String,
    field: Option<String>,
}

/// A problem document (RFC 9457).
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "it describes what `into_response` writes")]
pub(super) struct ProblemBody {
    /// The kind of error, a part of the documentation that stays
    #[schema(rename = "type", format = "uri-reference", example = "/docs#error-bad-value")]
    kind: String,
    /// The same words for every error of this kind
    title: String,
    /// The status of the answer
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened and what to do
    detail: String,
    /// The parameter, or the field of the body, that is to blame
    #[schema(required = false, nullable = false)]
    field: Option<String>,
}

impl Problem {
    /// A problem of the kind that this status usually stands for. `detail` says what happened and what to do.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let usual = ProblemKind::ALL.iter().copied().filter(|kind| kind.status() == status);
        let kind = match status {
            StatusCode::NOT_FOUND => ProblemKind::NotFound,
            _ => usual.into_iter().next().unwrap_or(ProblemKind::Internal),
        };
        Problem { kind, status, detail: detail.into(), field: None }
    }

    /// A problem of this kind.
    pub fn of(kind: ProblemKind, detail: impl Into<String>) -> Problem {
        Problem { kind, status: kind.status(), detail: detail.into(), field: None }
    }

    /// 400: this parameter, or field of the body, has a value that cannot be taken.
    pub fn bad_value(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::of(ProblemKind::BadValue, detail).at(field)
    }

    /// 400: the cursor is none of this query.
    pub fn bad_cursor() -> Problem {
        let words = "cursor: it belongs to another query. Give it with the same filters and order, or begin without it";
        Problem::of(ProblemKind::BadCursor, words).at("cursor")
    }

    /// Names the parameter, or the field of the body, that is to blame.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// The status of its answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its kind.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The same words for every error of its kind.
    pub fn title(&self) -> &'static str {
        self.kind.title()
    }

    /// The parameter, or the field of the body, that is to blame.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What to do about errors of its kind.
    pub fn remedy(&self) -> &'static str {
        self.kind.remedy()
    }

    /// The message: what happened and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// 503: a dependency is not there now.
    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::of(ProblemKind::Unavailable, detail)
    }

    /// 503: too much is in work.
    pub fn busy(detail: impl Into<String>) -> Problem {
        Problem::of(ProblemKind::Busy, detail)
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::of(ProblemKind::BadRequest, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kept = self.clone();
        let mut body = json!({
            "type": format!("/docs#error-{}", self.kind.name()),
            "title": self.kind.title(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(field) = self.field {
            body["field"] = json!(field);
        }
        let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        let mut response = (self.status, kind, body.to_string()).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        // A person gets the same as a page: see the guard.
        response.extensions_mut().insert(kept);
        response
    }
}
