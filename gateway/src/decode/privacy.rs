//! What tells of people is taken out of a message before it is kept as one that could not be used.
//!
//! Pure. What can be used becomes readings, which have no place for a name, a face, a plate or a card; a dead letter keeps the message itself, and so does this. A JSON message loses the fields in
//! [`ABOUT_PEOPLE`], wherever they stand, and can still be tried again. A message of another shape that has one of these words in it, and every picture, is not kept at all. docs/privacy.md.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::Value;

/// Names of fields, in small letters, of what cameras and door stations make out of a person.
pub const ABOUT_PEOPLE: &[&str] = &[
    "sub_label",
    "recognized_license_plate",
    "license_plate",
    "licenseplate",
    "platenumber",
    "plateno",
    "cardno",
    "cardnumber",
    "employeeno",
    "employeenostring",
    "certificateno",
    "idcard",
    "username",
    "personname",
    "candidates",
    "face",
    "facerect",
    "facesnap",
    "facedata",
    "faceurl",
    "faces",
    "facecapture",
    "alarmresult",
    "mask",
    "currtemperature",
    "pictureurl",
    "snapshot",
    "thumbnail",
];
/// A name is anybody's in a door event, and a device's elsewhere.
const NAMED: &str = "name";
/// Only in an object that has one of these is `name` a person's.
const OF_A_PERSON: &[&str] = &["cardno", "employeeno", "employeenostring", "majoreventtype", "certificateno"];

/// The same without what tells of people.
pub fn without_people(payload: &[u8]) -> Cow<'_, [u8]> {
    if is_picture(payload) {
        return Cow::Borrowed(b"");
    }
    let small = payload.to_ascii_lowercase();
    if !ABOUT_PEOPLE.iter().any(|word| memmem::find(&small, word.as_bytes()).is_some()) {
        return Cow::Borrowed(payload);
    }
    match serde_json::from_slice::<Value>(payload) {
        Ok(mut json) => {
            clean(&mut json);
            Cow::Owned(json.to_string().into_bytes())
        }
        Err(_) => Cow::Borrowed(b""),
    }
}

fn clean(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            let is_person = fields.keys().any(|key| OF_A_PERSON.contains(&key.to_lowercase().as_str()));
            fields.retain(|key, _| {
                let key = key.to_lowercase();
                let of_a_person = is_person && key == NAMED;
                !of_a_person && !ABOUT_PEOPLE.contains(&key.as_str())
            });
            fields.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        // A field's text may be JSON once more.
        Value::String(text) if text.trim_start().starts_with('{') => {
            *text = String::from_utf8_lossy(&without_people(text.as_bytes())).into_owned();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

fn is_picture(payload: &[u8]) -> bool {
    payload.starts_with(b"\xff\xd8\xff") || payload.starts_with(b"\x89PNG") || payload.starts_with(b"RIFF")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_cards_plates_and_faces_go_and_the_rest_stays() {
        let door = json!({ "eventType": "AccessControllerEvent", "AccessControllerEvent":
            { "majorEventType": 5, "cardNo": "0012345678", "name": "王桂兰", "employeeNoString": "17", "doorNo": 1 } });
        let frigate = json!({ "type": "new", "after": { "camera": "gate", "label": "person", "sub_label": ["王桂兰", 0.98],
            "recognized_license_plate": "苏A12345", "data": "{\"snapshot\":{\"face\":1},\"box\":2}" } });
        for (message, kept) in [
            (
                door,
                json!({ "eventType": "AccessControllerEvent", "AccessControllerEvent": { "majorEventType": 5, "doorNo": 1 } }),
            ),
            (
                frigate,
                json!({ "type": "new", "after": { "camera": "gate", "label": "person", "data": "{\"box\":2}" } }),
            ),
        ] {
            let bytes = message.to_string();
            let found: Value = serde_json::from_slice(&without_people(bytes.as_bytes())).unwrap();
            assert_eq!(found, kept);
        }
    }

    #[test]
    fn what_cannot_be_cleaned_is_not_kept() {
        for payload in
            [&b"\xff\xd8\xff\xe0 a face"[..], b"<name>x</name><cardNo>1</cardNo>", b"{\"sub_label\":\"cut"]
        {
            assert_eq!(without_people(payload), &b""[..]);
        }
        for payload in [&b"{\"smoke\":true,\"name\":\"kitchen\"}"[..], b"no JSON", b"", b"\x00\xff\x00"] {
            assert_eq!(without_people(payload), payload, "nothing of people in it");
        }
    }

    #[test]
    fn every_word_is_in_small_letters() {
        assert!(ABOUT_PEOPLE.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
