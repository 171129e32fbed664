//! Every route, in one place. A handler says with `#[utoipa::path]` where it is and what it takes and answers;
//! from the list here follow the router, the description of the API and its documentation.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    AppState, alerts, coverage, deletions, description, drills, events, fdsn, forgetting, hints,
    ingest, jobs, live, metrics, outages, recordings, sign_in_codes, time_range, unrecognised, v1,
    verification,
};

/// All routes with their description.
pub(super) fn described() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(description::frame())
        .routes(routes!(v1::status))
        .routes(routes!(recordings::recordings, ingest::ingest))
        .routes(routes!(recordings::recording))
        .routes(routes!(unrecognised::unrecognised))
        .routes(routes!(coverage::coverage))
        .routes(routes!(coverage::gaps))
        .routes(routes!(v1::scan))
        .routes(routes!(verification::verify))
        .routes(routes!(verification::drift))
        .routes(routes!(deletions::held))
        .routes(routes!(jobs::approve))
        .routes(routes!(jobs::jobs, jobs::start))
        .routes(routes!(jobs::job, jobs::cancel))
        .routes(routes!(outages::outages))
        .routes(routes!(outages::outage))
        .routes(routes!(drills::drills, drills::post))
        .routes(routes!(drills::drill))
        .routes(routes!(events::events))
        .routes(routes!(hints::post))
        .routes(routes!(forgetting::forget))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::silences, alerts::silence))
        .routes(routes!(alerts::end_silence))
        .routes(routes!(sign_in_codes::make))
        .routes(routes!(description::openapi))
        .routes(routes!(description::docs))
        .routes(routes!(time_range::recordings_in_time_range))
        .routes(routes!(fdsn::query, fdsn::query_by_body))
        .routes(routes!(fdsn::extent, fdsn::extent_by_body))
        .routes(routes!(fdsn::version))
        .routes(routes!(fdsn::wadl))
        .routes(routes!(live::livez))
        .routes(routes!(live::readyz))
        .routes(routes!(live::ack))
        .routes(routes!(metrics::metrics))
}
