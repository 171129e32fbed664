//! Reports for people and programs, all made from the one object that a drill ends with.

pub mod files;
pub mod html;
pub mod junit;
pub mod terminal;
pub mod timeline;
mod words;
