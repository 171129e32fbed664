//! Requests without a server: the types that the handlers read, for checks that feed them any bytes.

use serde::de::DeserializeOwned;

use super::time_range::{Window, window};
use super::{ask, deletions, forgetting, jobs, recordings, unrecognised, verification};

/// A call with a query string or a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST /recordings_in_time_range`
    Window,
    /// `GET /api/v1/recordings`
    Recordings,
    /// `GET /api/v1/unrecognised`
    Unrecognised,
    /// `GET /api/v1/held`
    Held,
    /// `POST /api/v1/held/approve`
    Approve,
    /// `POST /api/v1/roots/forget`
    Forget,
    /// `POST /api/v1/verify`
    Verify,
    /// `POST /api/v1/jobs`
    Job,
}

impl Call {
    /// Every call.
    pub const ALL: [Call; 8] = [
        Call::Window,
        Call::Recordings,
        Call::Unrecognised,
        Call::Held,
        Call::Approve,
        Call::Forget,
        Call::Verify,
        Call::Job,
    ];
}

/// Reads a body or a query string as the handler of the call does. The window is that of a call which
/// asks for one.
///
/// # Errors
/// The message that the caller would get.
pub fn understand(call: Call, bytes: &[u8]) -> Result<Option<Window>, String> {
    match call {
        Call::Window => window(bytes).map(Some).map_err(|problem| problem.detail().to_owned()),
        Call::Recordings => query::<recordings::RecordingsQuery>(bytes),
        Call::Unrecognised => query::<unrecognised::UnrecognisedQuery>(bytes),
        Call::Held => query::<deletions::HeldQuery>(bytes),
        Call::Approve => body::<jobs::ApproveBody>(bytes),
        Call::Forget => body::<forgetting::ForgetBody>(bytes),
        Call::Verify => body::<verification::VerifyBody>(bytes),
        Call::Job => body::<jobs::JobBody>(bytes),
    }
}

fn query<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<Window>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    ask::query::<T>(text).map(|_| None).map_err(|problem| problem.detail().to_owned())
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<Window>, String> {
    ask::body_of::<T>(bytes).map(|_| None).map_err(|problem| problem.detail().to_owned())
}
