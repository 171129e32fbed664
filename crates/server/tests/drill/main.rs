//! The drill: the shipped binary drills the shipped binary, against a real database, real files and real
//! signals.

mod cluster;
mod crash;
mod doubles;
mod drill_process;
mod experiments;
mod killed;
mod kubernetes;
mod managed;
mod node;
mod outages;
mod outcome;
mod refusals;
mod scene;
