//! Arguments, logging, signals → stop token, exit code. No logic.
fn main() {}
