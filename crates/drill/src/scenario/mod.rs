//! What a drill is to do: an experiment from a file, the flags that win over it, and the reference scenario
//! for the rest.

pub mod duration;
pub mod experiment;
pub mod flags;
pub mod options;
pub mod outage_kind;
pub mod plant_by;
