//! stub
pub fn intake(
    source: &str,
    m: &crate::decode::Message<'_>,
    _: &crate::world::World,
) -> (Vec<crate::model::Event>, Vec<crate::model::DeadLetter>) {
    (
        vec![],
        vec![crate::model::DeadLetter {
            received: m.received,
            source: source.into(),
            address: m.topic.into(),
            reason: "stub".into(),
            payload: m.payload.to_vec(),
        }],
    )
}
