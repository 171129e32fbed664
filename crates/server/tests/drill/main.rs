//! The drill: the shipped binary drills the shipped binary, against a real database, real files and real
//! signals.

mod cluster;
mod crash;
mod doubles;
mod experiments;
mod kubernetes;
mod managed;
mod outages;
mod refusals;
mod scene;
