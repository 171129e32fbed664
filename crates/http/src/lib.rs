//! What the server is by HTTP: the API, the page, and what both need beside the engine.
//!
//! | module | what it does |
//! |---|---|
//! | `api` | the calls, and the guard before all of them |
//! | `page` | the page, rendered from what the calls answer |
//! | `events` | what happens, told to readers that stay |
//! | `jobs` | work that people start and watch |
//! | `sessions` | who is signed in |
//! | `history` | what the last hour was like |

pub mod api;
pub mod csv;
pub mod events;
pub mod history;
pub mod jobs;
mod page;
mod sessions;
