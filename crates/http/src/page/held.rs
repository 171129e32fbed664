//! `/held`: the deletions that are held, why, and their approval.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use focus_engine::HeldRoot;
use maud::{Markup, html};
use serde::Deserialize;

use super::acts;
use super::address::in_query;
use super::files::RENEW;
use super::frame::{Frame, Place};
use super::jobs;
use super::parts;
use super::recordings;
use super::refused;
use crate::api::ask::{Ask, Filled};
use crate::api::{AppState, HeldPage, Problem, approve_set, held_page};
use crate::jobs::ShownJob;

const PATH: &str = "/held";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldQuery {
    /// The root whose deletions are shown: its id, or its configured path.
    root: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
    /// The end of the set that is looked at. It stays the same from page to page.
    through: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveForm {
    csrf: String,
    root: String,
    through: i64,
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route(PATH, get(held).post(approve))
}

async fn held(
    State(state): State<AppState>,
    frame: Frame,
    Ask(query): Ask<HeldQuery>,
) -> Result<Response, Problem> {
    let roots = state.read(focus_engine::Engine::held_roots).await?;
    let with: Vec<&HeldRoot> = roots.iter().filter(|root| root.held > 0).collect();
    let wanted = match (&query.root, with.as_slice()) {
        (Some(root), _) => Some(root.clone()),
        (None, [only]) => Some(only.marker.clone()),
        (None, _) => None,
    };
    let page = match wanted {
        Some(wanted) => {
            Some(held_page(&state, &roots, &wanted, query.cursor.as_deref(), query.limit).await?)
        }
        None => None,
    };
    let mut jobs = state.ask_jobs(|jobs| jobs.list()).await?;
    jobs.retain(|job| job.value["kind"] == "approve");
    let content = html! {
        h1 { "Held deletions" }
        p {
            "The files of these recordings are gone in a way that looks like a mistake. Nothing counts as deleted until somebody approves it. "
            "If the files come back, for example once their storage is mounted again, they leave this list by themselves."
        }
        @if with.len() > 1 || (query.root.is_some() && roots.len() > 1) { (by_root(&roots, page.as_ref())) }
        @match &page {
            Some(page) if page.root.held > 0 || !page.rows.is_empty() => { (set(page, &query, &frame)) }
            Some(_) => { (parts::empty("No deletion of this root is held.")) }
            None if with.is_empty() => { (parts::empty("No deletion is held: nothing waits for an approval.")) }
            None => { p { "Choose a root to see what is held." } }
        }
        @if !jobs.is_empty() { (approvals(&jobs, &frame)) }
    };
    Ok(frame.page(Place::Held, "Held", &[&RENEW], &content))
}

async fn approve(
    State(state): State<AppState>,
    headers: HeaderMap,
    Filled(form): Filled<ApproveForm>,
) -> Result<Response, Problem> {
    if let Some(response) = acts::check(&state, &headers, &form.csrf, PATH)? {
        return Ok(response);
    }
    approve_set(&state, &form.root, form.through).await?;
    Ok(refused::led_to(&format!("{PATH}?root={}#approvals", in_query(&form.root))))
}

fn by_root(roots: &[HeldRoot], page: Option<&HeldPage>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Held deletions by root" {
            table {
                caption { "By root" }
                thead { tr { th scope="col" { "Root" } th.amount scope="col" { "Held" } } }
                tbody {
                    @for root in roots {
                        @let here = page.is_some_and(|page| page.root.marker == root.marker);
                        tr {
                            td { a href={ (PATH) "?root=" (in_query(&root.marker)) } aria-current=[here.then_some("true")] { (parts::foreign(&root.path)) } }
                            td.amount { (parts::number(root.held)) }
                        }
                    }
                }
            }
        }
    }
}

/// The set that is looked at: up to `through`, whatever is held meanwhile.
fn set(page: &HeldPage, query: &HeldQuery, frame: &Frame) -> Markup {
    let through = query.through.unwrap_or(page.root.through).min(page.root.through);
    let has_grown = through < page.root.through;
    let rows: Vec<_> = page.rows.iter().filter(|row| row.seq <= through).collect();
    let goes_on = page.next.as_deref().filter(|_| rows.len() == page.rows.len());
    html! {
        section {
            h2 #set {
                @if has_grown { "Deletions that were held when you began to look" }
                @else { (parts::number(page.root.held)) " held deletions" }
                " of " (parts::foreign(&page.root.path))
            }
            @if has_grown {
                p.banner.warn {
                    "More have been held since, and are not in this set. "
                    a href={ (PATH) "?root=" (in_query(&page.root.marker)) } { "Look at all of them" } "."
                }
            }
            (approval(page, through, has_grown, frame))
            div.scroll tabindex="0" role="region" aria-labelledby="set" {
                table {
                    thead { tr { th scope="col" { "Path" } th scope="col" { "UUID" } th scope="col" { "Gone since" } th scope="col" { "Why it is held" } } }
                    tbody {
                        @for row in &rows {
                            tr {
                                td { (parts::foreign(&row.path)) }
                                td { a href=(recordings::path_of(&row.uuid)) { (parts::foreign(&row.uuid)) } }
                                td { (parts::time_of(row.vanished_ms)) }
                                td { (row.why.to_string()) }
                            }
                        }
                    }
                }
            }
            nav.pager aria-label="Pages of this set" {
                @let set = format!("{PATH}?root={}&through={through}", in_query(&page.root.marker));
                @let limit = query.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
                @if query.cursor.is_some() { a href={ (set) (limit) } { "First page" } }
                @if let Some(cursor) = goes_on { a href={ (set) (limit) "&cursor=" (in_query(cursor)) } { "Next page" } }
            }
        }
    }
}

fn approval(page: &HeldPage, through: i64, has_grown: bool, frame: &Frame) -> Markup {
    let session = match acts::actor(frame, "approve them") {
        Ok(session) => session,
        Err(words) => return words,
    };
    html! {
        form.approve method="post" action=(PATH) {
            (acts::csrf(session))
            (acts::hidden("root", &page.root.marker))
            (acts::hidden("through", &through.to_string()))
            p {
                "An approval has exactly this set, on all its pages, marked as deleted in the catalog. No file is touched. What is held later is not in it."
            }
            button {
                @if has_grown { "Approve this set" }
                @else { "Approve " @if page.root.held == 1 { "this deletion" } @else { "these " (parts::number(page.root.held)) " deletions" } }
            }
        }
    }
}

fn approvals(jobs: &[ShownJob], frame: &Frame) -> Markup {
    html! {
        section {
            h2 #approvals { "Approvals" }
            div #approval-list data-renew="job" data-under-way=[jobs::is_under_way(jobs).then_some("")] {
                (jobs::list(jobs, frame, PATH))
            }
        }
    }
}
