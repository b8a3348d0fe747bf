//! stub
pub fn intake(
    _: &str,
    _: &crate::decode::Message<'_>,
    _: &crate::world::World,
) -> (Vec<crate::model::Event>, Vec<crate::model::DeadLetter>) {
    (vec![], vec![])
}
