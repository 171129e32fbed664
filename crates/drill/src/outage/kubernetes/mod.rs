//! An outage of a workload of a Kubernetes cluster: scaled to 0, its pods deleted, or cut off by a network
//! policy.
//!
//! Everything is looked at, and every permission asked for, before anything is broken. One object is changed:
//! the workload's scale, its pods, or a policy that the drill creates.
//!
//! The client is written by hand, and stays so. A drill makes a handful of calls on six kinds of objects, which it
//! reads as JSON: a cluster of any version will do. The libraries for Kubernetes (`kube` with `k8s-openapi`) bring
//! generated types for every object, a watch cache and a second HTTP stack. That would cost more to build than the
//! whole drill does, and would win nothing here. What a mistake could make dangerous is refused in
//! [`kubeconfig`] instead of being supported in part: unchecked certificates, proxies, acting as somebody else.

pub mod access;
pub mod client;
pub mod kubeconfig;
pub mod method;
pub mod outage;
pub mod permission;
pub mod pods;
mod scale;
pub mod way_up;
pub mod workload;
