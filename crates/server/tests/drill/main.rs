//! The drill: the shipped binary drills the shipped binary, against a real database, real files and real
//! signals.

mod crash;
mod doubles;
mod experiments;
mod outages;
mod refusals;
mod scene;
