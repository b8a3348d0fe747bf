//! skeleton
fn main() {
    let _ = gateway::units::Timestamp(0);
}
