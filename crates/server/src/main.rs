//! The binary `focus`.
fn main() {}
