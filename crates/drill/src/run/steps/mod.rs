//! The ten steps of a drill, a file each, in the order in which they are taken:
//! baseline, outage, proof of the outage, plant, restore, proof of the return, converge, verdict, side effects,
//! clean up.

pub(super) mod baseline;
pub(super) mod clean_up;
pub(super) mod converge;
pub(super) mod outage;
pub(super) mod plant;
pub(super) mod proof_of_outage;
pub(super) mod proof_of_return;
pub(super) mod restore;
pub(super) mod side_effects;
pub(super) mod verdict;
